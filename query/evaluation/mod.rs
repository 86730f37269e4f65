//! Evaluation of rankings: collections of documents, questions and judgments; standard measures; TREC runs.

mod collection;
mod known_items;
mod measures;
mod run;

pub use collection::{Collection, CollectionDocument, Judgments, Question};
pub use known_items::known_items;
pub use measures::Measures;
pub use run::Run;
