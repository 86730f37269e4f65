//! What to do about an error, in one sentence.
//!
//! The libraries know no commands, flags, routes or environment variables, so their messages name none. Hints are chosen here, by
//! the type and kind of an error, and never by its message.

use std::error::Error;
use std::io;

use autorag_embedder::EmbedError;
use autorag_indexer::IndexError;
use autorag_query::{DegradationKind, QueryError, QueryErrorKind};
use autorag_store::{ErrorChain, StoreError, StoreErrorKind};

use crate::instance_handle::InstanceError;
use crate::jobs::JobError;

const DISK_FULL: &str =
    "free some space, or keep the index on another disk with --data-dir; the work committed so far is kept";
const TOO_MANY_OPEN_FILES: &str =
    "raise the limit of open files (`ulimit -n`) and try again; the work committed so far is kept";
const READ_ONLY: &str = "make the folder writable, or keep the index elsewhere with --data-dir";
const PROVIDER: &str =
    "check the settings in [model] and the provider; to start without it, set model.dimensions";

const REPAIR_WITHOUT_WRITER: &str = "if no process updates the index, run `autorag doctor --repair`";

/// Codes of an exhausted file table, the system's and the process's. They are the same on every Unix.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Where a message is read. Commands, routes and tools differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// A terminal or the log.
    CommandLine,
    /// The HTTP API.
    Http,
    /// A language model that calls tools.
    Mcp,
}

/// The hint for the first error in the chain of `error` that has one.
pub fn hint(error: &(dyn Error + 'static), interface: Interface) -> Option<&'static str> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|cause| hint_of_cause(cause, interface))
}

/// The error, its causes and its hint in one line.
pub fn with_hint(error: &(dyn Error + 'static), interface: Interface) -> String {
    let chain = ErrorChain(error);
    match hint(error, interface) {
        Some(hint) => format!("{chain}; {hint}"),
        None => chain.to_string(),
    }
}

/// The hint of one error, ignoring its source. The source of a transparent error is that of the inner error, so variants that
/// wrap one are matched here.
fn hint_of_cause(error: &(dyn Error + 'static), interface: Interface) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        of_store(error.kind())
    } else if let Some(error) = error.downcast_ref::<IndexError>() {
        of_index(error)
    } else if let Some(error) = error.downcast_ref::<QueryError>() {
        of_query(error, interface)
    } else if let Some(error) = error.downcast_ref::<EmbedError>() {
        of_embedder(error)
    } else if let Some(InstanceError::Query(error)) = error.downcast_ref::<InstanceError>() {
        of_query(error, interface)
    } else if let Some(error) = error.downcast_ref::<JobError>() {
        of_job(error, interface)
    } else {
        error.downcast_ref::<io::Error>().and_then(of_io)
    }
}

fn of_store(kind: StoreErrorKind) -> Option<&'static str> {
    match kind {
        StoreErrorKind::InUse => {
            Some("stop the process that updates the index, or query it over HTTP or MCP")
        }
        StoreErrorKind::Unwritable => Some(READ_ONLY),
        StoreErrorKind::Missing => Some("run `autorag index` to create it"),
        StoreErrorKind::NewerFormat => Some("upgrade autorag"),
        StoreErrorKind::OlderFormat => Some("run `autorag index` to upgrade it"),
        StoreErrorKind::Damaged => Some("run `autorag doctor --repair` to rebuild the damaged part"),
        StoreErrorKind::Replaced => Some("try again"),
        StoreErrorKind::DiskFull => Some(DISK_FULL),
        StoreErrorKind::TooManyOpenFiles => Some(TOO_MANY_OPEN_FILES),
        _ => None,
    }
}

fn of_index(error: &IndexError) -> Option<&'static str> {
    match error {
        IndexError::Store(error) => of_store(error.kind()),
        IndexError::Embed(error) => of_embedder(error),
        IndexError::Paused => Some("run `autorag jobs resume` to resume it"),
        IndexError::TooManyOpenFiles => Some(TOO_MANY_OPEN_FILES),
        _ => None,
    }
}

