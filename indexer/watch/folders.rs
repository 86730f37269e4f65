//! Watches exactly the folders that the last walk entered, each without its subfolders.
//!
//! A recursive watch of the whole source would be simpler. But then a build in an ignored folder, or our own
//! index inside the source, would trigger walk after walk.

use std::collections::BTreeSet;
use std::io::ErrorKind as IoKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Shared, lock};
use crate::descriptors;

/// The watched folders.
#[derive(Default)]
pub(super) struct WatchedFolders {
    system: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

/// Result of [`WatchedFolders::update`].
#[derive(Debug, Default)]
pub(super) struct WatchUpdate {
    /// Whether the update added a watch.
    pub has_new: bool,
    /// Why a folder cannot be watched, and how to fix that.
    pub failure: Option<String>,
}

impl WatchedFolders {
    /// Watches the folders in `wanted` and no others.
    pub(super) fn update(&mut self, wanted: &BTreeSet<PathBuf>, shared: &Arc<Shared>) -> WatchUpdate {
        let events = std::mem::take(&mut *lock(&shared.events));
        let mut stale: Vec<PathBuf> = if events.lost {
            self.watched.iter().cloned().collect()
        } else {
            self.watched.difference(wanted).cloned().collect()
        };
        for path in &events.moved {
            stale.extend(below(&self.watched, path).cloned());
        }
        let mut update = WatchUpdate::default();
        let system = match &mut self.system {
            Some(system) => system,
            none => match start(shared) {
                Ok(system) => none.insert(system),
                Err(error) => {
                    update.failure = Some(explain(&error, None));
                    return update;
                }
            },
        };
        let mut paths = system.paths_mut();
        for path in stale {
            // Fails if the folder is gone, and then its watch is gone too.
            let _ = paths.remove(&path);
            self.watched.remove(&path);
        }
        for path in wanted {
            if self.watched.contains(path) {
                continue;
            }
            match paths.add(path, RecursiveMode::NonRecursive) {
                Ok(()) => update.has_new |= self.watched.insert(path.clone()),
                // The walk or an event of the parent folder reports this change.
                Err(error) if is_gone_or_denied(&error) => {}
                Err(error) => {
                    update.failure = Some(explain(&error, Some(path)));
                    break;
                }
            }
        }
        if let Err(error) = paths.commit() {
            update.failure = Some(explain(&error, None));
        }
        update
    }
}

fn start(shared: &Arc<Shared>) -> notify::Result<RecommendedWatcher> {
    let shared = Arc::clone(shared);
    notify::recommended_watcher(move |event| {
        let is_change = lock(&shared.events).record(event);
        if is_change {
            shared.schedule_change();
        }
    })
}

/// `path` and the watched folders below it. Paths are ordered by component, so they are contiguous.
fn below<'a>(watched: &'a BTreeSet<PathBuf>, path: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
    watched
        .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
        .take_while(move |candidate| candidate.starts_with(path))
}

fn is_gone_or_denied(error: &notify::Error) -> bool {
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
        // Each watcher uses one inotify instance. If none is left, the system reports "too many open files".
        ErrorKind::Io(io) if path.is_none() && descriptors::is_own_limit(io) => {
            Some("fs.inotify.max_user_instances")
        }
        _ => None,
    };
    match too_many {
        Some(limit) => format!(
            "cannot watch {what}: the system limit {limit} is reached; raise it, or exclude folders with .autoragignore"
        ),
        None => format!("cannot watch {what}: {error}; set index.watch = \"poll\" to silence this warning"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_folder_includes_its_subfolders_and_nothing_else() {
        let watched: BTreeSet<PathBuf> = ["/d", "/d/a", "/d/a/x", "/d/a/x/y", "/d/a-b", "/d/b"]
            .map(PathBuf::from)
            .into();
        let moved: Vec<_> = below(&watched, Path::new("/d/a")).collect();
        assert_eq!(
            moved,
            [Path::new("/d/a"), Path::new("/d/a/x"), Path::new("/d/a/x/y")]
        );
        assert_eq!(below(&watched, Path::new("/d/c")).count(), 0);
        assert_eq!(below(&watched, Path::new("/d/a/x/file.md")).count(), 0);
    }
}
