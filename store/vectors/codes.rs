//! The int8 codes of a block: on the heap while the block fills, then mapped from the vector file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

/// Codes of a block's vectors.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    dimensions: usize,
    storage: Storage,
    /// Locations of the codes in the file.
    spans: Vec<Span>,
}

#[derive(Debug, Clone)]
enum Storage {
    /// Vector after vector, without gaps.
    Heap(Vec<i8>),
    Mapped(Arc<Mmap>),
}

/// Vectors at equal distances in the file. A frame's vectors form one span.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Index of the first vector within the block.
    first: usize,
    /// Byte offset of the first vector's codes: in the file, or in the mapping once there is one.
    offset: u64,
    /// Bytes from one vector's codes to the next; 0 for a single vector.
    stride: u64,
}

/// Vectors at equal distances in memory, for the kernels.
pub(crate) struct CodeRun<'a> {
    /// Indexes of the vectors within the block.
    pub rows: Range<usize>,
    /// Starts with the codes of the first vector.
    pub codes: &'a [i8],
    /// Distance from one vector's codes to the next.
    pub stride: usize,
}

impl Codes {
    pub(crate) fn new(dimensions: usize) -> Codes {
        Codes {
            dimensions,
            storage: Storage::Heap(Vec::new()),
            spans: Vec::new(),
        }
    }

    /// Appends a vector whose codes are at byte `offset` of the file. Does nothing once the codes are mapped.
    pub(crate) fn push(&mut self, codes: &[i8], offset: u64) {
        let Storage::Heap(heap) = &mut self.storage else {
            return;
        };
        let row = heap.len() / self.dimensions.max(1);
        heap.extend_from_slice(codes);
        match self.spans.last_mut() {
            // The first two vectors of a span fix its stride; later ones must match it.
            Some(span) if row == span.first + 1 && offset > span.offset => span.stride = offset - span.offset,
            Some(span) if offset == span.offset + (row - span.first) as u64 * span.stride => {}
            _ => self.spans.push(Span {
                first: row,
                offset,
                stride: 0,
            }),
        }
    }

    /// Replaces the copy on the heap with a mapping of `file`.
    pub(crate) fn map(&mut self, file: &File) -> io::Result<()> {
        let Storage::Heap(heap) = &self.storage else {
            return Ok(());
        };
        let rows = heap.len() / self.dimensions.max(1);
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else {
            return Ok(());
        };
        let start = first.offset;
        let last_row = last.offset + (rows - 1 - last.first) as u64 * last.stride;
        let length = usize::try_from(last_row + self.dimensions as u64 - start).map_err(io::Error::other)?;
        // SAFETY: the mapped bytes were written completely and synced, and no process that respects the
        // store's lock changes or truncates them: new vectors are appended, and a new generation is a new
        // file. A process that ignores the lock and truncates the file makes the next access fail with
        // SIGBUS.
        let map = unsafe { MmapOptions::new().offset(start).len(length).map(file)? };
        self.spans.iter_mut().for_each(|span| span.offset -= start);
        self.storage = Storage::Mapped(Arc::new(map));
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.storage, Storage::Mapped(_))
    }

    /// The codes of the vector at index `row`.
    pub(crate) fn get(&self, row: usize) -> &[i8] {
        let start = match &self.storage {
            Storage::Heap(_) => row * self.dimensions,
            Storage::Mapped(_) => {
                let after = self.spans.partition_point(|span| span.first <= row);
                let span = self.spans[after - 1];
                (span.offset + (row - span.first) as u64 * span.stride) as usize
            }
        };
        &self.bytes()[start..][..self.dimensions]
    }

    /// The codes of the first `rows` vectors, in order.
    pub(crate) fn runs(&self, rows: usize) -> Vec<CodeRun<'_>> {
        let heap = [Span {
            first: 0,
            offset: 0,
            stride: self.dimensions as u64,
        }];
        let spans = match &self.storage {
            Storage::Heap(_) => &heap,
            Storage::Mapped(_) => self.spans.as_slice(),
        };
        let run = |(index, span): (usize, &Span)| CodeRun {
            rows: span.first..spans.get(index + 1).map_or(rows, |next| next.first),
            codes: &self.bytes()[span.offset as usize..],
            stride: (span.stride as usize).max(self.dimensions),
        };
        spans.iter().enumerate().map(run).collect()
    }

    fn bytes(&self) -> &[i8] {
        match &self.storage {
            Storage::Heap(heap) => heap,
            Storage::Mapped(map) => bytemuck::cast_slice(map),
        }
    }
}
