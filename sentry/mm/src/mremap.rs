//! mremap(2).

use crate::batch::Batch;
use crate::ranges::Segment;
use crate::state::{MAX_MAP_COUNT, MIN_ADDR, State, page_up};
use crate::vma::{Vma, VmaFlags};
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use platform::GUEST_ADDRESS_END;
use std::ops::Range;

bitflags::bitflags! {
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Flags: u64 {
        const MAYMOVE = 1;
        const FIXED = 2;
        const DONTUNMAP = 4;
    }
}

impl MemoryManager {
    /// mremap(2).
    pub fn mremap(
        &self,
        old: UserAddr,
        old_len: u64,
        new_len: u64,
        flags: u64,
        new_addr: UserAddr,
    ) -> SysResult<UserAddr> {
        let flags = Flags::from_bits(flags).ok_or(Errno::EINVAL)?;
        if flags.contains(Flags::FIXED) && !flags.contains(Flags::MAYMOVE) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(Flags::DONTUNMAP)
            && (!flags.contains(Flags::MAYMOVE) || old_len != new_len)
        {
            return Err(Errno::EINVAL);
        }
        let old_len = page_up(old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_up(new_len).filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
        if !old.0.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let old = old.0..old.0.checked_add(old_len).ok_or(Errno::EINVAL)?;
        self.change(|state, batch| {
            if flags.intersects(Flags::FIXED | Flags::DONTUNMAP) {
                state.remap_to(old, new_len, flags, new_addr.0, batch)
            } else {
                state.remap(old, new_len, flags, batch)
            }
        })
        .map(UserAddr)
    }
}

impl State {
    /// Without a given place.
    fn remap(
        &mut self,
        old: Range<u64>,
        new_len: u64,
        flags: Flags,
        batch: &mut Batch,
    ) -> SysResult<u64> {
        if self.vmas.get(old.start).is_none() {
            return Err(Errno::EFAULT);
        }
        if old.end - old.start >= new_len {
            let tail = old.start + new_len..old.end.min(GUEST_ADDRESS_END);
            if !tail.is_empty() {
                self.check_split(&tail)?;
                self.unmap(tail, batch);
            }
            return Ok(old.start);
        }
        let (area, vma) = self.check_resize(&old, new_len)?;
        let grown = old.start.checked_add(new_len).filter(|&end| end <= GUEST_ADDRESS_END);
        // An area that is to be doubled never grows in place.
        let fits =
            |&end: &u64| !old.is_empty() && old.end == area.end && self.is_free(old.end..end);
        if let Some(end) = grown.filter(fits) {
            let more = vma.advance(old.end - old.start);
            self.add_vma(old.end..end, more.clone());
            self.populate(old.end..end, &more, batch)?;
            return Ok(old.start);
        }
        if !flags.contains(Flags::MAYMOVE) {
            return Err(Errno::ENOMEM);
        }
        let to = self.choose(0, new_len, PAGE_SIZE, false)?;
        self.move_to(old, to..to + new_len, vma, false, batch)
    }

    /// With MREMAP_FIXED, or MREMAP_DONTUNMAP.
    fn remap_to(
        &mut self,
        mut old: Range<u64>,
        new_len: u64,
        flags: Flags,
        to: u64,
        batch: &mut Batch,
    ) -> SysResult<u64> {
        let fixed = flags.contains(Flags::FIXED);
        let keep = flags.contains(Flags::DONTUNMAP);
        if self.vmas.get(old.start).is_none() {
            return Err(Errno::EFAULT);
        }
        if fixed {
            let end = to.checked_add(new_len).filter(|&end| end <= GUEST_ADDRESS_END);
            let end = end.ok_or(Errno::EINVAL)?;
            if !to.is_multiple_of(PAGE_SIZE) || to < old.end && old.start < end {
                return Err(Errno::EINVAL);
            }
            if to < MIN_ADDR {
                return Err(Errno::EPERM);
            }
            // Linux wants room for the worst case: every step may cut an area.
            if self.vmas.len() + 4 > MAX_MAP_COUNT {
                return Err(Errno::ENOMEM);
            }
            self.unmap(to..end, batch);
        }
        if old.end - old.start > new_len {
            let tail = old.start + new_len..old.end.min(GUEST_ADDRESS_END);
            self.unmap(tail.clone(), batch);
            old.end = tail.start;
        }
        let (_, vma) = self.check_resize(&old, new_len)?;
        let to = if fixed { to } else { self.choose(to, new_len, PAGE_SIZE, false)? };
        self.move_to(old, to..to + new_len, vma, keep, batch)
    }

    /// vma_to_resize: the area of `old`, whole, and its attributes from `old.start` on.
    fn check_resize(&self, old: &Range<u64>, new_len: u64) -> SysResult<(Range<u64>, Vma)> {
        let (area, vma) = self.vmas.get(old.start).ok_or(Errno::EFAULT)?;
        let old_len = old.end - old.start;
        if old_len == 0 && !vma.shared() {
            return Err(Errno::EINVAL);
        }
        if old.end > area.end {
            return Err(Errno::EFAULT);
        }
        let vma = vma.advance(old.start - area.start);
        if new_len > old_len {
            let more = new_len - old_len;
            if vma.file.is_some() && vma.offset.checked_add(new_len).is_none() {
                return Err(Errno::EINVAL);
            }
            if vma.flags.contains(VmaFlags::LOCKED)
                && self.locked.saturating_add(more) > self.limits.memlock
            {
                return Err(Errno::EAGAIN);
            }
            self.may_expand(more, &vma)?;
        }
        Ok((area, vma))
    }

    /// Moves the pages of `old`, part of one area, to the free range `new`, at least as long.
    /// `keep`: the old area stays, without pages. With an empty `old` the area is doubled.
    fn move_to(
        &mut self,
        old: Range<u64>,
        new: Range<u64>,
        vma: Vma,
        keep: bool,
        batch: &mut Batch,
    ) -> SysResult<u64> {
        if self.vmas.len() + 3 > MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        if keep {
            self.may_expand(new.end - new.start, &vma)?;
        }
        let pieces = self.pmas.remove(old.clone());
        if let (Some(first), Some(last)) = (pieces.first(), pieces.last()) {
            batch.unmap(first.0.start..last.0.end);
        }
        if !keep {
            self.take_vmas(old.clone());
        }
        self.add_vma(new.clone(), vma.clone());
        for (range, pma) in pieces {
            let start = range.start - old.start + new.start;
            self.put_pma(start..start + (range.end - range.start), &vma, pma, batch);
        }
        let moved = old.end - old.start;
        let rest = new.start + moved..new.end;
        if !rest.is_empty() {
            self.populate(rest, &vma.advance(moved), batch)?;
        }
        if keep {
            self.populate(old, &vma, batch)?;
        }
        Ok(new.start)
    }
}
