//! How good the rankings are: a collection of documents, questions and judgments, and the measures of the field.

mod collection;
mod known_items;
mod measures;
mod run;

pub use collection::{Collection, CollectionDocument, Judgments, Question};
pub use known_items::known_items;
pub use measures::Measures;
pub use run::Run;
