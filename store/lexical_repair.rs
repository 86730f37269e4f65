//! Rebuilding a damaged lexical index in the background while queries continue. The rebuilt index includes changes made meanwhile,
//! because they are in the catalog.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use tantivy::index::SegmentId;

use crate::{ErrorChain, Snapshot, Store, StoreError};

/// Delay before another attempt after a failed rebuild, for example on a full disk.
const RETRY_DELAY: Duration = Duration::from_secs(30);
/// Spend at most 1/CHECK_SHARE of wall time on integrity checks.
const CHECK_SHARE: u32 = 200;

impl Store {
    /// Reports that a search on `snapshot` failed because the lexical index is damaged, see [`StoreError::is_lexical_damage`].
    ///
    /// Snapshots taken from now on have no lexical index, until it is rebuilt. A writer starts the rebuild in a background thread. A
    /// reader waits for the writer to do so.
    pub fn report_lexical_damage(self: &Arc<Store>, snapshot: &Snapshot) {
        // Without a lexical index in the snapshot, the damage was reported before.
        let Some(view) = &snapshot.lexical else { return };
        let damaged = view.segment_ids();
        if !self.is_writer() {
            let mut publisher = self.publisher();
            publisher.suspend_lexical(damaged);
            self.current.replace(publisher.snapshot());
            return;
        }
        self.current.remove_lexical(&damaged);
        if self.rebuilding.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("lexical-rebuild".into());
        if let Err(error) = thread.spawn(move || rebuild(&store, &damaged)) {
            tracing::error!("cannot start a thread to rebuild the damaged lexical index: {error}");
            self.rebuilding.store(false, Ordering::Release);
        }
    }

    /// Verifies the checksums of the lexical index, and starts a rebuild if one does not match.
    ///
    /// Without this check, damage in mapped memory can go unnoticed: searches just miss the damaged terms. Does nothing in a
    /// reader, for a large index, or soon after the last check.
    ///
    /// # Errors
    /// When the files of the index cannot be read.
    pub fn verify_lexical(self: &Arc<Store>) -> Result<(), StoreError> {
        if !self.is_writer() || self.rebuilding.load(Ordering::Acquire) {
            return Ok(());
        }
        let checked = {
            let publisher = self.publisher();
            let mut due = self
                .lexical_check_due
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let started = Instant::now();
            if due.is_some_and(|due| started < due) {
                return Ok(());
            }
            let checked = publisher.check_lexical();
            *due = Some(Instant::now() + started.elapsed() * CHECK_SHARE);
            checked
        };
        match checked {
            Err(error) if error.is_lexical_damage() => {
                tracing::warn!("{}", ErrorChain(&error));
                self.report_lexical_damage(&self.current.get());
                Ok(())
            }
            checked => checked,
        }
    }

    fn rebuild_lexical(&self, damaged: &[SegmentId]) -> Result<(), StoreError> {
        let mut publisher = self.publisher();
        // An indexing run may have found the same damage and rebuilt the index already.
        if publisher.has_damaged(damaged) {
            publisher.rebuild_lexical()?;
            publisher.close_lexical_writer()?;
        }
        self.current.replace(publisher.snapshot());
        // Clear the flag while the publisher is locked: damage found in a later snapshot must start another rebuild.
        self.rebuilding.store(false, Ordering::Release);
        Ok(())
    }
}

/// Rebuilds the index, with retries until it succeeds or the store is closed.
fn rebuild(store: &Weak<Store>, damaged: &[SegmentId]) {
    while let Some(open) = store.upgrade() {
        tracing::warn!(
            "the lexical index of {} is damaged; rebuilding it",
            open.dir().display()
        );
        match open.rebuild_lexical(damaged) {
            Ok(()) => {
                tracing::info!("the lexical index is rebuilt");
                return;
            }
            Err(error) => tracing::error!("cannot rebuild the lexical index: {}", ErrorChain(&error)),
        }
        drop(open);
        std::thread::sleep(RETRY_DELAY);
    }
}
