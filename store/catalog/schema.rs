//! Tables of the catalog, and settings of its connections.

use rusqlite::Connection;

use super::backfill;
use super::checksum::columns_checksum;

/// Format of the tables below and of the index files. The module `migrate` upgrades older formats.
pub(crate) const FORMAT: u32 = 4;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- A replaced document keeps its row, with retired_seq set, until both indexes have applied that. Numbers are never reused.
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    source_hash BLOB NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    kind TEXT NOT NULL,
    language TEXT,
    title TEXT,
    metadata TEXT NOT NULL,
    passages INTEGER NOT NULL,
    added_seq INTEGER NOT NULL,
    touched_seq INTEGER,
    retired_seq INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    checksum INTEGER -- of the columns that never change; NULL in rows of an older version until the next opening
) STRICT;
CREATE UNIQUE INDEX live_documents ON documents (key) WHERE retired_seq IS NULL;
CREATE INDEX added_documents ON documents (added_seq);
CREATE INDEX touched_documents ON documents (touched_seq) WHERE touched_seq IS NOT NULL;
CREATE INDEX retired_documents ON documents (retired_seq) WHERE retired_seq IS NOT NULL;

-- Separate from documents: listing documents must not read texts. A blob, because spans count bytes.
CREATE TABLE texts (document INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT;

CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte INTEGER NOT NULL,
    start_line INTEGER NOT NULL,
    end_line INTEGER NOT NULL,
    page INTEGER,
    heading_path TEXT NOT NULL,
    embed_hash BLOB NOT NULL,
    vector_seq INTEGER,
    checksum INTEGER, -- of the text; NULL in rows of an older version until the next opening
    place_checksum INTEGER -- of the columns from document to embed_hash; NULL likewise
) STRICT;
CREATE INDEX passages_of_document ON passages (document, ordinal);
CREATE INDEX passages_without_vector ON passages (id) WHERE vector_seq IS NULL;
CREATE INDEX passages_by_vector ON passages (vector_seq) WHERE vector_seq IS NOT NULL;
CREATE INDEX passages_by_hash ON passages (embed_hash);
";

/// Models, and embeddings by input and model.
pub(super) const EMBEDDINGS: &str = "
CREATE TABLE models (number INTEGER PRIMARY KEY, identity TEXT NOT NULL) STRICT;
CREATE TABLE embeddings (
    hash BLOB NOT NULL,
    model INTEGER NOT NULL,
    scale REAL NOT NULL,
    codes BLOB NOT NULL,
    checksum INTEGER,
    PRIMARY KEY (hash, model)
) STRICT, WITHOUT ROWID;
";

/// Jobs and their logs. Times are milliseconds since the Unix epoch.
pub(super) const JOBS: &str = "
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cause TEXT NOT NULL,
    description TEXT,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT,
    added INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    passages INTEGER NOT NULL DEFAULT 0,
    embedded INTEGER NOT NULL DEFAULT 0,
    items INTEGER NOT NULL DEFAULT 0,
    stage TEXT NOT NULL DEFAULT '',
    files_to_index INTEGER NOT NULL DEFAULT 0,
    files_done INTEGER NOT NULL DEFAULT 0,
    to_embed INTEGER NOT NULL DEFAULT 0,
    embedded_of_stage INTEGER NOT NULL DEFAULT 0,
    eta_seconds INTEGER
) STRICT;
CREATE TABLE job_items (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    at INTEGER NOT NULL,
    key TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT,
    passages INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL
) STRICT;
CREATE INDEX items_of_job ON job_items (job);
CREATE INDEX documents_to_retry ON documents (retry_at) WHERE retry_at IS NOT NULL;
";

/// Creates the tables, in one transaction.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(EMBEDDINGS)?;
    transaction.execute_batch(JOBS)?;
    backfill::mark_complete(&transaction)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// The name of a table whose columns differ from the definition, if there is one.
pub(super) fn find_altered_table(connection: &Connection) -> rusqlite::Result<Option<String>> {
    const COLUMNS: &str =
        "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1) ORDER BY name";
    let columns = |connection: &Connection, table: &str| {
        let mut statement = connection.prepare(COLUMNS)?;
        let columns = statement.query_map([table], |row| columns_checksum(row, 0..5))?;
        columns.collect::<rusqlite::Result<Vec<i64>>>()
    };
    let mut reference = Connection::open_in_memory()?;
    create(&mut reference)?;
    let mut statement = reference.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let mut tables = statement.query([])?;
    while let Some(row) = tables.next()? {
        let table: String = row.get(0)?;
        if columns(connection, &table)? != columns(&reference, &table)? {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// Configures a connection for writing. With full sync, a transaction is on disk when it returns.
pub(super) fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    configure_reader(connection)
}

/// Configures any connection.
pub(super) fn configure_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
