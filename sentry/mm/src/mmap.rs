//! mmap(2) and munmap(2).

use crate::file_alloc::HUGE_PAGE;
use crate::state::{MAX_MAP_COUNT, MIN_ADDR, State, checked_range, page_up};
use crate::vma::{Vma, VmaFlags};
use crate::*;
use abi::mman::MapFlags;
use abi::{Errno, SysResult, UserAddr};
use platform::GUEST_ADDRESS_END;
use std::ops::Range;
use std::sync::Arc;

/// MAP_TYPE: the low bits of the flags.
const MAP_TYPE: u32 = 0xf;
/// What MAP_SHARED_VALIDATE accepts: LEGACY_MAP_MASK. MAP_SYNC needs persistent memory.
const VALIDATED: u32 = MAP_TYPE
    | libc::MAP_FIXED as u32
    | libc::MAP_ANONYMOUS as u32
    | libc::MAP_DENYWRITE as u32
    | libc::MAP_EXECUTABLE as u32
    | libc::MAP_GROWSDOWN as u32
    | libc::MAP_LOCKED as u32
    | libc::MAP_NORESERVE as u32
    | libc::MAP_POPULATE as u32
    | libc::MAP_NONBLOCK as u32
    | libc::MAP_STACK as u32
    | libc::MAP_HUGETLB as u32
    | 0x40 // MAP_32BIT
    | 0x80 // MAP_ABOVE4G
    | 0xfc00_0000; // huge page sizes

/// MAP_POPULATE and MAP_LOCKED fill at most so much of a mapping: the call cannot be interrupted.
const MAX_FILLED: u64 = 256 << 20;

impl MemoryManager {
    /// mmap(2).
    pub fn mmap(&self, args: MmapArgs) -> SysResult<UserAddr> {
        let mut place = None;
        let fills = args.flags.intersects(MapFlags::POPULATE | MapFlags::LOCKED)
            && args.flags.contains(MapFlags::ANONYMOUS)
            && !args.flags.contains(MapFlags::NONBLOCK);
        let len = args.len;
        let result = self.change(|state, batch| {
            let (range, vma) = state.plan_mmap(args)?;
            place = Some(range.clone());
            state.unmap(range.clone(), batch);
            state.add_vma(range.clone(), vma.clone());
            state.populate(range.clone(), &vma, batch)?;
            Ok(UserAddr(range.start))
        });
        if let (Err(_), Some(range)) = (&result, place) {
            let _ = self.change(|state, batch| {
                state.unmap(range, batch);
                Ok(())
            });
        }
        if let (Ok(start), true) = (result, fills) {
            self.fill(start, len);
        }
        result
    }

    /// Gives memory to a fresh mapping before it is touched. As on Linux, that this fails is no
    /// error of mmap(2).
    fn fill(&self, start: UserAddr, len: u64) {
        for offset in (0..len.min(MAX_FILLED)).step_by(PAGE_SIZE as usize) {
            // Reading a page of a sparse file in memory makes it.
            if self.read_bytes(start.offset(offset), &mut [0]).is_err() {
                break;
            }
        }
    }

    /// munmap(2).
    pub fn munmap(&self, addr: UserAddr, len: u64) -> SysResult<()> {
        let range = checked_range(addr.0, len)?;
        self.change(|state, batch| {
            state.check_split(&range)?;
            state.unmap(range, batch);
            Ok(())
        })
    }
}

