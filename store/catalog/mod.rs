//! The catalog: documents, texts, passages, embeddings and jobs in SQLite. It is the source of truth: both indexes can be rebuilt
//! from it.

mod backfill;
mod checksum;
mod document_rows;
mod file_id;
mod job_rows;
mod migrate;
mod model_rows;
mod passage_rows;
mod salvage_rows;
mod schema;
mod seq_repair;
mod text_reader;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

pub(crate) use checksum::{embedding_checksum, is_checksum_valid};
pub(crate) use document_rows::{
    added_documents, damaged_documents, document_text, known_files, retired_documents, touched_documents,
};
pub(crate) use job_rows::{
    add_embedded, corrupt_jobs, delete_corrupt_jobs, delete_idle_job, end_job, find_job, has_running_jobs,
    insert_job, insert_job_items, interrupt_running_jobs, job_items, list_jobs, next_retry, open_jobs,
    prune_jobs, set_job_progress, set_job_state, set_retry,
};
pub(crate) use model_rows::{
    count_embedded_by_next, delete_unused_models, next_model, pending_next, promote, put_next_embeddings,
    serving_model, set_wanted_model,
};
pub(crate) use passage_rows::{
    COLUMNS as PASSAGE_COLUMNS, LexicalRow, Pending, VectorRow, documents_of, lexical_rows, passages,
    pending, text_of_passages, vector_rows, verified_text,
};
pub(crate) use salvage_rows::{
    SalvagedEmbedding, put_models, put_salvaged, readable_models, salvage_embeddings,
};
pub(crate) use schema::FORMAT;
pub(crate) use write::{
    QuantizedEmbedding, delete_embeddings, mark_for_rereading, prune, put_embeddings, retire, touch, upsert,
};

use file_id::FileId;

use crate::error::SqliteError;
use crate::io_cause::lack_of_descriptors;
use crate::salvage::mark_suspect;
use crate::{DocumentId, ModelIdentity, Seq, StoreError};

const FILE: &str = "catalog.sqlite";
/// Maximum number of idle read connections. If more threads read at once, extra connections are opened and then closed.
const IDLE_READERS: usize = 4;

/// The catalog of a store. Any thread may use it. Writes are serialized.
pub(crate) struct Catalog {
    path: PathBuf,
    /// The file that was opened, to detect its replacement.
    file_id: Option<FileId>,
    writer: Option<Mutex<Connection>>,
    readers: Mutex<Vec<Connection>>,
}

impl Catalog {
    /// Opens the catalog in `dir` for writing, and creates it if there is none. An older format is upgraded.
    pub(crate) fn open(dir: &Path) -> Result<Catalog, StoreError> {
        let path = dir.join(FILE);
        let wrap = |source| error_of(&path, source);
        let mut connection = Connection::open(&path).map_err(wrap)?;
        schema::configure_writer(&connection).map_err(wrap)?;
        match format(&connection).map_err(wrap)? {
            0 => schema::create(&mut connection).map_err(wrap)?,
            FORMAT => {}
            found if found < FORMAT => migrate::upgrade(&mut connection, found).map_err(wrap)?,
            found => {
                return Err(StoreError::NewerFormat {
                    dir: dir.to_owned(),
                    found,
                    known: FORMAT,
                });
            }
        }
        seq_repair::repair_seq(&connection).map_err(wrap)?;
        match backfill::backfill(&mut connection) {
            Err(error) if is_damage(&error) => return Err(wrap(error)),
            // For example, the disk is full. The catalog is usable, and the next opening resumes the backfill.
            Err(error) => tracing::warn!(
                "cannot add checksums to the rows of {} that an older version wrote: {error}",
                path.display()
            ),
            Ok(()) => {}
        }
        Ok(Catalog {
            file_id: FileId::at(&path),
            path,
            writer: Some(Mutex::new(connection)),
            readers: Mutex::default(),
        })
    }

