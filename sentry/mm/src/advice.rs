//! madvise(2), mincore(2), msync(2), and the names of PR_SET_VMA.

use crate::batch::Batch;
use crate::ranges::Segment;
use crate::state::{State, advice_range};
use crate::vma::{Vma, VmaFlags};
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use std::ops::Range;
use std::sync::Arc;

/// MADV_POPULATE_READ and _WRITE stop to let others in after so many pages.
const POPULATE_BATCH: usize = 512;

impl MemoryManager {
    /// madvise(2). What Linux may ignore is accepted and ignored.
    pub fn madvise(&self, addr: UserAddr, len: u64, advice: i32) -> SysResult<()> {
        if matches!(advice, libc::MADV_HWPOISON | libc::MADV_SOFT_OFFLINE) {
            return Err(Errno::EPERM);
        }
        if !is_known(advice) {
            return Err(Errno::EINVAL);
        }
        let range = advice_range(addr.0, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        match advice {
            libc::MADV_POPULATE_READ => self.populate(range, Access::Read),
            libc::MADV_POPULATE_WRITE => self.populate(range, Access::Write),
            _ => self.change(|state, batch| {
                // Holes do not stop it, and are an error in the end.
                let whole = state.covered(range.clone());
                for (part, vma) in state.vmas.pieces(range) {
                    state.advise(part, &vma, advice, batch)?;
                }
                if whole { Ok(()) } else { Err(Errno::ENOMEM) }
            }),
        }
    }

    /// Makes every page of the range accessible as a fault would. EFAULT where that would signal;
    /// ENOMEM where nothing is mapped.
    fn populate(&self, mut range: Range<u64>, access: Access) -> SysResult<()> {
        while !range.is_empty() {
            self.change(|state, batch| {
                for _ in 0..POPULATE_BATCH {
                    if range.is_empty() {
                        break;
                    }
                    let (area, vma) = state.vmas.get(range.start).ok_or(Errno::ENOMEM)?;
                    let denied = access == Access::Write && !vma.prot.contains(Prot::WRITE);
                    if denied || !vma.accessible() {
                        return Err(Errno::EINVAL);
                    }
                    let end = area.end;
                    let changed = state.resolve(range.start, access, false, batch);
                    if let Err(fault) = changed {
                        let memory = fault.out_of_memory;
                        return Err(if memory { Errno::ENOMEM } else { Errno::EFAULT });
                    }
                    // All of a PMA that needs no copy is fine.
                    let next = match (state.pmas.get(range.start), state.vmas.get(range.start)) {
                        (Some((r, pma)), Some((_, vma)))
                            if access == Access::Read || !pma.needs_copy(vma) =>
                        {
                            r.end
                        }
                        _ => range.start + PAGE_SIZE,
                    };
                    range.start = next.min(end).min(range.end);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// mincore(2): writes one byte a page to `vec`, 1 if the page is resident.
    pub fn mincore(&self, addr: UserAddr, len: u64, vec: UserAddr) -> SysResult<()> {
        if !addr.0.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let end = state::page_up(len).and_then(|len| addr.0.checked_add(len));
        let end = end.filter(|&end| end <= platform::GUEST_ADDRESS_END).ok_or(Errno::ENOMEM)?;
        let mut vec = vec;
        let mut at = addr.0;
        while at < end {
            // In steps, as Linux does: one page of answers each.
            let step = at..end.min(at + PAGE_SIZE * PAGE_SIZE);
            let answers = self.state.read().residency(step.clone())?;
            self.write_bytes(vec, &answers)?;
            vec = vec.offset(answers.len() as u64);
            at = step.end;
        }
        Ok(())
    }

    /// msync(2).
    pub fn msync(&self, addr: UserAddr, len: u64, flags: i32) -> SysResult<()> {
        let both = libc::MS_ASYNC | libc::MS_SYNC;
        if flags & !(both | libc::MS_INVALIDATE) != 0 || flags & both == both {
            return Err(Errno::EINVAL);
        }
        let range = advice_range(addr.0, len, Errno::ENOMEM)?;
        let (areas, whole) = {
            let state = self.state.read();
            (state.vmas.pieces(range.clone()), range.is_empty() || state.covered(range))
        };
        for (part, vma) in areas {
            if flags & libc::MS_INVALIDATE != 0 && vma.flags.contains(VmaFlags::LOCKED) {
                return Err(Errno::EBUSY);
            }
            if let Some(file) = vma.file.as_ref().filter(|_| vma.shared())
                && flags & libc::MS_SYNC != 0
            {
                file.mappable.sync(vma.offset, part.end - part.start)?;
            }
        }
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// PR_SET_VMA_ANON_NAME: the name that /proc/PID/maps shows, None to take it away. EBADF for
    /// mappings of files.
    pub fn set_anon_name(&self, addr: UserAddr, len: u64, name: Option<&[u8]>) -> SysResult<()> {
        let range = advice_range(addr.0, len, Errno::ENOMEM)?;
        let name: Option<Arc<[u8]>> = name.map(Arc::from);
        self.change(|state, _| {
            let whole = state.covered(range.clone());
            for (part, vma) in state.vmas.pieces(range.clone()) {
                if !vma.anonymous() {
                    return Err(Errno::EBADF);
                }
                state.check_split(&part)?;
                state.vmas.update(part, |_, vma| vma.name = name.clone());
            }
            if whole { Ok(()) } else { Err(Errno::ENOMEM) }
        })
    }
}

fn is_known(advice: i32) -> bool {
    // NORMAL to WILLNEED are 0 to 3, DONTNEED 4, FREE 8 to DOFORK 11, MERGEABLE 12 to KEEPONFORK
    // 19, COLD and PAGEOUT 20 and 21, POPULATE_* 22 and 23, DONTNEED_LOCKED 24, COLLAPSE 25.
    matches!(advice, 0..=4 | 8..=25)
}

impl State {
    fn advise(
        &mut self,
        part: Range<u64>,
        vma: &Vma,
        advice: i32,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let locked = vma.flags.contains(VmaFlags::LOCKED);
        let (flag, set) = match advice {
            libc::MADV_DONTNEED if locked => return Err(Errno::EINVAL),
            libc::MADV_DONTNEED | MADV_DONTNEED_LOCKED => return self.forget(part, vma, batch),
            // Linux frees when it is short of memory; at once is as good to the program.
            libc::MADV_FREE => {
                return if vma.anonymous() && !locked {
                    self.forget(part, vma, batch)
                } else {
                    Err(Errno::EINVAL)
                };
            }
            libc::MADV_REMOVE => return remove(&part, vma, locked),
            libc::MADV_DONTFORK => (VmaFlags::DONT_FORK, true),
            libc::MADV_DOFORK => (VmaFlags::DONT_FORK, false),
            libc::MADV_DONTDUMP => (VmaFlags::DONT_DUMP, true),
            libc::MADV_DODUMP => (VmaFlags::DONT_DUMP, false),
            libc::MADV_WIPEONFORK if !vma.anonymous() => return Err(Errno::EINVAL),
            libc::MADV_WIPEONFORK => (VmaFlags::WIPE_ON_FORK, true),
            libc::MADV_KEEPONFORK => (VmaFlags::WIPE_ON_FORK, false),
            _ => return Ok(()),
        };
        self.check_split(&part)?;
        self.vmas.update(part, |_, vma| vma.flags.set(flag, set));
        Ok(())
    }

    /// MADV_DONTNEED: private pages are as on the first day.
    fn forget(&mut self, part: Range<u64>, vma: &Vma, batch: &mut Batch) -> SysResult<()> {
        if vma.shared() {
            return Ok(()); // the pages stay the file's
        }
        for (range, pma) in self.pmas.pieces(part.clone()) {
            let Some(memory) = pma.owned(&range) else { continue };
            // Ours alone: emptied in place, for which the host needs no new mapping.
            if vma.anonymous() && !self.memory.is_shared(memory) && self.memory.zero(memory).is_ok()
            {
                continue;
            }
            self.drop_pmas(range.clone(), batch);
            let vma = vma.advance(range.start - part.start);
            self.populate(range, &vma, batch)?;
        }
        Ok(())
    }

    fn residency(&self, range: Range<u64>) -> SysResult<Vec<u8>> {
        if !self.covered(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        let mut answers = vec![0; ((range.end - range.start) / PAGE_SIZE) as usize];
        let mut mark = |part: Range<u64>| {
            let first = (part.start - range.start) / PAGE_SIZE;
            let last = (part.end - range.start).div_ceil(PAGE_SIZE);
            answers[first as usize..last as usize].fill(1);
        };
        for (part, pma) in self.pmas.pieces(range.clone()) {
            if matches!(pma.source, pma::Source::Host(_)) {
                mark(part);
                continue;
            }
            let len = part.end - part.start;
            for data in self.memory.data(pma.offset..pma.offset + len) {
                mark(part.start + (data.start - pma.offset)..part.start + (data.end - pma.offset));
            }
        }
        Ok(answers)
    }
}

const MADV_DONTNEED_LOCKED: i32 = 24;

fn remove(part: &Range<u64>, vma: &Vma, locked: bool) -> SysResult<()> {
    let Some(file) = vma.file.as_ref().filter(|_| !locked) else { return Err(Errno::EINVAL) };
    if !vma.shared() || !file.may_write {
        return Err(Errno::EACCES);
    }
    file.mappable.punch_hole(vma.offset, part.end - part.start)
}
