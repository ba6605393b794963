//! The state of an address space: the two layers, and the steps that change both together.

use crate::batch::Batch;
use crate::file_alloc::HUGE_PAGE;
use crate::pma::{Pma, Pmas, Source};
use crate::ranges::Segment;
use crate::spurious::Recent;
use crate::vma::{Vma, Vmas};
use crate::*;
use abi::{Errno, SysResult};
use platform::GUEST_ADDRESS_END;
use std::ops::Range;
use std::sync::{Arc, Weak};

/// vm.max_map_count.
pub(crate) const MAX_MAP_COUNT: usize = 65530;
/// vm.mmap_min_addr: nobody maps below.
pub(crate) const MIN_ADDR: u64 = 0x1_0000;
/// Anonymous mappings longer than this get their pages in aligned pieces of this size, on fault.
pub(crate) const LAZY: u64 = 1 << 30;
/// Copy-on-write copies this much at once, while there are few pieces.
const CHUNK: u64 = 64 << 10;
/// A private writable mapping of a file up to this size is copied when it is made.
pub(crate) const EAGER_COPY: u64 = 256 << 10;
/// How many contiguous pieces of a file are mapped at mmap time; the rest on fault.
const EAGER_PIECES: usize = 16;

/// Behind the lock of a [`MemoryManager`]. Invariant: every PMA lies within one or more VMAs, and
/// is mapped on the host with [`Pma::host_prot`].
pub(crate) struct State {
    pub id: u64,
    pub this: Weak<MemoryManager>,
    pub memory: Arc<MemoryFile>,
    pub vmas: Vmas,
    pub pmas: Pmas,
    /// Bytes in VMAs.
    pub total: u64,
    /// Bytes in locked VMAs.
    pub locked: u64,
    /// mlockall(MCL_FUTURE).
    pub lock_future: bool,
    pub limits: Limits,
    pub layout: ImageLayout,
    /// The program break.
    pub brk: u64,
    /// Offsets kept for the heap to grow into, and the address where they belong.
    pub brk_reserve: Option<(u64, FileRange)>,
    pub mmap_base: u64,
    /// See `find.rs`.
    pub no_gap: Option<find::NoGap>,
    pub recent: Recent,
}

/// Rounds up to a page; None on overflow.
pub(crate) fn page_up(value: u64) -> Option<u64> {
    value.checked_next_multiple_of(PAGE_SIZE)
}

/// Rounds down to a page.
pub(crate) fn page_down(value: u64) -> u64 {
    value - value % PAGE_SIZE
}

/// The pages of `addr..addr + len`, as munmap(2) and others check it: EINVAL if `addr` is not
/// aligned, the length is 0, or the range leaves the address space.
pub(crate) fn checked_range(addr: u64, len: u64) -> SysResult<Range<u64>> {
    let len = page_up(len).filter(|&len| len > 0).ok_or(Errno::EINVAL)?;
    let end = addr.checked_add(len).filter(|&end| end <= GUEST_ADDRESS_END);
    match end {
        Some(end) if addr.is_multiple_of(PAGE_SIZE) => Ok(addr..end),
        _ => Err(Errno::EINVAL),
    }
}

/// The same for madvise(2), mprotect(2), msync(2)...: EINVAL if not aligned, ENOMEM if the range
/// wraps. May be empty.
pub(crate) fn advice_range(addr: u64, len: u64, wraps: Errno) -> SysResult<Range<u64>> {
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let end = page_up(len).and_then(|len| addr.checked_add(len)).ok_or(wraps)?;
    Ok(addr..end)
}

impl State {
    /// Adds an area where none is.
    pub fn add_vma(&mut self, range: Range<u64>, vma: Vma) {
        let len = range.end - range.start;
        self.total += len;
        if vma.flags.contains(vma::VmaFlags::LOCKED) {
            self.locked += len;
        }
        if let Some(file) = &vma.file {
            file.mappable.mappings().add(self.id, &self.this);
        }
        self.vmas.insert(range, vma);
    }

    /// Takes out the areas of `range`, leaving the PMAs.
    pub fn take_vmas(&mut self, range: Range<u64>) -> Vec<(Range<u64>, Vma)> {
        let taken = self.vmas.remove(range.clone());
        for (range, vma) in &taken {
            self.total -= range.end - range.start;
            if vma.flags.contains(vma::VmaFlags::LOCKED) {
                self.locked -= range.end - range.start;
            }
        }
        if self.no_gap.as_ref().is_some_and(|known| range.end >= known.ceiling) {
            self.no_gap = None;
        }
        taken
    }