impl State {
    /// Checks, in Linux's order, and chooses the place.
    fn plan_mmap(&mut self, args: MmapArgs) -> SysResult<(Range<u64>, Vma)> {
        let MmapArgs { addr, len, prot, flags, file, offset } = args;
        if !offset.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let file = file.filter(|_| !flags.contains(MapFlags::ANONYMOUS));
        if file.is_none() && !flags.contains(MapFlags::ANONYMOUS) {
            return Err(Errno::EBADF);
        }
        if flags.contains(MapFlags::HUGETLB) {
            // Like a machine with no huge pages set aside; no other file is on hugetlbfs.
            return Err(if file.is_some() { Errno::EINVAL } else { Errno::ENOMEM });
        }
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        if offset.checked_add(len).is_none_or(|end| file.is_some() && end > i64::MAX as u64) {
            return Err(Errno::EOVERFLOW);
        }
        if self.vmas.len() >= MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        let start = self.place(addr.0, len, flags, file.is_none())?;
        let range = start..start + len;
        let locked = flags.contains(MapFlags::LOCKED) || self.lock_future;
        if flags.contains(MapFlags::LOCKED) && self.limits.memlock == 0 {
            return Err(Errno::EPERM);
        }
        if locked && self.locked.saturating_add(len) > self.limits.memlock {
            return Err(Errno::EAGAIN);
        }
        let mut vma = new_vma(prot, flags, file, offset, || shared_anon::new(&self.memory, len))?;
        vma.flags.set(VmaFlags::LOCKED, locked);
        let replaced: u64 =
            self.vmas.pieces(range.clone()).iter().map(|(r, _)| r.end - r.start).sum();
        self.may_expand(len - replaced, &vma)?;
        self.check_split(&range)?;
        Ok((range, vma))
    }

    fn place(&mut self, addr: u64, len: u64, flags: MapFlags, anonymous: bool) -> SysResult<u64> {
        if !flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            let huge = anonymous && len >= HUGE_PAGE && len.is_multiple_of(HUGE_PAGE);
            let align = if huge { HUGE_PAGE } else { PAGE_SIZE };
            return self.choose(addr, len, align, flags.contains(MapFlags::MAP_32BIT));
        }
        if len > GUEST_ADDRESS_END || addr > GUEST_ADDRESS_END - len {
            return Err(Errno::ENOMEM);
        }
        if !addr.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if addr < MIN_ADDR {
            return Err(Errno::EPERM);
        }
        if flags.contains(MapFlags::FIXED_NOREPLACE) && self.vmas.overlaps(addr..addr + len) {
            return Err(Errno::EEXIST);
        }
        Ok(addr)
    }
}

fn new_vma(
    prot: Prot,
    flags: MapFlags,
    file: Option<MappedFile>,
    offset: u64,
    shared_anon: impl FnOnce() -> SysResult<MappedFile>,
) -> SysResult<Vma> {
    let kind = flags.bits() & MAP_TYPE;
    let (private, shared, validate) =
        (libc::MAP_PRIVATE as u32, libc::MAP_SHARED as u32, libc::MAP_SHARED_VALIDATE as u32);
    let mut vma = Vma { prot, flags: VmaFlags::empty(), file: None, offset: 0, name: None };
    if let Some(file) = file {
        if kind == validate && flags.bits() & !VALIDATED != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if kind == shared || kind == validate {
            if prot.contains(Prot::WRITE) && !file.may_write {
                return Err(Errno::EACCES);
            }
            vma.flags |= VmaFlags::SHARED;
        } else if kind != private {
            return Err(Errno::EINVAL);
        }
        if prot.contains(Prot::EXEC) && !file.may_exec {
            return Err(Errno::EPERM);
        }
        if flags.contains(MapFlags::GROWSDOWN) {
            return Err(Errno::EINVAL);
        }
        vma.file = Some(Arc::new(file));
        vma.offset = offset;
    } else if kind == shared {
        if flags.contains(MapFlags::GROWSDOWN) {
            return Err(Errno::EINVAL);
        }
        vma.flags |= VmaFlags::SHARED;
        vma.file = Some(Arc::new(shared_anon()?));
    } else if kind == private {
        vma.flags.set(VmaFlags::GROWS_DOWN, flags.contains(MapFlags::GROWSDOWN));
    } else {
        return Err(Errno::EINVAL);
    }
    Ok(vma)
}
