//! Where documents come from.

mod folder;

pub(crate) use folder::{FolderWalk, ListedFile, Listing, NO_STAT};
