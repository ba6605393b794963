//! Telling a spurious fault from a real one.
//!
//! Two threads fault on one page; the first handler repairs it; the second finds nothing to
//! repair. That thread must simply go on. But where the platform cannot tell what the access
//! wanted, a write to a page that may only be read looks the same, and letting that thread go on
//! would loop for ever. So a fault with nothing to repair is taken as spurious only if the page
//! was changed recently, and only so many times.

use platform::MapOp;
use std::collections::VecDeque;
use std::ops::Range;

/// How many changes are remembered.
const CHANGES: usize = 64;
/// How many faults may find one change already made: more than threads can be in flight.
const PER_CHANGE: u32 = 64;
/// How many times in a row a page may fault although the access is known and allowed.
const IN_A_ROW: u32 = 4096;
/// After so many the mapping is sent to the host again, in case it was lost there.
const REFRESH: u32 = 8;

#[derive(Default)]
pub(crate) struct Recent {
    changes: VecDeque<(Range<u64>, u32)>,
    last: (u64, u32),
}

/// What to do about a fault that finds nothing to repair.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Go on.
    Spurious,
    /// Send the mapping again, and go on.
    Refresh,
    /// It is the guest's fault.
    Real,
}

impl Recent {
    /// Remembers changes that were just applied.
    pub fn note(&mut self, ops: &[MapOp]) {
        self.last = (0, 0);
        for op in ops.iter().rev().take(CHANGES) {
            let (MapOp::Map { addr, len, .. }
            | MapOp::Unmap { addr, len }
            | MapOp::Protect { addr, len, .. }) = op;
            if self.changes.len() == CHANGES {
                self.changes.pop_front();
            }
            self.changes.push_back((*addr..addr.saturating_add(*len), 0));
        }
    }

    /// Judges a fault at `page` that found everything as it should be. `known`: the platform told
    /// what the access was, and it is allowed.
    pub fn judge(&mut self, page: u64, known: bool) -> Verdict {
        let count = if self.last.0 == page { self.last.1 + 1 } else { 1 };
        self.last = (page, count);
        if known {
            return match count {
                _ if count > IN_A_ROW => Verdict::Real,
                _ if count % REFRESH == 0 => Verdict::Refresh,
                _ => Verdict::Spurious,
            };
        }
        let Some((_, used)) = self
            .changes
            .iter_mut()
            .find(|(range, used)| range.contains(&page) && *used < PER_CHANGE)
        else {
            return Verdict::Real;
        };
        *used += 1;
        if *used % REFRESH == 0 { Verdict::Refresh } else { Verdict::Spurious }
    }
}
