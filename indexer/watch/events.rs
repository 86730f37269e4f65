//! What events of the file system mean to the watcher.

use std::path::PathBuf;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};

/// What the events since the last walk say of the watches themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// Paths removed, renamed or put in the place of others. Where one was a watched folder, its watch is over, or is one of
    /// something that is no longer there.
    pub moved: Vec<PathBuf>,
    /// Whether events were lost, so that any watch may be over.
    pub lost: bool,
}

impl Events {
    /// Takes note of an event. Whether it is a reason to walk.
    pub(super) fn take_note(&mut self, event: notify::Result<Event>) -> bool {
        let Ok(event) = event else {
            self.lost = true;
            return true;
        };
        self.lost |= event.need_rescan();
        match event.kind {
            // Opening and reading is what we do ourselves.
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
    fn reading_is_no_change() {
        let mut events = Events::default();
        for kind in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Read,
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!events.take_note(Ok(event(EventKind::Access(kind)))), "{kind:?}");
        }
        assert_eq!(events, Events::default());
    }

    #[test]
    fn writing_is_one_and_leaves_watches_as_they_are() {
        let mut events = Events::default();
        for kind in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::Folder),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
        ] {
            assert!(events.take_note(Ok(event(kind))), "{kind:?}");
        }
        assert_eq!(events, Events::default());
    }

    #[test]
    fn what_goes_or_is_renamed_may_end_a_watch() {
        for kind in [
            EventKind::Remove(RemoveKind::Folder),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
        ] {
            let mut events = Events::default();
            assert!(events.take_note(Ok(event(kind))));
            assert_eq!(events.moved, [PathBuf::from("/docs/a")]);
        }
    }

    #[test]
    fn an_overflow_or_an_error_puts_every_watch_in_doubt() {
        for event in [
            Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)),
            Err(notify::Error::generic("no idea")),
        ] {
            let mut events = Events::default();
            assert!(events.take_note(event));
            assert!(events.lost);
        }
    }
}
