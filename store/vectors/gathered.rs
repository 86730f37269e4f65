//! The signs of many blocks in one piece of memory, in large pages where the system has them. A scan reads all signs, and in
//! pages of 4 KiB it waits for the translation of addresses, too: see docs/scale.md.

use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

/// The page that is asked for, in bytes. Where the system's are larger or smaller, nothing but speed hangs on it.
const LARGE_PAGE: usize = 2 << 20;

/// A part of a piece of memory that others have parts of, too.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    all: Arc<Mmap>,
    /// In bytes.
    from: usize,
    to: usize,
}

impl Gathered {
    /// Copies of `parts`, in order, one after another. An error where the system gives no memory.
    pub(crate) fn of(parts: &[&[u64]]) -> io::Result<Vec<Gathered>> {
        let length: usize = parts.iter().map(|part| size_of_val(*part)).sum();
        // Not every system begins a mapping where a large page can begin, and what is never touched takes no memory.
        let mut map = MmapMut::map_anon(length + LARGE_PAGE)?;
        let first = map.as_ptr().align_offset(LARGE_PAGE);
        #[cfg(target_os = "linux")]
        if let Err(error) = map.advise_range(memmap2::Advice::HugePage, first, length) {
            tracing::debug!("no large pages for vectors: {error}");
        }
        let mut from = first;
        let mut bounds = Vec::with_capacity(parts.len());
        for part in parts {
            let to = from + size_of_val(*part);
            map[from..to].copy_from_slice(bytemuck::cast_slice(part));
            bounds.push((from, to));
            from = to;
        }
        let all = Arc::new(map.make_read_only()?);
        let part = |(from, to)| Gathered {
            all: all.clone(),
            from,
            to,
        };
        Ok(bounds.into_iter().map(part).collect())
    }

    /// What was copied.
    pub(crate) fn words(&self) -> &[u64] {
        // Parts are whole words, and begin where a page does or another part ends.
        bytemuck::cast_slice(&self.all[self.from..self.to])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_what_it_was() {
        let parts: [&[u64]; 4] = [&[1, 2, u64::MAX], &[], &[7; 300_000], &[9]];
        let gathered = Gathered::of(&parts).unwrap();
        assert_eq!(gathered.len(), parts.len());
        for (part, gathered) in parts.iter().zip(&gathered) {
            assert_eq!(gathered.words(), *part);
        }
        // The others can go.
        let last = gathered.into_iter().next_back().unwrap();
        assert_eq!(last.words(), [9]);
        assert!(Gathered::of(&[]).unwrap().is_empty());
    }
}
