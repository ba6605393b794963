//! Where a mapping goes that has no fixed place.

use crate::PAGE_SIZE;
use crate::state::{MIN_ADDR, State, page_down, page_up};
use crate::vma::{Vma, VmaFlags};
use abi::{Errno, SysResult};
use platform::GUEST_ADDRESS_END;
use std::ops::Range;

/// stack_guard_gap: what stays free below a stack.
pub(crate) const STACK_GAP: u64 = 256 * PAGE_SIZE;
/// Where MAP_32BIT mappings go.
const LOW: Range<u64> = 0x4000_0000..0x8000_0000;

/// What the last search learned: no gap of `len` bytes from `ceiling` up to mmap_base. Saves going
/// through all areas for each of many mappings.
pub(crate) struct NoGap {
    pub ceiling: u64,
    len: u64,
}

/// The lowest address that an area keeps others away from.
fn start_gap(range: &Range<u64>, vma: &Vma) -> u64 {
    let gap = if vma.flags.contains(VmaFlags::GROWS_DOWN) { STACK_GAP } else { 0 };
    range.start.saturating_sub(gap)
}

impl State {
    /// A place for `len` bytes (page-aligned) near `hint`, as mmap(2) chooses it. ENOMEM.
    pub fn choose(&mut self, hint: u64, len: u64, align: u64, low: bool) -> SysResult<u64> {
        if len > GUEST_ADDRESS_END {
            return Err(Errno::ENOMEM);
        }
        let mut hint = page_down(hint);
        if hint > 0 && hint < MIN_ADDR {
            hint = MIN_ADDR;
        }
        let limit = if low { LOW.end } else { GUEST_ADDRESS_END };
        if hint > 0 && hint <= limit.saturating_sub(len) && self.is_free(hint..hint + len) {
            return Ok(hint);
        }
        if low {
            return self.bottom_up(len, LOW).ok_or(Errno::ENOMEM);
        }
        let aligned = (align > PAGE_SIZE).then(|| self.top_down(len, align)).flatten();
        aligned
            .or_else(|| self.top_down(len, PAGE_SIZE))
            .or_else(|| self.bottom_up(len, MIN_ADDR..GUEST_ADDRESS_END))
            .ok_or(Errno::ENOMEM)
    }

    /// Nothing mapped there, and no stack that wants to grow there?
    pub fn is_free(&self, range: Range<u64>) -> bool {
        !self.vmas.overlaps(range.clone())
            && self.vmas.from(range.end).is_none_or(|(r, vma)| start_gap(&r, vma) >= range.end)
    }

    fn top_down(&mut self, len: u64, align: u64) -> Option<u64> {
        let plain = align == PAGE_SIZE;
        let known = self.no_gap.as_ref().filter(|known| plain && len >= known.len);
        let mut ceiling = known.map_or(self.mmap_base, |known| known.ceiling);
        // A stack just above may reach down to here.
        if let Some((range, vma)) = self.vmas.from(ceiling) {
            ceiling = ceiling.min(start_gap(&range, vma));
        }
        let mut at = ceiling;
        loop {
            let below = self.vmas.before(at);
            let floor = below.as_ref().map_or(MIN_ADDR, |(range, _)| range.end.max(MIN_ADDR));
            let candidate = ceiling.checked_sub(len).map(|start| start - start % align);
            if let Some(start) = candidate.filter(|&start| start >= floor) {
                if plain {
                    self.no_gap = Some(NoGap { ceiling, len });
                }
                return Some(start);
            }
            let (range, vma) = below?;
            ceiling = ceiling.min(start_gap(&range, vma));
            at = range.start;
        }
    }

    fn bottom_up(&self, len: u64, within: Range<u64>) -> Option<u64> {
        let mut at = within.start;
        loop {
            let end = page_up(at.checked_add(len)?)?;
            if end > within.end {
                return None;
            }
            match self.vmas.before(end).filter(|(range, _)| range.end > at) {
                Some((range, _)) => at = range.end,
                None if self.is_free(at..end) => return Some(at),
                None => at = self.vmas.from(end)?.0.end,
            }
        }
    }
}
