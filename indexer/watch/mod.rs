//! Notices that something in the folders may have changed.
//!
//! A notice never says what has changed, only that it is time to walk: the walk alone knows ignore files, globs and renames.
//! So a lost or superfluous event costs time, and never a wrong index.

mod events;
mod folders;
mod schedule;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::Cancel;
use events::Events;
use folders::Folders;
pub use schedule::Reason;
use schedule::Schedule;

/// How often folders are walked where events do not work.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// By events of the file system, or by polling where those cannot be had.
    Auto,
    /// By a walk every few seconds.
    Poll,
}

/// How changes are noticed, and how often what was missed is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// How changes are noticed.
    pub mode: WatchMode,
    /// Time between walks that no event asked for.
    pub reconcile: Option<Duration>,
}

/// Says when the folders are to be walked again.
pub struct Watcher {
    options: WatchOptions,
    shared: Arc<Shared>,
    folders: Mutex<Folders>,
    /// Whether some folder cannot be watched.
    polls: AtomicBool,
    /// Devices that sources are on.
    devices: Mutex<HashMap<PathBuf, u64>>,
}

/// What the thread that receives events has to tell the one that waits.
struct Shared {
    schedule: Mutex<Schedule>,
    events: Mutex<Events>,
    waiter: Thread,
}

impl Shared {
    /// Has the folders walked soon.
    fn changed(&self) {
        lock(&self.schedule).changed(Instant::now());
        self.waiter.unpark();
    }
}

impl Watcher {
    /// A watcher for the thread that makes it: only that one may [`Watcher::wait`], and unparking it ends its wait early.
    /// Nothing is watched before the first walk.
    pub fn new(options: WatchOptions) -> Watcher {
        Watcher {
            options,
            shared: Arc::new(Shared {
                schedule: Mutex::default(),
                events: Mutex::default(),
                waiter: std::thread::current(),
            }),
            folders: Mutex::default(),
            polls: AtomicBool::new(options.mode == WatchMode::Poll),
            devices: Mutex::default(),
        }
    }

