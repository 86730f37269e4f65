//! Vectors in memory: full blocks shared by every snapshot, and a last one that a commit copies to add to it. The codes of full
//! blocks stay in the file and are mapped, so that memory holds what every query looks at and not much else.

use std::fs::File;
use std::sync::Arc;

use super::codes::Codes;
use super::rows::RowsOfDocuments;
use super::{QuantizedVector, Signs};
use crate::{DocumentId, DocumentSet, PassageId};

/// Vectors in a block: 1.5 MiB of codes, so that adding to the last one copies little.
pub(crate) const BLOCK: usize = 4096;
/// Blocks whose signs are moved together: some MiB, which are whole large pages where dimensions are a multiple of 128.
const TOGETHER: usize = 32;
/// Documents between a block's first and last, beyond which it is not looked whether all of them are asked for.
const WIDEST: u32 = 4 * BLOCK as u32;

/// Some vectors, column by column.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub passages: Vec<PassageId>,
    pub documents: Vec<DocumentId>,
    /// The first and the last of them by number.
    bounds: (DocumentId, DocumentId),
    pub scales: Vec<f32>,
    /// Sum of each vector's codes, which the kernels need to work with unsigned queries.
    pub sums: Vec<i32>,
    pub codes: Codes,
    pub signs: Signs,
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
            signs: Signs::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.passages.len()
    }

    /// Whether all documents are `within`, as far as that can be told by their numbers alone. Where it can, no vector's
    /// document has to be looked up, which takes a visit to memory that nothing else is near.
    pub(crate) fn is_within(&self, within: &DocumentSet) -> bool {
        let (first, last) = self.bounds;
        last.0.saturating_sub(first.0) <= WIDEST && within.contains_all(first, last)
    }

    fn push(&mut self, vector: &QuantizedVector<'_>, at: u64) {
        self.signs.push(self.len(), vector.codes);
        self.passages.push(vector.passage);
        self.documents.push(vector.document);
        let (first, last) = self.bounds;
        self.bounds = (first.min(vector.document), last.max(vector.document));
        self.scales.push(vector.scale);
        self.sums
            .push(vector.codes.iter().map(|&code| i32::from(code)).sum());
        self.codes.push(vector.codes, at);
    }

    fn shrink(&mut self) {
        self.passages.shrink_to_fit();
        self.documents.shrink_to_fit();
        self.scales.shrink_to_fit();
        self.sums.shrink_to_fit();
    }
}

/// Every vector of a generation, up to some point of the history. A vector's number among them is its *row*.
#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    pub dimensions: usize,
    pub blocks: Vec<Arc<Block>>,
    pub len: usize,
    rows: Arc<RowsOfDocuments>,
    /// Where the codes of full blocks are; none where all are to stay in memory.
    file: Option<Arc<File>>,
}

impl Vectors {
    /// None yet; `file` is what they are going to be written to, and read from.
    pub(crate) fn new(dimensions: usize, file: Option<Arc<File>>) -> Vectors {
        Vectors {
            dimensions,
            blocks: Vec::new(),
            len: 0,
            rows: Arc::default(),
            file,
        }
    }

