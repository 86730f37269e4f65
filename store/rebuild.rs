//! The lexical index made anew behind answers, where one of them has met damage. What changes meanwhile is in the catalog, and is in
//! the new index as well.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use tantivy::index::SegmentId;

use crate::{ErrorChain, Snapshot, Store, StoreError};

/// How soon it is tried again where it cannot be written, on a full disk say.
const RETRY: Duration = Duration::from_secs(30);
/// Looking for damage is to take one in so many parts of the time.
const REST: u32 = 200;

impl Store {
    /// To be told when words of a snapshot could not be searched because their index is damaged
    /// ([`StoreError::is_lexical_damage`]). The next snapshots are without it, until it is made anew: in a thread of this process
    /// if it writes, else by the one that does.
    pub fn report_lexical_damage(self: &Arc<Store>, met_in: &Snapshot) {
        // Someone else has met it before.
        let Some(view) = &met_in.lexical else { return };
        let damaged = view.segment_ids();
        if !self.is_writer() {
            let mut publisher = self.publisher();
            publisher.lexical_is_damaged(damaged);
            match publisher.snapshot() {
                Ok(snapshot) => self.published.replace(snapshot),
                Err(error) => tracing::warn!("words cannot be searched: {}", ErrorChain(&error)),
            }
            return;
        }
        self.published.take_out_lexical(&damaged);
        if self.rebuilding.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("lexical-rebuild".into());
        if let Err(error) = thread.spawn(move || rebuild(&store, &damaged)) {
            tracing::error!("the lexical index is damaged, and cannot be made anew now: {error}");
            self.rebuilding.store(false, Ordering::Release);
        }
    }

    /// Compares the lexical index, up to a size, with its checksums, unless it was done lately, and has it made anew where they
    /// differ: words that are damaged in memory that is mapped may just not be found.
    ///
    /// # Errors
    /// When its files cannot be read.
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
            let checked = publisher.verify_lexical();
            *due = Some(Instant::now() + started.elapsed() * REST);
            checked
        };
        match checked {
            Err(error) if error.is_lexical_damage() => {
                tracing::warn!("{}", ErrorChain(&error));
                self.report_lexical_damage(&self.published.current());
                Ok(())
            }
            checked => checked,
        }
    }

    fn rebuild_lexical(&self, damaged: &[SegmentId]) -> Result<(), StoreError> {
        let mut publisher = self.publisher();
        // A run may have met the damage, too, and been faster.
        if publisher.has_damaged(damaged) {
            publisher.rebuild_lexical()?;
            publisher.rest()?;
        }
        self.published.replace(publisher.snapshot()?);
        // Before others may publish: damage that is met from here on is another.
        self.rebuilding.store(false, Ordering::Release);
        Ok(())
    }
}

/// Tries until it is done, or the store is closed.
fn rebuild(store: &Weak<Store>, damaged: &[SegmentId]) {
    while let Some(open) = store.upgrade() {
        tracing::warn!(
            "the lexical index of {} is damaged; it is made anew",
            open.dir().display()
        );
        match open.rebuild_lexical(damaged) {
            Ok(()) => {
                tracing::info!("the lexical index is made anew");
                return;
            }
            Err(error) => tracing::error!("the lexical index could not be made anew: {}", ErrorChain(&error)),
        }
        drop(open);
        std::thread::sleep(RETRY);
    }
}
