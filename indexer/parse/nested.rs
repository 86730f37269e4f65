//! Files within files: members of archives and attachments of mail, with limits on how many, how deep and how large.

use super::package::{MOST_MEMBERS, MOST_UNPACKED};
use super::{Parsed, Refusal, parse_within};

/// Deepest nesting of files within files.
const DEEPEST: usize = 3;

/// What one file may still unfold to.
#[derive(Debug)]
pub(super) struct Budget {
    depth: usize,
    members: usize,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            depth: 0,
            members: MOST_MEMBERS,
            bytes: MOST_UNPACKED,
        }
    }
}

impl Budget {
    /// Counts one more file.
    ///
    /// # Errors
    /// [`Refusal`] where there are too many.
    pub(super) fn count(&mut self) -> Result<(), Refusal> {
        if self.members == 0 {
            return Err(Refusal::error(format!("it holds more than {MOST_MEMBERS} files")));
        }
        self.members -= 1;
        Ok(())
    }

    /// Bytes that may still be unpacked.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes note that so much was unpacked.
    pub(super) fn unpacked(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    /// Whether nothing more may be unpacked.
    pub(super) fn is_spent(&self) -> bool {
        self.bytes == 0 || self.members == 0
    }

    /// Goes one file deeper; whether that is still allowed.
    pub(super) fn enter(&mut self) -> bool {
        if self.depth >= DEEPEST {
            return false;
        }
        self.depth += 1;
        true
    }

    /// Comes back from it.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Parses the file `name` within this one.
    ///
    /// # Errors
    /// [`Refusal`] as for any file, and where it is too deep.
    pub(super) fn parse(&mut self, name: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
        self.count()?;
        if !self.enter() {
            return Err(Refusal::skipped(format!(
                "a file more than {DEEPEST} deep within others"
            )));
        }
        let parsed = parse_within(name, bytes, self);
        self.leave();
        parsed
    }
}