    /// Opens the catalog in `dir` for reading.
    pub(crate) fn open_read_only(dir: &Path) -> Result<Catalog, StoreError> {
        let (catalog, found) = Catalog::open_any_format(dir)?;
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

    /// Opens the catalog in `dir` for reading, in any format. Also returns the format; 0 for an unfinished catalog.
    fn open_any_format(dir: &Path) -> Result<(Catalog, u32), StoreError> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Err(StoreError::NoStore { dir: dir.to_owned() });
        }
        let catalog = Catalog {
            file_id: FileId::at(&path),
            path,
            writer: None,
            readers: Mutex::default(),
        };
        let found = match catalog.read(format) {
            // A process died while creating the catalog. The next writer starts over.
            Err(StoreError::Catalog { source, .. }) if is_unfinished(&source.0) => 0,
            found => found?,
        };
        Ok((catalog, found))
    }

    /// The serving model of the store in `dir`, in any format that can be upgraded.
    pub(crate) fn read_model(dir: &Path) -> Result<Option<ModelIdentity>, StoreError> {
        match Catalog::open_any_format(dir) {
            Err(StoreError::NoStore { .. }) | Ok((_, 0)) => Ok(None),
            Ok((catalog, 1)) => catalog.read(migrate::read_model_of_format_1),
            Ok((catalog, found)) if found < FORMAT => catalog.read(serving_model),
            _ => Catalog::open_read_only(dir)?.read(serving_model),
        }
    }

    /// Whether another file is at the catalog's path now, because the damaged one was moved aside.
    pub(crate) fn is_replaced(&self) -> bool {
        self.file_id.is_some() && FileId::at(&self.path) != self.file_id
    }

    /// Runs `work` on a connection for reading.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = self.connect().map_err(|source| self.error(source))?;
                // Numbers in the new catalog differ from those that the caller knows.
                if self.is_replaced() {
                    let path = self.path.clone();
                    return Err(StoreError::Replaced { path });
                }
                connection
            }
        };
        let result = work(&connection).map_err(|source| self.error(source));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// Runs `work` in a transaction, and commits if it succeeds.
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
        run(&mut connection).map_err(|source| self.error(source))
    }

    /// Copies the write-ahead log into the database and truncates the log, which would otherwise grow forever.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let connection = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        copied.map_err(|source| self.error(source))
    }

    /// Makes the next run read the files of damaged documents again.
    pub(crate) fn mark_for_rereading(&self, damaged: &[DocumentId]) -> Result<(), StoreError> {
        if damaged.is_empty() {
            return Ok(());
        }
        let (count, path) = (damaged.len(), self.path.display());
        tracing::warn!("{count} documents in {path} are damaged; the next run reads their files again");
        self.write(|transaction| mark_for_rereading(transaction, damaged))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        schema::configure_reader(&connection)?;
        Ok(connection)
    }

    /// Whether [`find_damage`] finds nothing.
    pub(crate) fn is_intact(&self) -> Result<bool, StoreError> {
        match self.read(|connection| Ok(find_damage(connection)?.is_none())) {
            Err(error) if error.is_damage() => Ok(false),
            intact => intact,
        }
    }

    /// The error of a failed operation. Damage also marks the catalog for a check.
    fn error(&self, source: rusqlite::Error) -> StoreError {
        if is_damage(&source)
            && let Some(dir) = self.path.parent()
        {
            mark_suspect(dir);
        }
        error_of(&self.path, source)
    }
}

/// The error of a failed operation on the catalog at `path`.
fn error_of(path: &Path, source: rusqlite::Error) -> StoreError {
    // SQLite does not report why the system refused to open a file.
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

/// Describes damage that makes the catalog unusable, if there is any.
///
/// # Errors
/// When the catalog cannot be read, or a row cannot be decoded.
pub(crate) fn find_damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let result: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if result != "ok" {
        return Ok(Some(result));
    }
    // The integrity check does not compare column names.
    if let Some(table) = schema::find_altered_table(connection)? {
        return Ok(Some(format!("the definition of table {table} is damaged")));
    }
    added_documents(connection, 0, i64::MAX as Seq)?;
    model_rows::all_models(connection)?;
    let mut statement = connection.prepare("SELECT value FROM meta")?;
    let mut values = statement.query([])?;
    while let Some(row) = values.next()? {
        row.get::<_, String>(0)?;
    }
    Ok(None)
}

/// True for a damaged catalog, false for an unreachable one.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, InvalidColumnType, SqlInputError, SqliteFailure, Utf8Error,
    };
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        FromSqlConversionFailure(..) | InvalidColumnType(..) | Utf8Error(..) => true,
        // The statements of this crate are valid, so one that does not compile means that the tables are damaged.
        SqlInputError { .. } => true,
        // A missing table or column has the generic error code, so only the message identifies it.
        SqliteFailure(_, Some(message)) if message.starts_with("no such ") => true,
        error => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
    }
}

/// Whether the error is due to a leftover rollback journal. Only a catalog that is being created has one; later it uses a
/// write-ahead log.
fn is_unfinished(error: &rusqlite::Error) -> bool {
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

/// A number of the table `meta`, such as a sequence number; 0 if the key is missing.
pub(crate) fn seq_at(connection: &Connection, key: &str) -> rusqlite::Result<Seq> {
    Ok(meta(connection, key)?
        .and_then(|text| text.parse().ok())
        .unwrap_or(0))
}

/// Key of `meta`: sequence number of the last transaction.
pub(crate) const SEQ: &str = "seq";
/// Key of `meta`: sequence number up to which retired rows are deleted.
pub(crate) const PRUNED_SEQ: &str = "pruned_seq";

/// Takes the next sequence number.
pub(crate) fn next_seq(transaction: &Connection) -> rusqlite::Result<Seq> {
    let seq = seq_at(transaction, SEQ)? + 1;
    set_meta(transaction, SEQ, &seq.to_string())?;
    Ok(seq)
}
