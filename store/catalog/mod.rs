//! The catalog: documents, texts, passages and embeddings in SQLite. The truth that every index is made from.

mod checksum;
mod documents;
mod history;
mod identity;
mod jobs;
mod migrate;
mod models;
mod passages;
mod salvage;
mod schema;
mod texts;
mod unchecked;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

pub(crate) use checksum::{holds, of_codes};
pub(crate) use documents::{damaged_documents, entries, known_files, retired, text_of, touched};
pub(crate) use jobs::{
    count_embedded, damaged_jobs, end_job, forget_damaged_jobs, forget_idle_job, has_running_jobs,
    insert_job, interrupt_jobs, job, job_items, jobs as list_jobs, log_items, next_retry, open_jobs,
    prune_jobs, report_job, set_job_state, set_retry,
};
pub(crate) use models::{
    forget_others, next, pending_next, promote, put_next, ready_for_next, serving, want,
};
pub(crate) use passages::{
    LexicalRow, PASSAGE, Pending, VectorRow, documents_of, intact_part, lexical_rows, passages, pending,
    text_of_passages, vectors,
};
pub(crate) use salvage::{SalvagedEmbedding, models, put_models, put_salvaged, salvage_embeddings};
pub(crate) use schema::FORMAT;
pub(crate) use write::{
    Codes, doubt_documents, forget_embeddings, prune, put_embeddings, retire, touch, upsert,
};

use identity::Identity;

use crate::error::SqliteError;
use crate::io_cause::lack_of_descriptors;
use crate::salvage::suspect;
use crate::{DocumentId, Seq, StoreError};

const FILE: &str = "catalog.sqlite";
/// Reading connections kept open. More are made when more threads read at once, and closed after.
const KEPT_READERS: usize = 4;

/// The database. Any thread may use it; one writes at a time.
pub(crate) struct Catalog {
    path: PathBuf,
    /// The file that was opened.
    identity: Option<Identity>,
    writer: Option<Mutex<Connection>>,
    readers: Mutex<Vec<Connection>>,
}

impl Catalog {
    /// Opens the catalog of `dir` for writing, made where there is none.
    pub(crate) fn open(dir: &Path) -> Result<Catalog, StoreError> {
        let path = dir.join(FILE);
        let named = |source| error_of(&path, source);
        let mut connection = Connection::open(&path).map_err(named)?;
        schema::configure_writer(&connection).map_err(named)?;
        match format(&connection).map_err(named)? {
            0 => schema::create(&mut connection).map_err(named)?,
            FORMAT => {}
            found if found < FORMAT => migrate::from(&mut connection, found).map_err(named)?,
            found => {
                return Err(StoreError::NewerFormat {
                    dir: dir.to_owned(),
                    found,
                    known: FORMAT,
                });
            }
        }
        history::catch_up(&connection).map_err(named)?;
        match unchecked::fill(&mut connection) {
            Err(error) if is_damage(&error) => return Err(named(error)),
            // A disk that is full, say, keeps no one from reading. The next opening goes on.
            Err(error) => tracing::warn!(
                "rows of {} that an older version wrote have no checksums yet: {error}",
                path.display()
            ),
            Ok(()) => {}
        }
        Ok(Catalog {
            identity: Identity::at(&path),
            path,
            writer: Some(Mutex::new(connection)),
            readers: Mutex::default(),
        })
    }

    /// Opens the catalog of `dir` for reading.
    pub(crate) fn open_read_only(dir: &Path) -> Result<Catalog, StoreError> {
        let (catalog, found) = Catalog::open_any(dir)?;
        match found {
            FORMAT => Ok(catalog),
            0 => Err(StoreError::NoStore { dir: dir.to_owned() }),
            found if found < FORMAT => Err(StoreError::OlderFormat {
                dir: dir.to_owned(),
                found,
                known: FORMAT,
            }),
            found => Err(StoreError::NewerFormat {
                dir: dir.to_owned(),
                found,
                known: FORMAT,
            }),
        }
    }

