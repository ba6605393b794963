//! The memory file.

use crate::file_alloc::Allocator;
use crate::raw::Mapping;
use crate::{FileRange, PAGE_SIZE};
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom, fallocate, fstat, ftruncate, memfd_create};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Sizes to try, largest first. Only address space of the sentry limits it: nothing is allocated.
const SIZES: [u64; 6] = [16 << 40, 4 << 40, 1 << 40, 256 << 30, 64 << 30, 16 << 30];

/// The sparse file that holds all memory of all guests of a sandbox, and the data of its tmpfs.
///
/// Offsets are handed out by [`MemoryFile::allocate`] and counted by page; offsets cost nothing
/// until touched, and read as zero when handed out. The sentry maps the file whole, once.
pub struct MemoryFile {
    fd: Arc<OwnedFd>,
    mapping: Mapping,
    allocator: Mutex<Allocator>,
}

impl MemoryFile {
    /// Takes an empty file on a tmpfs, or a memfd, and makes it huge and sparse.
    pub fn new(file: OwnedFd) -> io::Result<Arc<MemoryFile>> {
        MemoryFile::with_capacity(file, u64::MAX)
    }

    /// The same, at most `most` bytes huge, for a platform that has a limit.
    pub fn with_capacity(file: OwnedFd, most: u64) -> io::Result<Arc<MemoryFile>> {
        let mut last = io::Error::from(io::ErrorKind::OutOfMemory);
        for size in SIZES.into_iter().filter(|&size| size <= most) {
            match MemoryFile::map(&file, size) {
                Ok(mapping) => {
                    let allocator = Mutex::new(Allocator::new(size));
                    return Ok(Arc::new(MemoryFile { fd: Arc::new(file), mapping, allocator }));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// In a memfd, where there is no private tmpfs (and for tests).
    pub fn new_memfd() -> io::Result<Arc<MemoryFile>> {
        MemoryFile::new(memfd_create("guest-memory", MemfdFlags::CLOEXEC)?)
    }

    /// First offset that does not exist.
    pub fn capacity(&self) -> u64 {
        self.mapping.len()
    }

    fn map(file: &OwnedFd, size: u64) -> io::Result<Mapping> {
        ftruncate(file, size)?;
        Mapping::new(file.as_fd(), size)
    }

    /// The file, for mapping parts of it elsewhere.
    pub fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// A contiguous range of `len` bytes (rounded up to pages) with one reference; all zero.
    /// Aligned to 2 MiB if at least that long. ENOMEM when no offsets are left.
    pub fn allocate(&self, len: u64) -> SysResult<FileRange> {
        self.allocate_near(len, [])
    }

    /// The same, at the first of `hints` that is free: so that neighbours in memory are neighbours in the
    /// file, and the host can merge their mappings.
    pub(crate) fn allocate_near(
        &self,
        len: u64,
        hints: impl IntoIterator<Item = u64>,
    ) -> SysResult<FileRange> {
        let len = len.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENOMEM)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        self.allocator.lock().allocate(len, hints).ok_or(Errno::ENOMEM)
    }

    /// One more reference to every page of the range, all of which must have one already.
    pub fn inc_ref(&self, range: FileRange) {
        self.allocator.lock().inc_ref(range);
    }

    /// One reference less to every page of the range. Pages without any are freed, on the host
    /// too.
    pub fn dec_ref(&self, range: FileRange) {
        let dead = self.allocator.lock().dec_ref(range);
        for range in dead {
            // Punched without the lock: freeing many pages takes a while.
            // And not at all if there are none, which is much cheaper to find out.
            let empty = self.data(range.start..range.end()).next().is_none();
            match if empty { Ok(()) } else { self.punch(range) } {
                Ok(()) => self.allocator.lock().give_back(range),
                // What does not read as zero may never be handed out again.
                Err(error) => tracing::warn!(?range, ?error, "memory file: range lost"),
            }
        }
    }

    /// Does any page of the range have more than one reference?
    pub fn is_shared(&self, range: FileRange) -> bool {
        self.allocator.lock().is_shared(range)
    }

    /// Bytes handed out (not necessarily touched): 0 when nothing leaks.
    pub fn allocated_bytes(&self) -> u64 {
        self.allocator.lock().allocated()
    }

    /// Copies out. ENOMEM if a page could not be had: the sandbox's memory limit is reached.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> SysResult<()> {
        self.mapping.read(offset, buf).then_some(()).ok_or(Errno::ENOMEM)
    }

    /// Copies in. ENOMEM if a page could not be had: the sandbox's memory limit is reached.
    pub fn write(&self, offset: u64, buf: &[u8]) -> SysResult<()> {
        self.mapping.write(offset, buf).then_some(()).ok_or(Errno::ENOMEM)
    }

    /// Loads an aligned word, atomically.
    pub fn load_u32(&self, offset: u64) -> SysResult<u32> {
        self.mapping.load_u32(offset).ok_or(Errno::ENOMEM)
    }

    /// Atomic compare-and-exchange of an aligned word: `Ok(old)` if it was done, else `Err` with
    /// the value found.
    pub fn compare_exchange_u32(
        &self,
        offset: u64,
        old: u32,
        new: u32,
    ) -> SysResult<Result<u32, u32>> {
        let found = self.mapping.compare_exchange_u32(offset, old, new).ok_or(Errno::ENOMEM)?;
        Ok(if found == old { Ok(old) } else { Err(found) })
    }

    /// Makes the bytes zero; here `range` need not be aligned. Whole pages are freed on the host.
    pub fn zero(&self, range: FileRange) -> SysResult<()> {
        const ZEROS: [u8; PAGE_SIZE as usize] = [0; PAGE_SIZE as usize];
        let end = range.start.checked_add(range.len).ok_or(Errno::EINVAL)?;
        let first = range.start.next_multiple_of(PAGE_SIZE).min(end);
        let last = (end - end % PAGE_SIZE).max(first);
        self.write(range.start, &ZEROS[..(first - range.start) as usize])?;
        if first < last {
            self.punch(FileRange { start: first, len: last - first })?;
        }
        self.write(last, &ZEROS[..(end - last) as usize])
    }

    /// Copies `len` bytes from one place to another, which must not overlap. Holes stay holes.
    pub fn copy(&self, from: u64, to: u64, len: u64) -> SysResult<()> {
        let mut at = from;
        let end = from.checked_add(len).ok_or(Errno::EINVAL)?;
        for data in self.data(from..end) {
            self.zero(FileRange { start: to + (at - from), len: data.start - at })?;
            self.copy_data(data.start, to + (data.start - from), data.end - data.start)?;
            at = data.end;
        }
        self.zero(FileRange { start: to + (at - from), len: end - at })
    }

    /// The same to a place that is known to be zero (a new allocation).
    pub(crate) fn copy_to_new(&self, from: u64, to: u64, len: u64) -> SysResult<()> {
        for data in self.data(from..from.checked_add(len).ok_or(Errno::EINVAL)?) {
            self.copy_data(data.start, to + (data.start - from), data.end - data.start)?;
        }
        Ok(())
    }

    fn copy_data(&self, mut from: u64, mut to: u64, mut len: u64) -> SysResult<()> {
        while len > 0 {
            match self.mapping.write_to(from, len, self.fd.as_fd(), to) {
                Ok(0) => return Err(Errno::EIO),
                Ok(n) => (from, to, len) = (from + n, to + n, len - n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // ENOSPC: the tmpfs is full; EFAULT: the same, found at the source.
                Err(_) => return Err(Errno::ENOMEM),
            }
        }
        Ok(())
    }

    /// The parts of a range of offsets that have memory behind them.
    pub(crate) fn data(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            let start = match rustix::fs::seek(&*self.fd, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(rustix::io::Errno::NXIO) => return None,
                // A host without SEEK_DATA: all of it counts as data.
                Err(_) => at,
            };
            if start >= range.end {
                return None;
            }
            let end = rustix::fs::seek(&*self.fd, SeekFrom::Hole(start)).unwrap_or(range.end);
            at = end.max(start + 1).min(range.end);
            Some(start..at)
        })
    }

    fn punch(&self, range: FileRange) -> SysResult<()> {
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        loop {
            match fallocate(&*self.fd, mode, range.start, range.len) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Errno::from_raw(error.raw_os_error())),
            }
        }
    }

    /// Bytes of host memory in use.
    pub fn used_bytes(&self) -> u64 {
        fstat(&*self.fd).map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
    }
}
