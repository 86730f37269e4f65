//! Vectors in memory, in blocks.
//!
//! Snapshots share full blocks. A commit copies the last block to append to it. The codes of full blocks are
//! mapped from the file, so the heap holds little more than the data that every query reads.

use std::fs::File;
use std::sync::Arc;

use super::codes::Codes;
use super::document_rows::DocumentRows;
use super::{QuantizedVector, SignBits};
use crate::{DocumentId, DocumentSet, PassageId};

/// Vectors per block: 1.5 MiB of codes at 384 dimensions. Copying the last block is therefore cheap.
pub(crate) const BLOCK: usize = 4096;
/// Blocks whose sign bits share a mapping: some MiB, and whole huge pages if the dimensions are a multiple of
/// 128.
const BLOCKS_PER_MAPPING: usize = 32;
/// Skip the whole-block test if the block's document ids span more than this.
const MAX_DOCUMENT_SPAN: u32 = 4 * BLOCK as u32;

/// Up to [`BLOCK`] vectors, in columns.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub passages: Vec<PassageId>,
    pub documents: Vec<DocumentId>,
    /// The lowest and the highest document.
    bounds: (DocumentId, DocumentId),
    pub scales: Vec<f32>,
    /// Sum of each vector's codes. Kernels that work on unsigned queries need it.
    pub sums: Vec<i32>,
    pub codes: Codes,
    pub sign_bits: SignBits,
}

impl Block {
    fn new(dimensions: usize) -> Block {
        Block {
            passages: Vec::new(),
            documents: Vec::new(),
            bounds: (DocumentId(u32::MAX), DocumentId(0)),
            scales: Vec::new(),
            sums: Vec::new(),
            codes: Codes::new(dimensions),
            sign_bits: SignBits::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.passages.len()
    }

    /// Whether all documents of the block are `within`. False negatives are possible: the test is only whether
    /// the set has every number between the block's bounds.
    ///
    /// If true, a scan need not look up each vector's document, which costs a random memory access per
    /// vector.
    pub(crate) fn is_within(&self, within: &DocumentSet) -> bool {
        let (lowest, highest) = self.bounds;
        highest.0.saturating_sub(lowest.0) <= MAX_DOCUMENT_SPAN && within.contains_all(lowest, highest)
    }

    fn push(&mut self, vector: &QuantizedVector<'_>, offset: u64) {
        self.sign_bits.push(self.len(), vector.codes);
        self.passages.push(vector.passage);
        self.documents.push(vector.document);
        let (lowest, highest) = self.bounds;
        self.bounds = (lowest.min(vector.document), highest.max(vector.document));
        self.scales.push(vector.scale);
        self.sums
            .push(vector.codes.iter().map(|&code| i32::from(code)).sum());
        self.codes.push(vector.codes, offset);
    }

    fn shrink_to_fit(&mut self) {
        self.passages.shrink_to_fit();
        self.documents.shrink_to_fit();
        self.scales.shrink_to_fit();
        self.sums.shrink_to_fit();
    }
}

/// The vectors of a generation up to some commit. A *row* is the number of a vector among them.
#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    pub dimensions: usize,
    pub blocks: Vec<Arc<Block>>,
    pub len: usize,
    document_rows: Arc<DocumentRows>,
    /// The file that full blocks are mapped from. `None` keeps all codes on the heap.
    file: Option<Arc<File>>,
}

impl Vectors {
    /// An empty set. `file` is the file that the vectors are written to.
    pub(crate) fn new(dimensions: usize, file: Option<Arc<File>>) -> Vectors {
        Vectors {
            dimensions,
            blocks: Vec::new(),
            len: 0,
            document_rows: Arc::default(),
            file,
        }
    }

