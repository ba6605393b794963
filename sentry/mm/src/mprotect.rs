//! mprotect(2).

use crate::batch::Batch;
use crate::state::{LAZY, State, advice_range};
use crate::vma::{Vma, VmaFlags};
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use std::ops::Range;

const PROT_SEM: u64 = 8;
const PROT_GROWSDOWN: u64 = 0x0100_0000;
const PROT_GROWSUP: u64 = 0x0200_0000;

/// Memory for a reservation that becomes accessible piece by piece (malloc's arenas) is given in
/// windows of this size, so that its pieces are contiguous in the memory file.
const WINDOW: u64 = 64 << 20;

impl MemoryManager {
    /// mprotect(2). `prot` as the guest gave it, PROT_GROWSDOWN and unknown bits included.
    pub fn mprotect(&self, addr: UserAddr, len: u64, prot: u64) -> SysResult<()> {
        let grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
        if grows == PROT_GROWSDOWN | PROT_GROWSUP {
            return Err(Errno::EINVAL);
        }
        let range = advice_range(addr.0, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        let plain = prot & !grows;
        if plain & !(u64::from(Prot::all().bits()) | PROT_SEM) != 0 {
            return Err(Errno::EINVAL);
        }
        let prot = Prot::from_bits_truncate(plain as u32);
        self.change(|state, batch| state.mprotect(range, prot, grows, batch))
    }
}

impl State {
    fn mprotect(
        &mut self,
        mut range: Range<u64>,
        prot: Prot,
        grows: u64,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let first = self.vmas.overlapping(range.clone()).next();
        let (area, vma) = first.ok_or(Errno::ENOMEM)?;
        if grows == PROT_GROWSDOWN {
            if !vma.flags.contains(VmaFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL);
            }
            range.start = area.start;
        } else if area.start > range.start {
            return Err(Errno::ENOMEM);
        } else if grows == PROT_GROWSUP {
            return Err(Errno::EINVAL); // x86 has no such stacks
        }
        self.check_split(&range)?;
        // As Linux: area by area, what was done before an error stays.
        for (part, vma) in self.vmas.pieces(range.clone()) {
            if part.start > range.start {
                return Err(Errno::ENOMEM);
            }
            range.start = part.end;
            self.protect_part(part, &vma, prot, batch)?;
        }
        if range.is_empty() { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    fn protect_part(
        &mut self,
        part: Range<u64>,
        vma: &Vma,
        prot: Prot,
        batch: &mut Batch,
    ) -> SysResult<()> {
        if vma.prot == prot {
            return Ok(());
        }
        if let Some(file) = &vma.file {
            let write = prot.contains(Prot::WRITE) && vma.shared() && !file.may_write;
            if write || prot.contains(Prot::EXEC) && !file.may_exec {
                return Err(Errno::EACCES);
            }
        }
        let new = Vma { prot, ..vma.clone() };
        if new.is_data() && !vma.is_data() && self.limits.data != u64::MAX {
            let len = part.end - part.start;
            if self.data_bytes().saturating_add(len) > self.limits.data {
                return Err(Errno::ENOMEM);
            }
        }
        let gains_write = prot.contains(Prot::WRITE) && !vma.prot.contains(Prot::WRITE);
        if vma.anonymous() && !new.prot.is_empty() && part.end - part.start <= LAZY {
            self.fill_windows(part.clone(), batch)?;
        } else if vma.shared() && gains_write {
            // What is behind a page that is written may be another than behind one only read.
            self.drop_pmas(part.clone(), batch);
        }
        self.vmas.update(part.clone(), |_, vma| vma.prot = prot);
        for (range, pma) in self.pmas.pieces(part.clone()) {
            batch.protect(range, pma.host_prot(&new));
        }
        if vma.anonymous() { Ok(()) } else { self.populate(part, &new, batch) }
    }

    /// Gives anonymous memory to the gaps in `part` of an area, and around them.
    fn fill_windows(&mut self, part: Range<u64>, batch: &mut Batch) -> SysResult<()> {
        for gap in self.pmas.gaps(part) {
            let Some((area, vma)) = self.vmas.get(gap.start).map(|(r, v)| (r, v.clone())) else {
                continue;
            };
            let start = gap.start - gap.start % WINDOW;
            let end = gap.end.checked_next_multiple_of(WINDOW).unwrap_or(gap.end);
            let window = start.max(area.start)..end.min(area.end);
            self.fill(window, &vma, batch)?;
        }
        Ok(())
    }
}