    /// The catalog of `dir`, for reading, and its format, whichever that is.
    fn open_any(dir: &Path) -> Result<(Catalog, u32), StoreError> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Err(StoreError::NoStore { dir: dir.to_owned() });
        }
        let catalog = Catalog {
            identity: Identity::at(&path),
            path,
            writer: None,
            readers: Mutex::default(),
        };
        let found = match catalog.read(format) {
            // It was being made when the process died. Who writes it next begins again.
            Err(StoreError::Catalog { source, .. }) if is_half_made(&source.0) => 0,
            found => found?,
        };
        Ok((catalog, found))
    }

    /// The model whose vectors the store in `dir` has, in any format that can be brought up.
    pub(crate) fn read_model(dir: &Path) -> Result<Option<crate::ModelIdentity>, StoreError> {
        match Catalog::open_any(dir) {
            Err(StoreError::NoStore { .. }) | Ok((_, 0)) => Ok(None),
            Ok((catalog, 1)) => catalog.read(migrate::model_of_1),
            Ok((catalog, found)) if found < FORMAT => catalog.read(serving),
            _ => Catalog::open_read_only(dir)?.read(serving),
        }
    }

    /// Whether the file at its path is no longer the one that was opened, since that was put aside.
    pub(crate) fn is_replaced(&self) -> bool {
        self.identity.is_some() && Identity::at(&self.path) != self.identity
    }

    /// Runs `work` on a reading connection.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let connection = self.connect().map_err(|source| self.failed(source))?;
                // Its numbers are not those of the one that was opened.
                if self.is_replaced() {
                    let path = self.path.clone();
                    return Err(StoreError::Replaced { path });
                }
                connection
            }
        };
        let result = work(&connection).map_err(|source| self.failed(source));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        result
    }

    /// Runs `work` in a transaction, which is kept whole or not at all.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let Some(writer) = &self.writer else {
            let dir = self.path.parent().unwrap_or(&self.path).to_owned();
            return Err(StoreError::ReadOnly { dir });
        };
        let mut connection = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let run = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut connection).map_err(|source| self.failed(source))
    }

    /// Folds the write-ahead log into the database, so that it does not grow for ever.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let connection = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        folded.map_err(|source| self.failed(source))
    }

    /// Has the next run read the files of documents again of which something here is damaged.
    pub(crate) fn doubt(&self, damaged: &[DocumentId]) -> Result<(), StoreError> {
        if damaged.is_empty() {
            return Ok(());
        }
        let (count, path) = (damaged.len(), self.path.display());
        tracing::warn!("what {path} has of {count} documents is damaged; their files are read again");
        self.write(|transaction| doubt_documents(transaction, damaged))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        schema::configure_reader(&connection)?;
        Ok(connection)
    }

    /// Whether SQLite finds nothing wrong with the whole of it, and every document reads back.
    pub(crate) fn is_sound(&self) -> Result<bool, StoreError> {
        match self.read(|connection| Ok(complaint(connection)?.is_none())) {
            Err(error) if error.is_damage() => Ok(false),
            sound => sound,
        }
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        if is_damage(&source)
            && let Some(dir) = self.path.parent()
        {
            suspect(dir);
        }
        error_of(&self.path, source)
    }
}

/// The error of a failed operation on the catalog at `path`.
fn error_of(path: &Path, source: rusqlite::Error) -> StoreError {
    // SQLite does not say why the system refused to open a file.
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
        && let Some(source) = lack_of_descriptors()
    {
        return StoreError::TooManyOpenFiles { source };
    }
    StoreError::Catalog {
        path: path.to_owned(),
        source: SqliteError(source),
    }
}

/// What is wrong with the database so that it cannot be gone on with, if anything.
///
/// # Errors
/// When it cannot be looked through, or something does not read back.
pub(crate) fn complaint(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(found));
    }
    // Names in the schema are but text to SQLite.
    if let Some(table) = schema::altered(connection)? {
        return Ok(Some(format!("the table {table} is not as it was made")));
    }
    entries(connection, 0, i64::MAX as Seq)?;
    models::all(connection)?;
    let mut statement = connection.prepare("SELECT value FROM meta")?;
    let mut values = statement.query([])?;
    while let Some(row) = values.next()? {
        row.get::<_, String>(0)?;
    }
    Ok(None)
}

/// Whether an error says that the catalog itself is damaged, and not that it cannot be reached.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, InvalidColumnType, SqlInputError, SqliteFailure, Utf8Error,
    };
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        FromSqlConversionFailure(..) | InvalidColumnType(..) | Utf8Error(..) => true,
        // Every statement is ours: one that is not understood says that the tables are not those that were made.
        SqlInputError { .. } => true,
        SqliteFailure(_, Some(said)) if said.starts_with("no such ") => true,
        error => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
    }
}

/// Whether there is a journal to be rolled back, which only the making of a catalog leaves: it logs ahead from then on.
fn is_half_made(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn format(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A value of the table `meta`.
pub(crate) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    statement.query_row([key], |row| row.get(0)).optional()
}

/// Sets a value of the table `meta`.
pub(crate) fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
    statement.execute(params![key, value]).map(drop)
}

/// A position in the history, kept under `key`; 0 where there is none.
pub(crate) fn seq_at(connection: &Connection, key: &str) -> rusqlite::Result<Seq> {
    Ok(meta(connection, key)?
        .and_then(|text| text.parse().ok())
        .unwrap_or(0))
}

/// Where the history of the catalog stands.
pub(crate) const SEQ: &str = "seq";
/// Up to where retired rows are gone for good.
pub(crate) const PRUNED: &str = "pruned_seq";

/// Takes the next position in the history.
pub(crate) fn next_seq(transaction: &Connection) -> rusqlite::Result<Seq> {
    let seq = seq_at(transaction, SEQ)? + 1;
    set_meta(transaction, SEQ, &seq.to_string())?;
    Ok(seq)
}
