//! Where the parts of a file begin and end, and one part.

use abi::PAGE_SIZE;
use mm::FileRange;
use std::ops::Range;

/// The first extent of every file: small files take one.
const FIRST_EXTENT: u64 = 64 << 10;
/// The largest: a huge page of the host, and what a fixed bitmap can describe.
const LARGEST_EXTENT: u64 = 2 << 20;
/// Pages of the largest.
const MAX_PAGES: usize = (LARGEST_EXTENT / PAGE_SIZE) as usize;

/// The extent that `offset` falls into: the first is 64 KiB, then each is as long as all before it,
/// up to 2 MiB. An extent is address space in the memory file; the host gives it memory page by
/// page as it is written to, so a large one costs no more than what is in it.
pub(super) fn extent_at(offset: u64) -> Range<u64> {
    if offset < FIRST_EXTENT {
        0..FIRST_EXTENT
    } else if offset < LARGEST_EXTENT {
        let start = 1 << offset.ilog2();
        start..2 * start
    } else {
        let start = offset & !(LARGEST_EXTENT - 1);
        start..start + LARGEST_EXTENT
    }
}

/// A set of pages of one extent.
#[derive(Clone, Default)]
pub(super) struct PageSet([u64; MAX_PAGES / 64]);

impl PageSet {
    pub fn contains(&self, page: usize) -> bool {
        self.0.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 != 0)
    }

    /// Adds the page; true where it was not there.
    pub fn insert(&mut self, page: usize) -> bool {
        let Some(word) = self.0.get_mut(page / 64) else { return false };
        let bit = 1 << (page % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Removes the page; true where it was there.
    pub fn remove(&mut self, page: usize) -> bool {
        let Some(word) = self.0.get_mut(page / 64) else { return false };
        let bit = 1 << (page % 64);
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// A part of a file that has a place in the memory file.
pub(super) struct Extent {
    pub memory: FileRange,
    /// Pages that may hold something. All others are zero in the memory file, and need not be
    /// looked at (which would make the host give them memory).
    pub data: PageSet,
    /// Pages counted against the size limit: those written to, not those only mapped.
    pub charged: PageSet,
}

impl Extent {
    pub fn new(memory: FileRange) -> Extent {
        Extent { memory, data: PageSet::default(), charged: PageSet::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_tile_the_file() {
        let mut at = 0;
        while at < 20 << 20 {
            let extent = extent_at(at);
            assert_eq!(extent.start, at);
            assert_eq!(extent_at(extent.end - 1), extent);
            assert!(extent.end - extent.start <= LARGEST_EXTENT);
            at = extent.end;
        }
        assert_eq!(extent_at(i64::MAX as u64).end, 1 << 63);
    }
}