    /// Appends a vector whose codes are at byte `offset` of the file. Copies the last block if a snapshot
    /// shares it.
    pub(crate) fn push(&mut self, vector: &QuantizedVector<'_>, offset: u64) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Arc::new(Block::new(self.dimensions)));
        }
        let Some(last) = self.blocks.last_mut() else {
            return;
        };
        let last = Arc::make_mut(last);
        last.push(vector, offset);
        self.document_rows.push(vector.document);
        self.len += 1;
        if last.len() == BLOCK {
            last.shrink_to_fit();
            if let Some(file) = &self.file
                && let Err(error) = last.codes.map(file)
            {
                tracing::warn!("keeping vectors in memory, because their file cannot be mapped: {error}");
                self.file = None;
            }
            if self.blocks.len().is_multiple_of(BLOCKS_PER_MAPPING) {
                self.move_sign_bits();
            }
        }
    }

    /// Moves the sign bits of the last blocks, all of them full, to huge pages.
    fn move_sign_bits(&mut self) {
        let first = self.blocks.len() - BLOCKS_PER_MAPPING;
        let blocks = &mut self.blocks[first..];
        match SignBits::copy_to_huge_pages(blocks.iter().map(|block| &block.sign_bits)) {
            Ok(copies) => blocks
                .iter_mut()
                .zip(copies)
                .for_each(|(block, copy)| Arc::make_mut(block).sign_bits = copy),
            // Scans are slower on the heap, but correct.
            Err(error) => tracing::debug!("keeping sign bits on the heap: {error}"),
        }
    }

    /// Whether both have the same generation. If so, one is a prefix of the other.
    pub(crate) fn has_same_generation(&self, other: &Vectors) -> bool {
        Arc::ptr_eq(&self.document_rows, &other.document_rows)
    }

    /// The document of each vector, in the order of rows.
    pub(crate) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.blocks
            .iter()
            .flat_map(|block| block.documents.iter().copied())
    }

    /// The rows of the documents `within`, in ascending order. `None` if there are more than `max`.
    pub(crate) fn rows_within(&self, within: &DocumentSet, max: usize) -> Option<Vec<u32>> {
        self.document_rows.within(within, self.len, max)
    }

    /// The block of a row, and the row's index within the block.
    pub(crate) fn locate(&self, row: u32) -> (&Block, usize) {
        (&self.blocks[row as usize / BLOCK], row as usize % BLOCK)
    }

    /// The codes of a row.
    pub(crate) fn codes(&self, row: u32) -> &[i8] {
        let (block, index) = self.locate(row);
        block.codes.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::bits::GROUP;
    use super::super::test_support::push_codes;
    use super::super::{VectorFile, read_frames};
    use super::*;

    #[test]
    fn sign_bits_are_the_same_in_huge_pages() {
        let mut vectors = Vectors::new(2, None);
        let codes = |row: usize| [(row % 3) as i8 - 1, (row % 5) as i8 - 2];
        let mut before = None;
        for row in 0..BLOCK * BLOCKS_PER_MAPPING + 9 {
            if row == BLOCK * BLOCKS_PER_MAPPING - 1 {
                before = Some(vectors.clone());
            }
            push_codes(&mut vectors, 1.0, &codes(row));
        }
        let is_moved = |block: &Arc<Block>| matches!(block.sign_bits, SignBits::HugePages(_));
        assert!(vectors.blocks[..BLOCKS_PER_MAPPING].iter().all(is_moved));
        assert!(!is_moved(&vectors.blocks[BLOCKS_PER_MAPPING]));
        // An older snapshot keeps its own blocks.
        let before = before.unwrap();
        assert!(!before.blocks.iter().any(is_moved));
        assert_eq!(before.blocks[BLOCKS_PER_MAPPING - 1].len(), BLOCK - 1);
        for row in 0..vectors.len {
            let (block, index) = vectors.locate(row as u32);
            let expected = codes(row)
                .iter()
                .enumerate()
                .fold(0, |bits, (bit, &code)| bits | u64::from(code >= 0) << bit);
            assert_eq!(block.sign_bits.words()[index], expected, "{row}");
            assert_eq!(block.sign_bits.words().len(), block.len().next_multiple_of(GROUP));
        }
    }

    #[test]
    fn codes_are_the_same_on_the_heap_and_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 3).unwrap();
        let codes = |row: usize| [row as i8, (row >> 8) as i8, 7];
        let all: Vec<[i8; 3]> = (0..BLOCK * 2 + 5).map(codes).collect();
        let vector = |row: usize| QuantizedVector {
            passage: PassageId(row as u64),
            document: DocumentId(0),
            scale: 1.0,
            codes: &all[row],
        };
        let mut on_heap = Vectors::new(3, None);
        let mut written = Vectors::new(3, Some(file.reader().unwrap()));
        // Commits that end within blocks, one of them with several frames.
        for (seq, rows) in [(1, 0..10), (2, 10..BLOCK + 2), (3, BLOCK + 2..all.len())] {
            let vectors: Vec<QuantizedVector<'_>> = rows.clone().map(vector).collect();
            let offsets = file.append(seq, &vectors).unwrap();
            for (vector, offset) in vectors.iter().zip(offsets) {
                on_heap.push(vector, offset);
                written.push(vector, offset);
            }
        }
        let mut read = Vectors::new(3, Some(file.reader().unwrap()));
        read_frames(&path, 3, 0, |frame| {
            frame
                .vectors()
                .for_each(|(vector, offset)| read.push(&vector, offset));
        })
        .unwrap()
        .unwrap();
        assert!(written.blocks[0].codes.is_mapped() && read.blocks[1].codes.is_mapped());
        assert!(!written.blocks[2].codes.is_mapped() && !on_heap.blocks[0].codes.is_mapped());
        for (row, expected) in all.iter().enumerate() {
            for vectors in [&on_heap, &written, &read] {
                let (block, index) = vectors.locate(row as u32);
                assert_eq!(block.codes.get(index), expected, "{row}");
                assert_eq!(block.passages[index], PassageId(row as u64));
            }
        }
        for block in on_heap.blocks.iter().chain(&written.blocks) {
            let rows: usize = block
                .codes
                .runs(block.len())
                .iter()
                .map(|run| run.rows.len())
                .sum();
            assert_eq!(rows, block.len());
        }
    }
}
