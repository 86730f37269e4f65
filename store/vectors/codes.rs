//! The codes of a block: held in memory while it fills, then where they lie in the file anyway.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

/// Codes of 8 bits, vector after vector.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    dimensions: usize,
    place: Place,
    /// Where vectors lie in the file, as far as one follows the other at the same distance.
    spans: Vec<Span>,
}

#[derive(Debug, Clone)]
enum Place {
    Held(Vec<i8>),
    Mapped(Arc<Mmap>),
}

/// Vectors that lie at equal distances.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The first of them.
    row: usize,
    /// Where its codes begin: in the file, or in the mapping once there is one.
    at: u64,
    /// From one to the next.
    stride: u64,
}

/// Vectors whose codes can be taken in one go.
pub(crate) struct Run<'a> {
    /// Which of the block.
    pub rows: Range<usize>,
    /// Their codes, from the first on.
    pub codes: &'a [i8],
    /// How far one lies after the one before.
    pub stride: usize,
}

impl Codes {
    pub(crate) fn new(dimensions: usize) -> Codes {
        Codes {
            dimensions,
            place: Place::Held(Vec::new()),
            spans: Vec::new(),
        }
    }

    /// Adds those of a vector that lie at byte `at` of the file. To what is mapped nothing can be added.
    pub(crate) fn push(&mut self, codes: &[i8], at: u64) {
        let Place::Held(held) = &mut self.place else {
            return;
        };
        let row = held.len() / self.dimensions.max(1);
        held.extend_from_slice(codes);
        match self.spans.last_mut() {
            // Two may lie at any distance; further ones have to keep it.
            Some(span) if row == span.row + 1 && at > span.at => span.stride = at - span.at,
            Some(span) if at == span.at + (row - span.row) as u64 * span.stride => {}
            _ => self.spans.push(Span { row, at, stride: 0 }),
        }
    }

    /// Leaves them in `file` from here on.
    pub(crate) fn map(&mut self, file: &File) -> io::Result<()> {
        let Place::Held(held) = &self.place else {
            return Ok(());
        };
        let rows = held.len() / self.dimensions.max(1);
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else {
            return Ok(());
        };
        let (first, last) = (first.at, last.at + (rows - 1 - last.row) as u64 * last.stride);
        let length = usize::try_from(last + self.dimensions as u64 - first).map_err(io::Error::other)?;
        // SAFETY: what is mapped was written whole and made durable, and such parts of the file are never changed nor cut off
        // by any process that keeps to the store's lock: new vectors are appended, and a new generation is a new file.
        let map = unsafe { MmapOptions::new().offset(first).len(length).map(file)? };
        self.spans.iter_mut().for_each(|span| span.at -= first);
        self.place = Place::Mapped(Arc::new(map));
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.place, Place::Mapped(_))
    }

    /// Those of one vector.
    pub(crate) fn of(&self, row: usize) -> &[i8] {
        let at = match &self.place {
            Place::Held(_) => row * self.dimensions,
            Place::Mapped(_) => {
                let after = self.spans.partition_point(|span| span.row <= row);
                let span = self.spans[after - 1];
                (span.at + (row - span.row) as u64 * span.stride) as usize
            }
        };
        &self.all()[at..][..self.dimensions]
    }

    /// Those of the first `rows` vectors, in order.
    pub(crate) fn runs(&self, rows: usize) -> Vec<Run<'_>> {
        let whole = [Span {
            row: 0,
            at: 0,
            stride: self.dimensions as u64,
        }];
        let spans = match &self.place {
            Place::Held(_) => &whole,
            Place::Mapped(_) => self.spans.as_slice(),
        };
        let run = |(index, span): (usize, &Span)| Run {
            rows: span.row..spans.get(index + 1).map_or(rows, |next| next.row),
            codes: &self.all()[span.at as usize..],
            stride: (span.stride as usize).max(self.dimensions),
        };
        spans.iter().enumerate().map(run).collect()
    }

    fn all(&self) -> &[i8] {
        match &self.place {
            Place::Held(held) => held,
            Place::Mapped(map) => bytemuck::cast_slice(map),
        }
    }
}
