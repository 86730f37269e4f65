//! The JSON of the native API. HTTP, MCP and `--json` print it; the libraries do not know it.

mod answer;
mod document;
mod error;
mod explanation;
mod job;
mod search;
mod status;

pub use answer::{AnswerWire, BelowThresholdWire, DegradationWire, DuplicateWire, FusionWire, HitWire};
pub use document::{DocumentPage, DocumentWire, ReadWire};
pub use error::{ErrorBody, ErrorWire};
pub use explanation::{ExplanationWire, TermWire};
pub use job::{JobActionBody, JobItemWire, JobLogPage, JobPage, JobWire, NewJobBody, NewJobWire};
pub use search::{BoostBody, SearchBody};
pub use status::{IndexStateWire, StatusWire};