fn of_query(error: &QueryError, interface: Interface) -> Option<&'static str> {
    match error.kind() {
        QueryErrorKind::NoSuchDocument => Some(match interface {
            Interface::CommandLine => "list documents with `autorag status --items completed`",
            Interface::Http => "list documents with GET /v1/documents",
            Interface::Mcp => "find documents with rag_search",
        }),
        QueryErrorKind::NotIndexedYet | QueryErrorKind::LexicalRebuilding => Some("try again shortly"),
        QueryErrorKind::DenseUnavailable => {
            Some("use the mode hybrid or lexical, which work with keywords alone")
        }
        QueryErrorKind::LexicalDamaged => Some(REPAIR_WITHOUT_WRITER),
        QueryErrorKind::Store(kind) => of_store(kind),
        QueryErrorKind::InvalidRequest
        | QueryErrorKind::NoText
        | QueryErrorKind::InvalidCollection
        | QueryErrorKind::InvalidReranker
        | QueryErrorKind::Embed => match error {
            QueryError::Embed(error) => of_embedder(error),
            QueryError::Invalid { field: "rerank", .. } => Some("set rerank.url or rerank.model"),
            _ => None,
        },
    }
}

/// The hint for a part of a search that failed or was incomplete.
pub fn of_degradation(kind: DegradationKind) -> Option<&'static str> {
    match kind {
        DegradationKind::IndexingPaused => Some("run `autorag jobs resume` to resume it"),
        DegradationKind::LexicalDamaged => Some(REPAIR_WITHOUT_WRITER),
        _ => None,
    }
}

fn of_embedder(error: &EmbedError) -> Option<&'static str> {
    match error {
        EmbedError::MissingFeature { .. } => {
            Some("build autorag with `cargo build --release --features fastembed`")
        }
        EmbedError::OnnxRuntime { .. } => {
            Some("set ORT_DYLIB_PATH to the path of ONNX Runtime's shared library, such as libonnxruntime.so")
        }
        EmbedError::HubAccessDenied { .. } => {
            Some("check the name; if the model is private or gated, set HF_TOKEN to an access token")
        }
        EmbedError::HubUnreachable { .. } => {
            Some("set model.path to use a model folder on disk, or HF_ENDPOINT to use a mirror")
        }
        EmbedError::MalformedModel { .. } => Some("pack the built-in model again with pack-model"),
        error if error.is_provider_failure() => Some(PROVIDER),
        _ => None,
    }
}

fn of_job(error: &JobError, interface: Interface) -> Option<&'static str> {
    match (error, interface) {
        (JobError::Store(error), _) => of_store(error.kind()),
        (JobError::NoSuchJob(_), Interface::CommandLine) => Some("list jobs with `autorag jobs`"),
        (JobError::NoSuchJob(_), _) => Some("list jobs with GET /v1/jobs"),
        (JobError::Paused, Interface::CommandLine) => Some("run `autorag jobs resume` first"),
        (JobError::Paused, _) => {
            Some("resume it first, with the action \"resume\" of any job or `autorag jobs resume`")
        }
        (JobError::NotTheWriter, _) => Some("send the request to that process"),
        (JobError::Ended { .. } | JobError::Control(_), _) => None,
    }
}

fn of_io(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return Some(DISK_FULL),
        io::ErrorKind::ReadOnlyFilesystem => return Some(READ_ONLY),
        _ => {}
    }
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE)).then_some(TOO_MANY_OPEN_FILES)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn command_line(error: &anyhow::Error) -> Option<&'static str> {
        hint(error.as_ref(), Interface::CommandLine)
    }

    #[test]
    fn a_hint_is_found_below_context_and_transparent_errors() {
        let missing = || StoreError::NoStore {
            dir: PathBuf::from("/data"),
        };
        let wrapped = anyhow::Error::from(missing()).context("cannot show the status");
        assert!(command_line(&wrapped).unwrap().contains("autorag index"));
        let transparent = anyhow::Error::from(QueryError::from(missing()));
        assert_eq!(command_line(&transparent), command_line(&wrapped));
        let transparent = anyhow::Error::from(IndexError::from(missing()));
        assert_eq!(command_line(&transparent), command_line(&wrapped));
    }

    #[test]
    fn hints_follow_the_code_of_the_system() {
        let hint_of_code = |code| command_line(&io::Error::from_raw_os_error(code).into());
        assert_eq!(hint_of_code(EMFILE), Some(TOO_MANY_OPEN_FILES));
        assert_eq!(hint_of_code(28), Some(DISK_FULL), "ENOSPC");
        assert_eq!(hint_of_code(30), Some(READ_ONLY), "EROFS");
        assert_eq!(hint_of_code(2), None, "ENOENT");
    }

    #[test]
    fn hints_name_what_their_reader_can_use() {
        let error = QueryError::NoSuchDocument {
            key: "a.md".to_owned(),
        };
        assert!(with_hint(&error, Interface::Http).ends_with("GET /v1/documents"));
        assert!(with_hint(&error, Interface::Mcp).ends_with("rag_search"));
    }
}