    /// Waits until the folders are to be walked, `at_most` so long. `None` when that is over, or when asked to stop.
    pub fn wait(&self, cancel: &Cancel, at_most: Duration) -> Option<Reason> {
        let end = Instant::now() + at_most;
        while !cancel.is_cancelled() {
            let now = Instant::now();
            let next = lock(&self.shared.schedule).next();
            if let Some((_, reason)) = next.filter(|(at, _)| *at <= now) {
                return Some(reason);
            }
            let until = next.map_or(end, |(at, _)| at.min(end));
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
        None
    }

    /// Has the folders walked after a while at the latest.
    pub fn no_later_than(&self, after: Duration) {
        lock(&self.shared.schedule).no_later_than(Instant::now() + after);
    }

    /// Has the folders walked after a while, since the last run failed.
    pub fn retry(&self, after: Duration) {
        lock(&self.shared.schedule).retry(Instant::now() + after);
    }

    /// Has what was noticed so far wait for the next walk: someone has ended the last one, and it would begin anew at once.
    pub fn forget(&self) {
        lock(&self.shared.schedule).forget();
    }

    /// Whether the folders are to be walked now.
    pub(crate) fn is_due(&self) -> bool {
        let next = lock(&self.shared.schedule).next();
        next.is_some_and(|(at, _)| at <= Instant::now())
    }

    /// A walk begins: it will see whatever has changed up to now. One that nothing asked for is the time to set up every watch
    /// anew, should one have been lost, to a disk that was unmounted for a while say.
    pub(crate) fn walking(&self, routine: bool) {
        lock(&self.shared.schedule).walking();
        if routine && !self.polls.load(Ordering::Relaxed) {
            lock(&self.shared.events).lost = true;
        }
    }

    /// Whether a source is but the empty mount point of the disk that it was on in the last walk.
    pub(crate) fn is_unmounted(&self, root: &Path) -> bool {
        let Some(device) = device(root) else { return false };
        let mut devices = lock(&self.devices);
        let moved = devices.get(root).is_some_and(|known| *known != device);
        let is_empty = || fs_err::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
        if moved && is_empty() {
            return true;
        }
        devices.insert(root.to_owned(), device);
        false
    }

    /// A walk has found these folders, in this time. They are what is watched from now on.
    pub(crate) fn walked(&self, found: &BTreeSet<PathBuf>, took: Duration) {
        if self.options.mode == WatchMode::Auto {
            let followed = lock(&self.folders).follow(found, &self.shared);
            let polls = followed.failure.is_some();
            if let Some(failure) = followed.failure
                && !self.polls.load(Ordering::Relaxed)
            {
                let seconds = POLL_EVERY.as_secs();
                tracing::warn!("{failure}; the folders are walked every {seconds} s instead");
            }
            self.polls.store(polls, Ordering::Relaxed);
            if followed.more {
                // Something may have come into a folder between the walk and the watch.
                self.shared.changed();
            }
        }
        let every = match self.polls.load(Ordering::Relaxed) {
            true => Some(POLL_EVERY),
            false => self.options.reconcile,
        };
        lock(&self.shared.schedule).walked(Instant::now(), took, every);
    }
}

#[cfg(unix)]
fn device(root: &Path) -> Option<u64> {
    let meta = fs_err::metadata(root).ok()?;
    Some(std::os::unix::fs::MetadataExt::dev(&meta))
}

#[cfg(not(unix))]
fn device(_root: &Path) -> Option<u64> {
    None
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves at worst a superfluous walk behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(mode: WatchMode) -> Watcher {
        Watcher::new(WatchOptions {
            mode,
            reconcile: None,
        })
    }

    fn planned(watcher: &Watcher) -> Option<Reason> {
        lock(&watcher.shared.schedule).next().map(|(_, reason)| reason)
    }

    #[test]
    fn a_folder_watched_anew_is_walked_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let folders = BTreeSet::from([dir.path().to_owned()]);
        let watcher = watcher(WatchMode::Auto);
        assert_eq!(planned(&watcher), None);
        watcher.walking(false);
        watcher.walked(&folders, Duration::ZERO);
        assert_eq!(planned(&watcher), Some(Reason::Change));
        watcher.walking(false);
        watcher.walked(&folders, Duration::ZERO);
        assert_eq!(planned(&watcher), None);
        fs_err::write(dir.path().join("a.md"), "text").unwrap();
        let long = Duration::from_secs(60);
        assert_eq!(watcher.wait(&Cancel::default(), Duration::ZERO), None);
        assert_eq!(watcher.wait(&Cancel::default(), long), Some(Reason::Change));
        assert!(watcher.is_due());
    }

    #[cfg(unix)]
    #[test]
    fn an_empty_folder_on_another_device_is_a_mount_point() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = watcher(WatchMode::Auto);
        assert!(!watcher.is_unmounted(dir.path()), "nothing is known of it");
        let on_another = |watcher: &Watcher| {
            let device = device(dir.path()).unwrap() + 1;
            lock(&watcher.devices).insert(dir.path().to_owned(), device);
        };
        on_another(&watcher);
        assert!(watcher.is_unmounted(dir.path()));
        assert!(watcher.is_unmounted(dir.path()), "and stays one");
        fs_err::write(dir.path().join("a.md"), "text").unwrap();
        assert!(!watcher.is_unmounted(dir.path()), "another disk with files");
        fs_err::remove_file(dir.path().join("a.md")).unwrap();
        assert!(!watcher.is_unmounted(dir.path()), "emptied on the same disk");
    }

    #[test]
    fn a_wait_ends_when_asked_to_stop() {
        let (cancel, watcher) = (Cancel::default(), watcher(WatchMode::Poll));
        watcher.walked(&BTreeSet::new(), Duration::ZERO);
        assert_eq!(planned(&watcher), Some(Reason::Routine));
        let (stop, waiter) = (cancel.clone(), std::thread::current());
        std::thread::spawn(move || {
            stop.cancel();
            waiter.unpark();
        });
        assert_eq!(watcher.wait(&cancel, Duration::from_secs(60)), None);
    }
}