    /// Adds a vector whose codes are at byte `at` of the file. A snapshot that shares the last block keeps its own.
    pub(crate) fn push(&mut self, vector: &QuantizedVector<'_>, at: u64) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Arc::new(Block::new(self.dimensions)));
        }
        let Some(last) = self.blocks.last_mut() else {
            return;
        };
        let last = Arc::make_mut(last);
        last.push(vector, at);
        self.rows.push(vector.document);
        self.len += 1;
        if last.len() == BLOCK {
            last.shrink();
            if let Some(file) = &self.file
                && let Err(error) = last.codes.map(file)
            {
                tracing::warn!("vectors stay in memory, since their file cannot be mapped: {error}");
                self.file = None;
            }
            if self.blocks.len().is_multiple_of(TOGETHER) {
                self.gather_signs();
            }
        }
    }

    /// Moves the signs of the last blocks, which are full, into one piece of memory.
    fn gather_signs(&mut self) {
        let first = self.blocks.len() - TOGETHER;
        let blocks = &mut self.blocks[first..];
        match Signs::gather(blocks.iter().map(|block| &block.signs)) {
            Ok(gathered) => blocks
                .iter_mut()
                .zip(gathered)
                .for_each(|(block, signs)| Arc::make_mut(block).signs = signs),
            // They stay where they are.
            Err(error) => tracing::debug!("signs of vectors are not moved together: {error}"),
        }
    }

    /// Whether both are of one generation, so that one has all rows of the other and perhaps more.
    pub(crate) fn is_of_generation(&self, other: &Vectors) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// The documents of all vectors, one entry a vector.
    pub(crate) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.blocks
            .iter()
            .flat_map(|block| block.documents.iter().copied())
    }

    /// The rows of documents `within`, in order; none where there are more than `most`.
    pub(crate) fn rows_within(&self, within: &DocumentSet, most: usize) -> Option<Vec<u32>> {
        self.rows.within(within, self.len, most)
    }

    /// The block of a row, and the row's place there.
    pub(crate) fn place(&self, row: u32) -> (&Block, usize) {
        (&self.blocks[row as usize / BLOCK], row as usize % BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::bits::GROUP;
    use super::super::{VectorFile, read_frames};
    use super::*;

    #[test]
    fn signs_are_the_same_moved_together() {
        let mut vectors = Vectors::new(2, None);
        let codes = |row: usize| [(row % 3) as i8 - 1, (row % 5) as i8 - 2];
        let mut before = None;
        for row in 0..BLOCK * TOGETHER + 9 {
            if row == BLOCK * TOGETHER - 1 {
                before = Some(vectors.clone());
            }
            let coded = QuantizedVector {
                passage: PassageId(row as u64),
                document: DocumentId(0),
                scale: 1.0,
                codes: &codes(row),
            };
            vectors.push(&coded, 0);
        }
        let gathered = |block: &Arc<Block>| matches!(block.signs, Signs::Gathered(_));
        assert!(vectors.blocks[..TOGETHER].iter().all(gathered) && !gathered(&vectors.blocks[TOGETHER]));
        // A snapshot keeps its own.
        let before = before.unwrap();
        assert!(!before.blocks.iter().any(gathered));
        assert_eq!(before.blocks[TOGETHER - 1].len(), BLOCK - 1);
        for row in 0..vectors.len {
            let (block, place) = vectors.place(row as u32);
            let expected = codes(row)
                .iter()
                .enumerate()
                .fold(0, |bits, (bit, &code)| bits | u64::from(code >= 0) << bit);
            assert_eq!(block.signs.words()[place], expected, "{row}");
            assert_eq!(block.signs.words().len(), block.len().next_multiple_of(GROUP));
        }
    }

    #[test]
    fn codes_are_the_same_in_memory_and_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 3).unwrap();
        let codes = |row: usize| [row as i8, (row >> 8) as i8, 7];
        let all: Vec<[i8; 3]> = (0..BLOCK * 2 + 5).map(codes).collect();
        let coded = |row: usize| QuantizedVector {
            passage: PassageId(row as u64),
            document: DocumentId(0),
            scale: 1.0,
            codes: &all[row],
        };
        let mut held = Vectors::new(3, None);
        let mut written = Vectors::new(3, Some(file.reader().unwrap()));
        // Commits that end within blocks, one of them of several frames.
        for (seq, rows) in [(1, 0..10), (2, 10..BLOCK + 2), (3, BLOCK + 2..all.len())] {
            let vectors: Vec<QuantizedVector<'_>> = rows.clone().map(coded).collect();
            let places = file.append(seq, &vectors).unwrap();
            for (vector, at) in vectors.iter().zip(places) {
                held.push(vector, at);
                written.push(vector, at);
            }
        }
        let mut read = Vectors::new(3, Some(file.reader().unwrap()));
        read_frames(&path, 3, 0, |frame| {
            frame.vectors().for_each(|(vector, at)| read.push(&vector, at));
        })
        .unwrap()
        .unwrap();
        assert!(written.blocks[0].codes.is_mapped() && read.blocks[1].codes.is_mapped());
        assert!(!written.blocks[2].codes.is_mapped() && !held.blocks[0].codes.is_mapped());
        for (row, expected) in all.iter().enumerate() {
            for vectors in [&held, &written, &read] {
                let (block, place) = vectors.place(row as u32);
                assert_eq!(block.codes.of(place), expected, "{row}");
                assert_eq!(block.passages[place], PassageId(row as u64));
            }
        }
        for block in held.blocks.iter().chain(&written.blocks) {
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
