//! Page faults, of the guest and of the kernel's own access to user memory.

use crate::batch::Batch;
use crate::find::STACK_GAP;
use crate::pma::Pma;
use crate::ranges::Segment;
use crate::spurious::Verdict;
use crate::state::{LAZY, MIN_ADDR, State, page_down};
use crate::vma::{Vma, VmaFlags};
use crate::*;
use abi::signal::Signal;
use abi::{Errno, SysResult};
use std::ops::Range;

/// A stack grows by at least this much at once where nothing is in the way.
const STACK_STEP: u64 = 64 << 10;

impl Fault {
    fn segv(code: i32, addr: u64) -> Fault {
        Fault { signal: Signal::SIGSEGV, code, addr, out_of_memory: false }
    }

    fn bus(addr: u64, out_of_memory: bool) -> Fault {
        Fault { signal: Signal::SIGBUS, code: BUS_ADRERR, addr, out_of_memory }
    }

    fn from_error(error: Errno, addr: u64) -> Fault {
        Fault::bus(addr, error == Errno::ENOMEM)
    }
}

impl MemoryManager {
    /// A page fault of the guest: Ok if the access may be tried again, else the signal it gets.
    /// `bus`: the host reported SIGBUS.
    pub fn handle_fault(&self, addr: u64, access: Access, bus: bool) -> Result<(), Fault> {
        let mut batch = Batch::default();
        let result = self.fault_locked(&mut self.state.write(), addr, access, bus, &mut batch);
        batch.finish(&self.memory);
        result
    }

    fn fault_locked(
        &self,
        state: &mut State,
        addr: u64,
        access: Access,
        bus: bool,
        batch: &mut Batch,
    ) -> Result<(), Fault> {
        if bus && let Some(fault) = state.bus_error(addr) {
            return Err(fault);
        }
        let changed = state.resolve(addr, access, false, batch);
        let applied = self.apply(state, batch);
        if changed? {
            return applied.map_err(|error| Fault::from_error(error, addr));
        }
        let page = page_down(addr);
        match state.recent.judge(page, access != Access::Unknown) {
            Verdict::Spurious => Ok(()),
            Verdict::Refresh => {
                state.refresh(page, batch);
                // Applied directly: a change that changes nothing must not count as recent.
                let _ = self.address_space().apply(&std::mem::take(&mut batch.ops));
                Ok(())
            }
            Verdict::Real => Err(Fault::segv(SEGV_ACCERR, addr)),
        }
    }
}

impl State {
    /// The host could not give a page that is mapped: the file behind it is too short, or the
    /// memory limit is reached.
    fn bus_error(&self, addr: u64) -> Option<Fault> {
        let page = page_down(addr);
        let (_, pma) = self.pmas.get(page)?;
        let (range, vma) = self.vmas.get(page)?;
        let beyond = vma.file.as_ref().is_some_and(|file| {
            vma.offset.saturating_add(page - range.start) >= file.mappable.size()
        });
        let host = matches!(pma.source, pma::Source::Host(_));
        Some(Fault::bus(addr, pma.is_private() || !(beyond || host)))
    }

    /// Makes the page at `addr` fit for the access. False if it was already. `force`: whatever
    /// the protection says, for ptrace(2).
    pub fn resolve(
        &mut self,
        addr: u64,
        access: Access,
        force: bool,
        batch: &mut Batch,
    ) -> Result<bool, Fault> {
        let page = page_down(addr);
        if !self.vmas.overlaps(page..page.saturating_add(PAGE_SIZE)) && !self.grow_stack(page) {
            return Err(Fault::segv(SEGV_MAPERR, addr));
        }
        let Some((area, vma)) = self.vmas.get(page).map(|(area, vma)| (area, vma.clone())) else {
            return Err(Fault::segv(SEGV_MAPERR, addr));
        };
        let allowed = match access {
            Access::Write if force => vma.prot.contains(Prot::WRITE) || !vma.shared(),
            _ if force => true,
            Access::Write => vma.prot.contains(Prot::WRITE),
            Access::Execute => vma.prot.contains(Prot::EXEC),
            Access::Read | Access::Unknown => vma.accessible(),
        };
        if !allowed {
            return Err(Fault::segv(SEGV_ACCERR, addr));
        }
        let write = match access {
            Access::Write => true,
            Access::Unknown => vma.prot.contains(Prot::WRITE),
            Access::Read | Access::Execute => false,
        };
        let result = match self.pmas.get(page) {
            Some((_, pma)) if write && pma.needs_copy(&vma) => {
                self.break_cow(page, &area, &vma, batch)
            }
            Some(_) => return Ok(false),
            None if vma.anonymous() => self.fill_around(page, &area, &vma, LAZY, batch),
            None if write && !vma.shared() => self.break_cow(page, &area, &vma, batch),
            None => self.map_file_from(page, &area, &vma, batch),
        };
        result.map(|()| true).map_err(|error| Fault::from_error(error, addr))
    }

