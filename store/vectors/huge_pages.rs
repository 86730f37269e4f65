//! Copies of several slices in one mapping, in huge pages where the system has them.
//!
//! A scan reads all sign bits. With 4 KiB pages, address translation slows it down (TLB misses).
//! docs/scale.md has measurements.

use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

/// Huge page size to align to, in bytes. On systems with another size the alignment only costs speed.
const HUGE_PAGE: usize = 2 << 20;

/// A slice of a shared mapping.
#[derive(Debug, Clone)]
pub(crate) struct HugePageSlice {
    map: Arc<Mmap>,
    /// Byte range within the mapping.
    start: usize,
    end: usize,
}

impl HugePageSlice {
    /// Copies `parts` to one new mapping, one after another. Returns a slice for each.
    ///
    /// # Errors
    /// When the system cannot allocate the memory.
    pub(crate) fn copy_all(parts: &[&[u64]]) -> io::Result<Vec<HugePageSlice>> {
        let length: usize = parts.iter().map(|part| size_of_val(*part)).sum();
        // Not every system aligns mappings to huge pages. The extra page is never touched, so it takes no
        // memory.
        let mut map = MmapMut::map_anon(length + HUGE_PAGE)?;
        let aligned = map.as_ptr().align_offset(HUGE_PAGE);
        #[cfg(target_os = "linux")]
        if let Err(error) = map.advise_range(memmap2::Advice::HugePage, aligned, length) {
            tracing::debug!("huge pages are not available for sign bits: {error}");
        }
        let mut start = aligned;
        let mut bounds = Vec::with_capacity(parts.len());
        for part in parts {
            let end = start + size_of_val(*part);
            map[start..end].copy_from_slice(bytemuck::cast_slice(part));
            bounds.push((start, end));
            start = end;
        }
        let map = Arc::new(map.make_read_only()?);
        let slice = |(start, end)| HugePageSlice {
            map: map.clone(),
            start,
            end,
        };
        Ok(bounds.into_iter().map(slice).collect())
    }

    /// The copied words.
    pub(crate) fn words(&self) -> &[u64] {
        // Aligned: the first part starts at a page boundary, and all parts are whole words.
        bytemuck::cast_slice(&self.map[self.start..self.end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_equal_the_copied_parts() {
        let parts: [&[u64]; 4] = [&[1, 2, u64::MAX], &[], &[7; 300_000], &[9]];
        let slices = HugePageSlice::copy_all(&parts).unwrap();
        assert_eq!(slices.len(), parts.len());
        for (part, slice) in parts.iter().zip(&slices) {
            assert_eq!(slice.words(), *part);
        }
        // A slice outlives the others.
        let last = slices.into_iter().next_back().unwrap();
        assert_eq!(last.words(), [9]);
        assert!(HugePageSlice::copy_all(&[]).unwrap().is_empty());
    }
}
