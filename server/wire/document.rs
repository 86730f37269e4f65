//! Documents on the wire.

use autorag_query::DocumentText;
use autorag_store::{DocumentEntry, Metadata};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// A document without its text.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Document)]
pub struct DocumentWire {
    /// Path within the source.
    pub key: String,
    /// Title, where there is one.
    pub title: Option<String>,
    /// Kind of document: `markdown`, `html`, `pdf`, `docx`, `text`, `code` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Programming language of code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Size of the file, bytes.
    pub size: u64,
    /// When the file was last modified, RFC 3339.
    pub modified: String,
    /// What became of it: `completed`, `error` or `skipped`.
    pub status: &'static str,
    /// Why it has no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many passages it was cut into.
    pub passages: u32,
    /// BLAKE3 of the file's bytes as indexed.
    pub content_hash: String,
    /// Front matter and the like.
    #[schema(value_type = Object)]
    pub metadata: Metadata,
}

impl From<&DocumentEntry> for DocumentWire {
    fn from(entry: &DocumentEntry) -> DocumentWire {
        DocumentWire {
            key: entry.key.to_string(),
            title: entry.title.clone(),
            kind: entry.kind.to_string(),
            language: entry.language.clone(),
            size: entry.stat.size,
            modified: rfc3339(entry.stat.modified_ns),
            status: entry.status.as_str(),
            reason: entry.reason.clone(),
            passages: entry.passages,
            content_hash: entry.source_hash.to_string(),
            metadata: entry.metadata.clone(),
        }
    }
}

/// A page of documents, in the order of their keys.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DocumentPage {
    /// The documents.
    pub documents: Vec<DocumentWire>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next_cursor: Option<String>,
}

/// A document's text, or some lines of it.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = DocumentText)]
pub struct ReadWire {
    /// The document.
    #[serde(flatten)]
    pub document: DocumentWire,
    /// The lines asked for, as extracted.
    pub text: String,
    /// First line given, from 1.
    pub start_line: u32,
    /// Last line given; less than `start_line` where the range is empty.
    pub end_line: u32,
    /// How many lines the document has.
    pub total_lines: u32,
    /// Whether the file is still as it was indexed: `current`, `stale` or `deleted`.
    pub freshness: &'static str,
}

impl From<DocumentText> for ReadWire {
    fn from(read: DocumentText) -> ReadWire {
        ReadWire {
            document: DocumentWire::from(read.document.as_ref()),
            text: read.text,
            start_line: read.start_line,
            end_line: read.end_line,
            total_lines: read.total_lines,
            freshness: read.freshness.as_str(),
        }
    }
}

/// Nanoseconds since the Unix epoch as RFC 3339, to the second.
pub(super) fn rfc3339(ns: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ns.div_euclid(1_000_000_000));
    time.ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_before_and_after_the_epoch() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000_999_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }
}
