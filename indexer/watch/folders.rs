//! The folders being watched: those that the last walk entered, each by itself.
//!
//! Watching a source as a whole would be simpler, but then a build in an ignored folder, or our own index inside of the
//! source, would keep us walking.

use std::collections::BTreeSet;
use std::io::ErrorKind as IoKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Shared, lock};

/// Folders, and the system's watches of them.
#[derive(Default)]
pub(super) struct Folders {
    system: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

/// What came of following a walk.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Whether folders are watched now that were not before.
    pub more: bool,
    /// Why some folder is not watched, and what to do about it.
    pub failure: Option<String>,
}

impl Folders {
    /// Watches the folders in `found` and no others.
    pub(super) fn follow(&mut self, found: &BTreeSet<PathBuf>, shared: &Arc<Shared>) -> Followed {
        let events = std::mem::take(&mut *lock(&shared.events));
        let mut over: Vec<PathBuf> = match events.lost {
            true => self.watched.iter().cloned().collect(),
            false => self.watched.difference(found).cloned().collect(),
        };
        for path in &events.moved {
            over.extend(within(&self.watched, path).cloned());
        }
        let mut followed = Followed::default();
        let system = match &mut self.system {
            Some(system) => system,
            none => match start(shared) {
                Ok(system) => none.insert(system),
                Err(error) => {
                    followed.failure = Some(explain(&error, None));
                    return followed;
                }
            },
        };
        let mut paths = system.paths_mut();
        for path in over {
            // Where the folder is gone, so is its watch.
            let _ = paths.remove(&path);
            self.watched.remove(&path);
        }
        for path in found {
            if self.watched.contains(path) {
                continue;
            }
            match paths.add(path, RecursiveMode::NonRecursive) {
                Ok(()) => followed.more |= self.watched.insert(path.clone()),
                // What it was is told by an event of the folder that it was in, or by the walk.
                Err(error) if is_gone_or_closed(&error) => {}
                Err(error) => {
                    followed.failure = Some(explain(&error, Some(path)));
                    break;
                }
            }
        }
        if let Err(error) = paths.commit() {
            followed.failure = Some(explain(&error, None));
        }
        followed
    }
}

fn start(shared: &Arc<Shared>) -> notify::Result<RecommendedWatcher> {
    let shared = Arc::clone(shared);
    notify::recommended_watcher(move |event| {
        let is_reason = lock(&shared.events).take_note(event);
        if is_reason {
            shared.changed();
        }
    })
}

/// `path` and what is under it. Paths are in the order of their components, so these stand together.
fn within<'a>(watched: &'a BTreeSet<PathBuf>, path: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
    watched
        .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
        .take_while(move |candidate| candidate.starts_with(path))
}

fn is_gone_or_closed(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(io) => matches!(io.kind(), IoKind::NotFound | IoKind::PermissionDenied),
        _ => false,
    }
}

fn explain(error: &notify::Error, path: Option<&Path>) -> String {
    let what = path.map_or_else(|| "the folders".to_owned(), |path| path.display().to_string());
    let too_many = match &error.kind {
        ErrorKind::MaxFilesWatch => Some("fs.inotify.max_user_watches"),
        // Each process that watches anything takes one; having none left is told as "too many open files".
        ErrorKind::Io(io) if path.is_none() && io.raw_os_error() == Some(24) => {
            Some("fs.inotify.max_user_instances")
        }
        _ => None,
    };
    match too_many {
        Some(limit) => format!(
            "cannot watch {what}: the system's limit {limit} is reached (raise it with sysctl, or leave folders out \
             with .autoragignore)"
        ),
        None => format!("cannot watch {what}: {error} (index.watch = \"poll\" does not try to)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_all_that_is_in_it_and_nothing_else() {
        let watched: BTreeSet<PathBuf> = ["/d", "/d/a", "/d/a/x", "/d/a/x/y", "/d/a-b", "/d/b"]
            .map(PathBuf::from)
            .into();
        let found: Vec<_> = within(&watched, Path::new("/d/a")).collect();
        assert_eq!(
            found,
            [Path::new("/d/a"), Path::new("/d/a/x"), Path::new("/d/a/x/y")]
        );
        assert_eq!(within(&watched, Path::new("/d/c")).count(), 0);
        assert_eq!(within(&watched, Path::new("/d/a/x/file.md")).count(), 0);
    }
}