    /// Unmaps everything in `range`.
    pub fn unmap(&mut self, range: Range<u64>, batch: &mut Batch) {
        let areas = self.take_vmas(range.clone());
        batch.files.extend(areas.into_iter().filter_map(|(_, vma)| vma.file));
        self.drop_pmas(range, batch);
    }

    /// Does any area map the file with this set, and where are the whole pages of this range of
    /// its offsets?
    pub fn areas_of(&self, set: &MappingSet, range: Range<u64>) -> (bool, Vec<Range<u64>>) {
        let mut found = false;
        let mut hit = Vec::new();
        let start = range.start.checked_next_multiple_of(PAGE_SIZE).unwrap_or(u64::MAX);
        for (area, vma) in self.vmas.iter() {
            let Some(file) = &vma.file else { continue };
            if !std::ptr::eq(file.mappable.mappings(), set) {
                continue;
            }
            found = true;
            let first = start.saturating_sub(vma.offset);
            let last = range.end.saturating_sub(vma.offset).min(area.end - area.start);
            let last = page_down(last);
            if first < last {
                hit.push(area.start + first..area.start + last);
            }
        }
        (found, hit)
    }

    /// Takes the pages away, leaving the areas.
    pub fn drop_pmas(&mut self, range: Range<u64>, batch: &mut Batch) {
        let removed = self.pmas.remove(range);
        let (Some(first), Some(last)) = (removed.first(), removed.last()) else { return };
        batch.unmap(first.0.start..last.0.end);
        batch.release.extend(removed.iter().filter_map(|(range, pma)| pma.owned(range)));
    }

