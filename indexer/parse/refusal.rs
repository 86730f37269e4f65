//! Why a file gives no text.
//!
//! A [`Refusal`] has a stable [`ReasonCode`] and a message. Programs compare only the codes. Rewording a message
//! therefore never makes a file look changed.

use std::fmt::Display;
use std::io::ErrorKind;

use autorag_store::{ContentHash, ItemStatus};
use serde::{Deserialize, Serialize};

/// Stable code of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasonCode {
    /// Zero bytes, or nothing but white space.
    Empty,
    /// Bytes that are not text in any encoding.
    Binary,
    /// A known format with no text in it, such as a scanned PDF.
    NoText,
    /// A format that no parser reads.
    UnsupportedFormat,
    /// A symbolic link that is not followed, or that leads into a loop.
    SymbolicLink,
    /// A socket, device or pipe.
    NotAFile,
    /// More bytes than `index.max_file_size`.
    TooLarge,
    /// A file inside too many archives or messages.
    NestedTooDeep,
    /// A file name that is not valid UTF-8.
    InvalidName,
    /// The system denies access.
    PermissionDenied,
    /// The walk cannot list or examine the file.
    WalkFailed,
    /// The file cannot be opened.
    OpenFailed,
    /// The file was opened, but reading failed before its end.
    ReadFailed,
    /// The file grew past `index.max_file_size` while it was read.
    GrewTooLarge,
    /// Only a password or a key opens the file.
    Encrypted,
    /// The bytes do not follow their format.
    Malformed,
    /// The file holds more text, pages, members or nesting than a parser accepts.
    LimitExceeded,
    /// The parser crashed or panicked.
    ParserCrashed,
    /// The parser needed more memory or stack than it may use.
    ParserOutOfMemory,
    /// Parsing took too long.
    ParserTimeout,
    /// The parser process did not start.
    ParserUnavailable,
}

/// Failures that the next walk tries again: the file could not be opened, or grew while it was read.
const UNOPENED: [ReasonCode; 5] = [
    ReasonCode::InvalidName,
    ReasonCode::PermissionDenied,
    ReasonCode::WalkFailed,
    ReasonCode::OpenFailed,
    ReasonCode::GrewTooLarge,
];

impl ReasonCode {
    /// The code as a word, such as `no_text`. This word never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            ReasonCode::Empty => "empty",
            ReasonCode::Binary => "binary",
            ReasonCode::NoText => "no_text",
            ReasonCode::UnsupportedFormat => "unsupported_format",
            ReasonCode::SymbolicLink => "symbolic_link",
            ReasonCode::NotAFile => "not_a_file",
            ReasonCode::TooLarge => "too_large",
            ReasonCode::NestedTooDeep => "nested_too_deep",
            ReasonCode::InvalidName => "invalid_name",
            ReasonCode::PermissionDenied => "permission_denied",
            ReasonCode::WalkFailed => "walk_failed",
            ReasonCode::OpenFailed => "open_failed",
            ReasonCode::ReadFailed => "read_failed",
            ReasonCode::GrewTooLarge => "grew_too_large",
            ReasonCode::Encrypted => "encrypted",
            ReasonCode::Malformed => "malformed",
            ReasonCode::LimitExceeded => "limit_exceeded",
            ReasonCode::ParserCrashed => "parser_crashed",
            ReasonCode::ParserOutOfMemory => "parser_out_of_memory",
            ReasonCode::ParserTimeout => "parser_timeout",
            ReasonCode::ParserUnavailable => "parser_unavailable",
        }
    }

    /// `Skipped` for files left out on purpose, `Error` for files that failed.
    pub fn status(self) -> ItemStatus {
        match self {
            ReasonCode::Empty
            | ReasonCode::Binary
            | ReasonCode::NoText
            | ReasonCode::UnsupportedFormat
            | ReasonCode::SymbolicLink
            | ReasonCode::NotAFile
            | ReasonCode::TooLarge
            | ReasonCode::NestedTooDeep => ItemStatus::Skipped,
            _ => ItemStatus::Error,
        }
    }

    /// The hash recorded for a file whose bytes were not read to the end.
    ///
    /// The catalog keeps a content hash of every file and compares files by it. A file without bytes gets a
    /// hash of its code instead, so that comparing hashes compares codes.
    pub(crate) fn stand_in_hash(self) -> ContentHash {
        ContentHash::of(format!("no bytes: {}", self.as_str()).as_bytes())
    }

    /// Whether `hash` stands in for a file that could not be opened.
    pub(crate) fn is_unopened(hash: ContentHash) -> bool {
        // Earlier versions recorded the hash of no bytes for all of them.
        hash == ContentHash::of(b"") || UNOPENED.iter().any(|code| code.stand_in_hash() == hash)
    }
}

/// Why a file gives no text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code, for programs.
    pub code: ReasonCode,
    /// Message: the problem and, if possible, what to do.
    pub reason: String,
    /// Whether the same bytes may give text at another time. Such files are retried.
    #[serde(skip)]
    pub is_temporary: bool,
}

