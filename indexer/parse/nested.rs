//! Parses files inside files, such as archive members and mail attachments, with limits on number, depth and size.

use super::package::{MAX_MEMBERS, MAX_UNPACKED};
use super::{Parsed, ReasonCode, Refusal, parse_within};

/// Deepest nesting of files inside files.
const MAX_DEPTH: usize = 3;

/// Remaining limits for unpacking one file.
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
            members: MAX_MEMBERS,
            bytes: MAX_UNPACKED,
        }
    }
}

impl Budget {
    /// Counts one more file.
    ///
    /// # Errors
    /// [`Refusal`] if there are too many.
    pub(super) fn count(&mut self) -> Result<(), Refusal> {
        if self.members == 0 {
            return Err(Refusal::over_limit(format!(
                "contains more than {MAX_MEMBERS} files"
            )));
        }
        self.members -= 1;
        Ok(())
    }

    /// Number of bytes that may still be unpacked.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Deducts unpacked bytes.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    /// Whether nothing more may be unpacked.
    pub(super) fn is_spent(&self) -> bool {
        self.bytes == 0 || self.members == 0
    }

    /// Enters a file inside the current one. Returns false if that would be too deep.
    pub(super) fn enter(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            return false;
        }
        self.depth += 1;
        true
    }

    /// Leaves the file that was entered last.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Parses the file `name` inside the current one.
    ///
    /// # Errors
    /// [`Refusal`] as for any file, or if it is nested too deep.
    pub(super) fn parse(&mut self, name: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
        self.count()?;
        if !self.enter() {
            return Err(too_deep());
        }
        let parsed = parse_within(name, bytes, self);
        self.leave();
        parsed
    }
}

/// Refuses a file that is nested deeper than the limit.
pub(super) fn too_deep() -> Refusal {
    Refusal::new(
        ReasonCode::NestedTooDeep,
        format!("nested more than {MAX_DEPTH} deep in other files; unpack it"),
    )
}