    /// Would cutting the areas at the ends of `range` make too many?
    pub fn check_split(&self, range: &Range<u64>) -> SysResult<()> {
        let cuts = |at: u64| self.vmas.get(at).is_some_and(|(r, _)| r.start < at);
        let more = usize::from(cuts(range.start)) + usize::from(cuts(range.end));
        if self.vmas.len() + more > MAX_MAP_COUNT { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Is `range` covered by areas without a hole?
    pub fn covered(&self, range: Range<u64>) -> bool {
        self.vmas.gaps(range).is_empty()
    }

    /// Enough of RLIMIT_AS and RLIMIT_DATA for `len` bytes more with these attributes? ENOMEM.
    pub fn may_expand(&self, len: u64, vma: &Vma) -> SysResult<()> {
        if self.total.saturating_add(len) > self.limits.address_space {
            return Err(Errno::ENOMEM);
        }
        if vma.is_data()
            && self.limits.data != u64::MAX
            && self.data_bytes().saturating_add(len) > self.limits.data
        {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    pub fn data_bytes(&self) -> u64 {
        let data = self.vmas.iter().filter(|(_, vma)| vma.is_data());
        data.map(|(range, _)| range.end - range.start).sum()
    }

    /// Puts pages where none are, and maps them.
    pub fn put_pma(&mut self, range: Range<u64>, vma: &Vma, pma: Pma, batch: &mut Batch) {
        batch.map(range.clone(), vma, &pma, self.memory.fd());
        self.pmas.insert(range, pma);
    }

    /// New private pages for `range`, not mapped yet. At the file offsets next to those of its
    /// neighbours in memory if possible.
    pub fn allocate(&self, range: &Range<u64>) -> SysResult<FileRange> {
        let len = range.end - range.start;
        let below = self.pmas.before(range.start).filter(|(r, _)| r.end == range.start);
        let above = self.pmas.get(range.end).filter(|(r, _)| r.start == range.end);
        let hints = [
            below.filter(|(_, pma)| pma.is_private()).map(|(r, p)| p.offset + (r.end - r.start)),
            above.filter(|(_, pma)| pma.is_private()).and_then(|(_, p)| p.offset.checked_sub(len)),
        ];
        // A long range is better off where the host can use huge pages.
        let fits = |hint: &u64| len < HUGE_PAGE || (hint ^ range.start).is_multiple_of(HUGE_PAGE);
        self.memory.allocate_near(len, hints.into_iter().flatten().filter(fits))
    }

    /// Gives anonymous memory to the parts of `range` that have none. `range` lies in one private
    /// anonymous area.
    pub fn fill(&mut self, range: Range<u64>, vma: &Vma, batch: &mut Batch) -> SysResult<()> {
        for gap in self.pmas.gaps(range) {
            let memory = self.allocate(&gap)?;
            self.put_pma(gap, vma, Pma::private(memory.start), batch);
        }
        Ok(())
    }

    /// Maps what can be mapped now of a new (or newly accessible) part of an area.
    pub fn populate(&mut self, range: Range<u64>, vma: &Vma, batch: &mut Batch) -> SysResult<()> {
        if !vma.accessible() {
            return Ok(());
        }
        let len = range.end - range.start;
        if vma.anonymous() {
            return if len <= LAZY { self.fill(range, vma, batch) } else { Ok(()) };
        }
        if !vma.shared() && vma.prot.contains(Prot::WRITE) && len <= EAGER_COPY {
            for gap in self.pmas.gaps(range.clone()) {
                let vma = vma.advance(gap.start - range.start);
                // What cannot be read now is tried again on fault.
                let _ = self.copy_private(gap, &vma, batch);
            }
            return Ok(());
        }
        let mut pieces = 0;
        for gap in self.pmas.gaps(range.clone()) {
            let mut at = gap.start;
            while at < gap.end && pieces < EAGER_PIECES {
                let vma = vma.advance(at - range.start);
                let Ok(end) = self.map_file(at..gap.end, &vma, batch) else { break };
                at = end;
                pieces += 1;
            }
        }
        Ok(())
    }

    /// Maps file pages directly at the beginning of `range`, where nothing is mapped; `vma` begins
    /// there. Returns the end of what was mapped.
    pub fn map_file(&mut self, range: Range<u64>, vma: &Vma, batch: &mut Batch) -> SysResult<u64> {
        let file = vma.file.as_ref().ok_or(Errno::EFAULT)?;
        let len = range.end - range.start;
        let write = vma.shared() && vma.prot.contains(Prot::WRITE);
        let (source, offset, found) = match file.mappable.translate(vma.offset, len, write)? {
            Backing::Memory { offset, len } => (Source::File, offset, len),
            Backing::Host { file, offset, len } => (Source::Host(file), offset, len),
        };
        let len = page_down(found.min(len));
        if len == 0 || !offset.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EIO);
        }
        let end = range.start + len;
        self.put_pma(range.start..end, vma, Pma { source, offset, cow: false }, batch);
        Ok(end)
    }

    /// Copies file pages of a private mapping into private memory: the pages of `range` that
    /// begin before the end of the file. `vma` begins at `range.start`. ENXIO if there is none.
    pub fn copy_private(
        &mut self,
        range: Range<u64>,
        vma: &Vma,
        batch: &mut Batch,
    ) -> SysResult<()> {
        let file = vma.file.as_ref().ok_or(Errno::EFAULT)?;
        let left = file.mappable.size().saturating_sub(vma.offset);
        let len = page_up(left).unwrap_or(u64::MAX).min(range.end - range.start);
        if len == 0 || left == 0 {
            return Err(Errno::ENXIO);
        }
        let range = range.start..range.start + len;
        let memory = self.allocate(&range)?;
        let copy = || {
            let mut buf = vec![0; CHUNK.min(len) as usize];
            let mut done = 0;
            while done < len.min(left) {
                let want = (len.min(left) - done).min(CHUNK) as usize;
                let n = file.mappable.read_at(vma.offset + done, &mut buf[..want])?;
                if n == 0 {
                    break;
                }
                // Pages of zeros stay holes.
                let mut to = memory.start + done;
                for page in buf[..n].chunks(PAGE_SIZE as usize) {
                    if page.iter().any(|&byte| byte != 0) {
                        self.memory.write(to, page)?;
                    }
                    to += page.len() as u64;
                }
                done += n as u64;
            }
            Ok(())
        };
        if let Err(error) = copy() {
            self.memory.dec_ref(memory);
            return Err(error);
        }
        if self.pmas.overlaps(range.clone()) {
            self.pmas.remove(range.clone());
        }
        self.put_pma(range, vma, Pma::private(memory.start), batch);
        Ok(())
    }

    /// The aligned piece around `addr`, within `within`, that copy-on-write copies at once.
    pub fn chunk(&self, addr: u64, within: &Range<u64>) -> Range<u64> {
        // The host limits the number of its mappings, so copy more when there are many.
        let size = match self.pmas.len() {
            0..4096 => CHUNK,
            4096..16384 => CHUNK * 8,
            _ => CHUNK * 32,
        };
        let start = addr - addr % size;
        start.max(within.start)..(start + size).min(within.end)
    }
}
