//! A set of address ranges.
//!
//! Each address space keeps which addresses are mapped, because mprotect(2) stops at the first
//! hole, and [`crate::MapOp::Protect`] does not.

use std::collections::BTreeMap;

/// Disjoint, non-touching ranges: start to end.
#[derive(Default)]
pub(crate) struct Ranges {
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds `start..end`.
    pub(crate) fn insert(&mut self, mut start: u64, mut end: u64) {
        // Swallow all that touch.
        while let Some((&other_start, &other_end)) = self.ranges.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.ranges.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.ranges.insert(start, end);
    }

    /// Removes `start..end`.
    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        while let Some((&other_start, &other_end)) = self.ranges.range(..end).next_back() {
            if other_end <= start {
                break;
            }
            self.ranges.remove(&other_start);
            if other_end > end {
                self.ranges.insert(end, other_end);
            }
            if other_start < start {
                self.ranges.insert(other_start, start);
            }
        }
    }

    /// The parts of `start..end` that are in the set, in order.
    pub(crate) fn within(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let first = match self.ranges.range(..=start).next_back() {
            Some((&other_start, &other_end)) if other_end > start => other_start,
            _ => start,
        };
        self.ranges
            .range(first..end.max(first))
            .map(move |(&other_start, &other_end)| (other_start.max(start), other_end.min(end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ranges: &Ranges) -> Vec<(u64, u64)> {
        ranges.within(0, u64::MAX).collect()
    }

    #[test]
    fn touching_ranges_join_and_removal_splits() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        ranges.insert(30, 40);
        ranges.insert(20, 30);
        assert_eq!(all(&ranges), [(10, 40)]);
        ranges.remove(15, 18);
        ranges.remove(35, 50);
        assert_eq!(all(&ranges), [(10, 15), (18, 35)]);
        assert_eq!(ranges.within(12, 20).collect::<Vec<_>>(), [(12, 15), (18, 20)]);
        ranges.insert(0, 100);
        assert_eq!(all(&ranges), [(0, 100)]);
        ranges.remove(0, 100);
        assert_eq!(all(&ranges), []);
    }

    #[test]
    fn agrees_with_a_bitmap() {
        let mut ranges = Ranges::default();
        let mut bitmap = [false; 64];
        let mut seed = 1u64;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let start = (seed >> 33) % 60;
            let end = start + 1 + (seed >> 45) % (63 - start);
            let add = seed >> 60 & 1 == 0;
            if add {
                ranges.insert(start, end)
            } else {
                ranges.remove(start, end)
            }
            bitmap[start as usize..end as usize].fill(add);
            let mut seen = [false; 64];
            for (start, end) in ranges.within(3, 50) {
                seen[start as usize..end as usize].fill(true);
            }
            assert_eq!(seen[3..50], bitmap[3..50]);
        }
    }
}
