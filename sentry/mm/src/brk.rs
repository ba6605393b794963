//! brk(2).

use crate::batch::Batch;
use crate::pma::Pma;
use crate::state::{LAZY, MAX_MAP_COUNT, MIN_ADDR, State, page_up};
use crate::vma::{Vma, VmaFlags};
use crate::*;
use abi::{Errno, SysResult, UserAddr};
use platform::GUEST_ADDRESS_END;
use std::ops::Range;

/// Offsets kept for the heap to grow into: they cost nothing, and the heap stays one mapping.
const RESERVE: u64 = 64 << 20;

impl MemoryManager {
    /// The system call brk: moves the program break to `addr` if that is possible, and returns
    /// where it is then.
    pub fn brk(&self, addr: UserAddr) -> UserAddr {
        let moved = self.change(|state, batch| state.move_brk(addr.0, batch));
        UserAddr(moved.unwrap_or_else(|_| self.state.read().brk))
    }
}

impl State {
    fn move_brk(&mut self, addr: u64, batch: &mut Batch) -> SysResult<u64> {
        let layout = &self.layout;
        if addr < layout.start_brk {
            return Err(Errno::EINVAL);
        }
        let data = layout.end_data.saturating_sub(layout.start_data);
        if (addr - layout.start_brk).saturating_add(data) > self.limits.data {
            return Err(Errno::ENOMEM);
        }
        let old = page_up(self.brk).ok_or(Errno::ENOMEM)?;
        let new = page_up(addr).filter(|&end| end <= GUEST_ADDRESS_END).ok_or(Errno::ENOMEM)?;
        if new < old {
            self.check_split(&(new..old))?;
            self.unmap(new..old, batch);
        } else if new > old {
            self.grow_heap(old..new, batch)?;
        }
        self.brk = addr;
        Ok(addr)
    }

    fn grow_heap(&mut self, range: Range<u64>, batch: &mut Batch) -> SysResult<()> {
        let len = range.end - range.start;
        let mut flags = VmaFlags::empty();
        flags.set(VmaFlags::LOCKED, self.lock_future);
        let prot = Prot::READ | Prot::WRITE;
        let vma = Vma { prot, flags, file: None, offset: 0, name: None };
        if range.start < MIN_ADDR
            || !self.is_free(range.clone())
            || self.vmas.len() >= MAX_MAP_COUNT
        {
            return Err(Errno::ENOMEM);
        }
        if self.lock_future && self.locked.saturating_add(len) > self.limits.memlock {
            return Err(Errno::EAGAIN);
        }
        self.may_expand(len, &vma)?;
        // Longer ones get their memory on fault.
        let memory = if len <= LAZY { Some(self.heap_memory(&range, batch)?) } else { None };
        self.add_vma(range.clone(), vma.clone());
        if let Some(memory) = memory {
            self.put_pma(range, &vma, Pma::private(memory.start), batch);
        }
        Ok(())
    }

    /// Memory for the heap to grow by `range`, from the reserve.
    fn heap_memory(&mut self, range: &Range<u64>, batch: &mut Batch) -> SysResult<FileRange> {
        let len = range.end - range.start;
        let reserve = match self.brk_reserve.take() {
            Some((at, reserve)) if at == range.start && reserve.len >= len => reserve,
            unfit => {
                batch.release.extend(unfit.map(|(_, reserve)| reserve));
                self.memory.allocate(len + RESERVE)?
            }
        };
        let rest = FileRange { start: reserve.start + len, len: reserve.len - len };
        if rest.len > 0 {
            self.brk_reserve = Some((range.end, rest));
        }
        Ok(FileRange { start: reserve.start, len })
    }
}
