//! Which offsets of the memory file are in use, and how often.

use crate::ranges::{RangeMap, Segment};
use crate::{FileRange, PAGE_SIZE};
use std::collections::{BTreeMap, BTreeSet};

/// Allocations at least this long begin at a multiple of it, so that the host can use huge pages.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// How often a range is referred to; at least once.
#[derive(Clone, Copy)]
struct Refs(u64);

impl Segment for Refs {
    fn advance(&self, _by: u64) -> Refs {
        *self
    }
    fn continues(&self, _len: u64, next: &Refs) -> bool {
        self.0 == next.0
    }
}

/// Reference counts and free ranges. Both cost per range, not per byte.
pub(crate) struct Allocator {
    refs: RangeMap<Refs>,
    /// Start to length.
    free: BTreeMap<u64, u64>,
    /// The same, as (length, start): for best fit.
    by_len: BTreeSet<(u64, u64)>,
}

impl Allocator {
    /// All of `0..size` free.
    pub fn new(size: u64) -> Allocator {
        Allocator {
            refs: RangeMap::default(),
            free: BTreeMap::from([(0, size)]),
            by_len: BTreeSet::from([(size, 0)]),
        }
    }

    /// Takes `len` bytes, at the first of `hints` that is free, else anywhere. The range gets one
    /// reference.
    pub fn allocate(
        &mut self,
        len: u64,
        hints: impl IntoIterator<Item = u64>,
    ) -> Option<FileRange> {
        let hint = hints.into_iter().find(|&hint| self.is_free(hint, len));
        let start = hint.or_else(|| self.find(len))?;
        self.take(start, len);
        self.refs.insert(start..start + len, Refs(1));
        Some(FileRange { start, len })
    }

    fn is_free(&self, start: u64, len: u64) -> bool {
        let Some(end) = start.checked_add(len) else { return false };
        let found = self.free.range(..=start).next_back();
        found.is_some_and(|(&at, &free)| at + free >= end)
    }

    /// In the smallest free range that is long enough, so that small requests do not break up the
    /// large remainder; at its high end, because mmap goes down too, so that what is adjacent in
    /// memory is often adjacent in the file.
    fn find(&self, len: u64) -> Option<u64> {
        let align = if len >= HUGE_PAGE { HUGE_PAGE } else { PAGE_SIZE };
        let fits = |&(free, start): &(u64, u64)| {
            let last = (start + free).checked_sub(len)?;
            let aligned = last - last % align;
            (aligned >= start).then_some(aligned)
        };
        let exact = self.by_len.range((len, 0)..).take(8).find_map(fits);
        // Anything this long fits, however it is aligned.
        exact.or_else(|| self.by_len.range((len.checked_add(align)?, 0)..).find_map(fits))
    }

    /// Removes a part of a free range from the lists.
    fn take(&mut self, start: u64, len: u64) {
        let Some((&at, &free)) = self.free.range(..=start).next_back() else { return };
        self.free.remove(&at);
        self.by_len.remove(&(free, at));
        self.put(at, start - at);
        self.put(start + len, at + free - (start + len));
    }

    fn put(&mut self, start: u64, len: u64) {
        if len > 0 {
            self.free.insert(start, len);
            self.by_len.insert((len, start));
        }
    }

    /// Makes a range free again that lost its last reference and reads as zero now.
    pub fn give_back(&mut self, range: FileRange) {
        let (mut start, mut len) = (range.start, range.len);
        if let Some((&at, &before)) = self.free.range(..start).next_back()
            && at + before == start
        {
            self.free.remove(&at);
            self.by_len.remove(&(before, at));
            (start, len) = (at, before + len);
        }
        if let Some(after) = self.free.remove(&(start + len)) {
            self.by_len.remove(&(after, start + len));
            len += after;
        }
        self.put(start, len);
    }

    /// One more reference to every page of the range.
    pub fn inc_ref(&mut self, range: FileRange) {
        debug_assert!(
            self.refs.gaps(range.start..range.end()).is_empty(),
            "reference to free page"
        );
        self.refs.update(range.start..range.end(), |_, refs| refs.0 += 1);
    }

    /// One less; what has none left is returned, and is neither referred to nor free until
    /// [`Allocator::give_back`].
    pub fn dec_ref(&mut self, range: FileRange) -> Vec<FileRange> {
        let range = range.start..range.end();
        debug_assert!(self.refs.gaps(range.clone()).is_empty(), "release of free page");
        let mut dead = Vec::new();
        self.refs.update(range, |range, refs| {
            if refs.0 == 1 {
                dead.push(range);
            } else {
                refs.0 -= 1;
            }
        });
        dead.into_iter()
            .map(|range| {
                self.refs.remove(range.clone());
                FileRange { start: range.start, len: range.end - range.start }
            })
            .collect()
    }

    /// Does any page of the range have more than one reference?
    pub fn is_shared(&self, range: FileRange) -> bool {
        self.refs.overlapping(range.start..range.end()).any(|(_, refs)| refs.0 > 1)
    }

    /// Bytes with at least one reference.
    pub fn allocated(&self) -> u64 {
        self.refs.iter().map(|(range, _)| range.end - range.start).sum()
    }
}
