//! A map from disjoint ranges of numbers (addresses, file offsets) to values, which splits and
//! merges its entries by itself. VMAs, PMAs and the reference counts of the memory file are such
//! maps.

use std::collections::BTreeMap;
use std::ops::Range;

/// A value that covers a range and can be cut.
pub(crate) trait Segment: Clone {
    /// The value for the part of the range that begins `by` later.
    fn advance(&self, by: u64) -> Self;
    /// Would one entry do for a range of length `len` with this value and the one directly after
    /// it with `next`?
    fn continues(&self, len: u64, next: &Self) -> bool;
}

struct Entry<V> {
    end: u64,
    value: V,
}

/// See the module's comment. Keys are the starts of the ranges; no range is empty.
pub(crate) struct RangeMap<V> {
    map: BTreeMap<u64, Entry<V>>,
}

impl<V> Default for RangeMap<V> {
    fn default() -> Self {
        RangeMap { map: BTreeMap::new() }
    }
}

impl<V: Segment> RangeMap<V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// All entries, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Range<u64>, &V)> {
        self.map.iter().map(|(&start, entry)| (start..entry.end, &entry.value))
    }

    /// The entry that contains `at`.
    pub fn get(&self, at: u64) -> Option<(Range<u64>, &V)> {
        self.up_to(at).filter(|(range, _)| at < range.end)
    }

    /// The last entry that starts at or before `at`.
    pub fn up_to(&self, at: u64) -> Option<(Range<u64>, &V)> {
        let (&start, entry) = self.map.range(..=at).next_back()?;
        Some((start..entry.end, &entry.value))
    }

    /// The last entry that starts before `at`.
    pub fn before(&self, at: u64) -> Option<(Range<u64>, &V)> {
        self.up_to(at.checked_sub(1)?)
    }

    /// The first entry that starts at or after `at`.
    pub fn from(&self, at: u64) -> Option<(Range<u64>, &V)> {
        let (&start, entry) = self.map.range(at..).next()?;
        Some((start..entry.end, &entry.value))
    }

    /// The entries that overlap `range`, whole, ascending.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &V)> {
        let first = self.get(range.start).map_or(range.start, |(found, _)| found.start);
        let end = range.end.max(first);
        self.map.range(first..end).map(|(&start, entry)| (start..entry.end, &entry.value))
    }

    /// What overlaps `range`, cut to it.
    pub fn pieces(&self, range: Range<u64>) -> Vec<(Range<u64>, V)> {
        self.overlapping(range.clone())
            .map(|(whole, value)| {
                let start = whole.start.max(range.start);
                (start..whole.end.min(range.end), value.advance(start - whole.start))
            })
            .collect()
    }

    /// Does anything overlap `range`?
    pub fn overlaps(&self, range: Range<u64>) -> bool {
        range.start < range.end && self.before(range.end).is_some_and(|(r, _)| r.end > range.start)
    }

    /// The parts of `range` that no entry covers.
    pub fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for (covered, _) in self.overlapping(range.clone()) {
            if covered.start > at {
                gaps.push(at..covered.start);
            }
            at = covered.end;
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// The uncovered range around `at`, cut to `within`; None if `at` is covered.
    pub fn gap_around(&self, at: u64, within: Range<u64>) -> Option<Range<u64>> {
        let before = self.up_to(at).map_or(0, |(range, _)| range.end);
        if before > at {
            return None;
        }
        let after = self.from(at).map_or(u64::MAX, |(range, _)| range.start);
        Some(before.max(within.start)..after.min(within.end))
    }

    /// Adds an entry where nothing is; merges it with its neighbours.
    pub fn insert(&mut self, range: Range<u64>, value: V) {
        if range.is_empty() {
            return;
        }
        debug_assert!(!self.overlaps(range.clone()), "insert over an entry");
        let start = range.start;
        self.map.insert(start, Entry { end: range.end, value });
        self.merge_at(range.end);
        self.merge_at(start);
    }

    /// Takes out what lies in `range`, cutting entries at its ends.
    pub fn remove(&mut self, range: Range<u64>) -> Vec<(Range<u64>, V)> {
        if range.is_empty() || !self.overlaps(range.clone()) {
            return Vec::new();
        }
        self.split(range.start);
        self.split(range.end);
        let starts: Vec<u64> = self.map.range(range).map(|(&start, _)| start).collect();
        starts
            .into_iter()
            .filter_map(|start| self.map.remove(&start).map(|e| (start..e.end, e.value)))
            .collect()
    }

    /// Changes what lies in `range`, cutting and merging as needed. `change` gets each part with
    /// its range.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(Range<u64>, &mut V)) {
        if range.is_empty() {
            return;
        }
        self.split(range.start);
        self.split(range.end);
        let mut starts = Vec::new();
        for (&start, entry) in self.map.range_mut(range.clone()) {
            change(start..entry.end, &mut entry.value);
            starts.push(start);
        }
        self.merge_at(range.end);
        for start in starts.into_iter().rev() {
            self.merge_at(start);
        }
    }

    /// Makes `at` a boundary, if it lies inside an entry.
    fn split(&mut self, at: u64) {
        let Some((&start, entry)) = self.map.range_mut(..at).next_back() else { return };
        if entry.end > at {
            let tail = Entry { end: entry.end, value: entry.value.advance(at - start) };
            entry.end = at;
            self.map.insert(at, tail);
        }
    }

    /// Merges the entries that meet at `at`, if they can be one.
    fn merge_at(&mut self, at: u64) {
        let Some(next) = self.map.get(&at) else { return };
        let next_end = next.end;
        let Some((&start, entry)) = self.map.range(..at).next_back() else { return };
        if entry.end != at || !entry.value.continues(at - start, &next.value) {
            return;
        }
        self.map.remove(&at);
        if let Some(entry) = self.map.get_mut(&start) {
            entry.end = next_end;
        }
    }
}