    /// Gives anonymous memory to the aligned window of `size` bytes around `page`, as far as the
    /// area goes and nothing is there yet.
    pub fn fill_around(
        &mut self,
        page: u64,
        area: &Range<u64>,
        vma: &Vma,
        size: u64,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let start = page - page % size;
        let window = start.max(area.start)..(start + size).min(area.end);
        match self.pmas.gap_around(page, window) {
            Some(gap) => self.fill(gap, vma, batch),
            None => Ok(()),
        }
    }

    fn map_file_from(
        &mut self,
        page: u64,
        area: &Range<u64>,
        vma: &Vma,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let gap = self.pmas.gap_around(page, area.clone()).ok_or(Errno::EFAULT)?;
        self.map_file(page..gap.end, &vma.advance(page - area.start), batch).map(|_| ())
    }

    /// Makes the page at `page` private and writable: takes it over if nobody else refers to it
    /// any more, copies it and its surroundings otherwise.
    fn break_cow(
        &mut self,
        page: u64,
        area: &Range<u64>,
        vma: &Vma,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let Some((found, pma)) = self.pmas.get(page).filter(|(_, pma)| pma.is_private()) else {
            return self.copy_from_file(page, area, vma, batch);
        };
        let memory_of = |part: &Range<u64>| FileRange {
            start: pma.offset_of(&found, part.start),
            len: part.end - part.start,
        };
        let whole = found.start.max(area.start)..found.end.min(area.end);
        let chunk = self.chunk(page, &whole);
        let old = memory_of(&chunk);
        // After the other side is gone all of it can be taken back at once.
        for part in [whole.clone(), chunk.clone()] {
            if !self.memory.is_shared(memory_of(&part)) {
                let pma = Pma { cow: false, ..pma.clone() };
                batch.protect(part.clone(), pma.host_prot(vma));
                self.pmas.update(part, |_, pma| pma.cow = false);
                return Ok(());
            }
        }
        let new = self.allocate(&chunk)?;
        if let Err(error) = self.memory.copy_to_new(old.start, new.start, new.len) {
            self.memory.dec_ref(new);
            return Err(error);
        }
        self.pmas.remove(chunk.clone());
        batch.release.push(old);
        self.put_pma(chunk, vma, Pma::private(new.start), batch);
        Ok(())
    }

    fn copy_from_file(
        &mut self,
        page: u64,
        area: &Range<u64>,
        vma: &Vma,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let file = vma.file.as_ref().ok_or(Errno::EFAULT)?;
        if vma.offset.saturating_add(page - area.start) >= file.mappable.size() {
            return Err(Errno::ENXIO);
        }
        let mut chunk = self.chunk(page, area);
        // Leave out what was copied before.
        for (piece, pma) in self.pmas.overlapping(chunk.clone()) {
            if pma.is_private() {
                if piece.end <= page {
                    chunk.start = chunk.start.max(piece.end);
                } else {
                    chunk.end = chunk.end.min(piece.start);
                    break;
                }
            }
        }
        let vma = vma.advance(chunk.start - area.start);
        self.copy_private(chunk, &vma, batch)
    }

    /// Extends the stack above `page` down to it, if there is one and Linux would.
    fn grow_stack(&mut self, page: u64) -> bool {
        let Some((stack, vma)) = self.vmas.from(page) else { return false };
        if !vma.flags.contains(VmaFlags::GROWS_DOWN) || page < MIN_ADDR {
            return false;
        }
        let below = self.vmas.before(page);
        let fence = below.map_or(MIN_ADDR, |(range, below)| {
            let gap = below.accessible() && !below.flags.contains(VmaFlags::GROWS_DOWN);
            range.end.saturating_add(if gap { STACK_GAP } else { 0 })
        });
        let lowest = stack.end.saturating_sub(self.limits.stack).max(fence);
        let vma = vma.clone();
        if page < lowest || self.may_expand(stack.start - page, &vma).is_err() {
            return false;
        }
        let generous = page.min(stack.start.saturating_sub(STACK_STEP));
        let generous = generous - generous % STACK_STEP;
        let start = if generous >= lowest && self.may_expand(stack.start - generous, &vma).is_ok() {
            generous
        } else {
            page
        };
        self.add_vma(start..stack.start, vma);
        true
    }

    /// Sends what is around `page` to the host once more.
    fn refresh(&self, page: u64, batch: &mut Batch) {
        let (Some((area, vma)), Some((range, pma))) = (self.vmas.get(page), self.pmas.get(page))
        else {
            return;
        };
        let part = range.start.max(area.start)..range.end.min(area.end);
        let part = self.chunk(page, &part);
        let pma = pma.advance(part.start - range.start);
        batch.map(part, vma, &pma, self.memory.fd());
    }
}
