//! JSON of documents.

use autorag_query::DocumentText;
use autorag_store::{DocumentEntry, Metadata};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// A document, without its text.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Document)]
pub struct DocumentWire {
    /// Key: the path within the source.
    pub key: String,
    /// Title, if the document has one.
    pub title: Option<String>,
    /// Type of the document, such as `markdown`, `html`, `pdf`, `docx`, `text` or `code`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Programming language of code. Absent for other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Size of the file in bytes.
    pub size: u64,
    /// Modification time of the file, RFC 3339.
    pub modified: String,
    /// Result of indexing: `completed`, `error` or `skipped`.
    pub status: &'static str,
    /// Why the document has no text. Absent if it has text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of passages.
    pub passages: u32,
    /// BLAKE3 hash of the indexed file.
    pub content_hash: String,
    /// Metadata from front matter, file properties and the like.
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

/// A page of documents, ordered by key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DocumentPage {
    /// The documents.
    pub documents: Vec<DocumentWire>,
    /// Pass as `cursor` to get the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// The text of a document, or a range of its lines.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = DocumentText)]
pub struct ReadWire {
    /// The document.
    #[serde(flatten)]
    pub document: DocumentWire,
    /// The requested lines of the extracted text.
    pub text: String,
    /// First line of `text`, from 1.
    pub start_line: u32,
    /// Last line of `text`. Less than `start_line` if the range is empty.
    pub end_line: u32,
    /// Number of lines of the document.
    pub total_lines: u32,
    /// State of the file compared with the index: `current`, `stale` (changed) or `deleted`.
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

/// RFC 3339 time with seconds, from nanoseconds since the Unix epoch.
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
    fn times_are_formatted_before_and_after_the_epoch() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000_999_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }
}
