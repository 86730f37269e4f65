//! Where documents come from.

mod folder;

pub(crate) use folder::{Found, Listing, list};
