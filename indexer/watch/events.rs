//! Classifies file system events for the watcher.

use std::path::PathBuf;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};

/// What the events since the last walk mean for the watches themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// Removed and renamed paths. If a watched folder is among them, its watch has ended or is on a folder that
    /// is gone.
    pub moved: Vec<PathBuf>,
    /// Whether events were lost. Any watch may have ended unnoticed.
    pub lost: bool,
}

impl Events {
    /// Records an event. Returns whether the event is a reason to walk.
    pub(super) fn record(&mut self, event: notify::Result<Event>) -> bool {
        let Ok(event) = event else {
            self.lost = true;
            return true;
        };
        self.lost |= event.need_rescan();
        match event.kind {
            // Our own walks and reads cause the other access events.
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                self.moved.extend(event.paths);
                true
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind, RenameMode};

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event::new(kind).add_path("/docs/a".into())
    }

    #[test]
    fn reading_is_not_a_change() {
        let mut events = Events::default();
        for kind in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Read,
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!events.record(Ok(event(EventKind::Access(kind)))), "{kind:?}");
        }
        assert_eq!(events, Events::default());
    }

    #[test]
    fn writing_is_a_change_and_ends_no_watch() {
        let mut events = Events::default();
        for kind in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::Folder),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
        ] {
            assert!(events.record(Ok(event(kind))), "{kind:?}");
        }
        assert_eq!(events, Events::default());
    }

    #[test]
    fn removing_or_renaming_may_end_a_watch() {
        for kind in [
            EventKind::Remove(RemoveKind::Folder),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
        ] {
            let mut events = Events::default();
            assert!(events.record(Ok(event(kind))));
            assert_eq!(events.moved, [PathBuf::from("/docs/a")]);
        }
    }

    #[test]
    fn an_overflow_or_an_error_may_end_every_watch() {
        for event in [
            Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)),
            Err(notify::Error::generic("no idea")),
        ] {
            let mut events = Events::default();
            assert!(events.record(event));
            assert!(events.lost);
        }
    }
}