impl Refusal {
    /// A refusal that holds until the file changes.
    pub fn new(code: ReasonCode, reason: impl Into<String>) -> Refusal {
        Refusal {
            code,
            reason: reason.into(),
            is_temporary: false,
        }
    }

    /// `Skipped` for a file left out on purpose, `Error` for a file that failed.
    pub fn status(&self) -> ItemStatus {
        self.code.status()
    }

    /// A refusal whose cause may pass without a change of the file.
    pub(crate) fn temporary(code: ReasonCode, reason: impl Into<String>) -> Refusal {
        Refusal {
            is_temporary: true,
            ..Refusal::new(code, reason)
        }
    }

    /// Bytes that do not follow their `format`.
    pub(crate) fn malformed(format: &str, problem: impl Display) -> Refusal {
        Refusal::new(ReasonCode::Malformed, format!("malformed {format}: {problem}"))
    }

    /// A file that only a password opens.
    pub(crate) fn encrypted() -> Refusal {
        Refusal::new(
            ReasonCode::Encrypted,
            "encrypted with a password; save a copy without one",
        )
    }

    /// A file of a known kind, such as a "presentation", with no text in it.
    pub(crate) fn no_text(kind: &str) -> Refusal {
        Refusal::new(ReasonCode::NoText, format!("no text in this {kind}"))
    }

    /// A file of a `format` that no parser reads.
    pub(crate) fn unsupported(format: &str) -> Refusal {
        Refusal::new(
            ReasonCode::UnsupportedFormat,
            format!("unsupported format: {format}"),
        )
    }

    /// A file whose contents exceed a parser's limit.
    pub(crate) fn over_limit(reason: impl Into<String>) -> Refusal {
        Refusal::new(ReasonCode::LimitExceeded, reason)
    }

    /// A file that cannot be opened. Permissions may change without a change of the file, so the refusal is temporary.
    pub(crate) fn open_failed(error: &std::io::Error) -> Refusal {
        Refusal::temporary(code_of(error, ReasonCode::OpenFailed), cannot("open", error))
    }

    /// A file that the walk cannot list or examine. Not temporary: every walk examines the file again anyway.
    pub(crate) fn walk_failed(error: &ignore::Error) -> Refusal {
        match error.io_error() {
            Some(io) => Refusal::new(code_of(io, ReasonCode::WalkFailed), cannot("examine", io)),
            None => Refusal::new(ReasonCode::WalkFailed, error.to_string()),
        }
    }

    /// A file that was opened, but not read to its end.
    pub(crate) fn read_failed(error: &std::io::Error) -> Refusal {
        Refusal::temporary(ReasonCode::ReadFailed, cannot("read", error))
    }
}

fn code_of(error: &std::io::Error, otherwise: ReasonCode) -> ReasonCode {
    if error.kind() == ErrorKind::PermissionDenied {
        ReasonCode::PermissionDenied
    } else {
        otherwise
    }
}

/// Formats a system error without the path, because the item has the path already.
fn cannot(verb: &str, error: &std::io::Error) -> String {
    let cause = match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    };
    if error.kind() == ErrorKind::PermissionDenied {
        format!("cannot {verb} it: {cause}; check its permissions")
    } else {
        format!("cannot {verb} it: {cause}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_in_hashes_identify_unopened_files() {
        assert!(ReasonCode::is_unopened(
            ReasonCode::PermissionDenied.stand_in_hash()
        ));
        assert!(ReasonCode::is_unopened(ContentHash::of(b"")), "earlier versions");
        for code in [
            ReasonCode::ReadFailed,
            ReasonCode::TooLarge,
            ReasonCode::Malformed,
        ] {
            assert!(!ReasonCode::is_unopened(code.stand_in_hash()), "{code:?}");
        }
        assert_ne!(
            ReasonCode::OpenFailed.stand_in_hash(),
            ReasonCode::WalkFailed.stand_in_hash()
        );
    }

    #[test]
    fn codes_are_serialized_as_their_words() {
        let refusal = Refusal::new(ReasonCode::NotAFile, "x");
        let json = serde_json::to_value(&refusal).unwrap();
        assert_eq!(json["code"], refusal.code.as_str());
    }

    #[test]
    fn reasons_of_system_errors_leave_out_the_path() {
        let error = fs_err::File::open("/nonexistent/file").unwrap_err();
        let refusal = Refusal::open_failed(&error);
        assert_eq!(refusal.code, ReasonCode::OpenFailed);
        assert!(
            refusal.is_temporary && !refusal.reason.contains("/nonexistent"),
            "{refusal:?}"
        );
        let denied = Refusal::open_failed(&ErrorKind::PermissionDenied.into());
        assert_eq!(denied.code, ReasonCode::PermissionDenied);
        assert!(denied.reason.ends_with("check its permissions"), "{denied:?}");
    }
}
