//! A regular file's data with its locks, seals and mappings.

use super::data::{Data, MAX_SIZE};
use super::super_block::SuperBlock;
use abi::{Errno, PAGE_SIZE, SysResult};
use mm::{Backing, Mappable, MappingSet};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The seals of fcntl(2), F_ADD_SEALS.
pub mod seals {
    /// F_SEAL_SEAL: no more seals.
    pub const SEAL: u32 = 1;
    /// F_SEAL_SHRINK.
    pub const SHRINK: u32 = 2;
    /// F_SEAL_GROW.
    pub const GROW: u32 = 4;
    /// F_SEAL_WRITE.
    pub const WRITE: u32 = 8;
    /// F_SEAL_FUTURE_WRITE: existing writable mappings stay.
    pub const FUTURE_WRITE: u32 = 16;
    /// F_SEAL_EXEC: the execute bits stay as they are.
    pub const EXEC: u32 = 32;
    /// All there are.
    pub const ALL: u32 = 63;
}

const FALLOC_FL_KEEP_SIZE: u32 = 1;
const FALLOC_FL_PUNCH_HOLE: u32 = 2;
const FALLOC_FL_ZERO_RANGE: u32 = 16;

/// What a regular file consists of; kept by its inode and by those who map it.
pub(crate) struct Content {
    limits: Arc<SuperBlock>,
    /// Held by what changes data or size, so that truncation can let go of `data` to invalidate
    /// mappings and nobody grows the file meanwhile. Guards nothing by itself.
    io: Mutex<()>,
    data: RwLock<Data>,
    seals: AtomicU32,
    /// Shared with the overlay above, whose mappings those are after a copy-up.
    mappings: Arc<MappingSet>,
}

impl Content {
    pub(super) fn new(
        limits: &Arc<SuperBlock>,
        seals: u32,
        mappings: Option<Arc<MappingSet>>,
    ) -> Arc<Content> {
        Arc::new(Content {
            limits: limits.clone(),
            io: Mutex::new(()),
            data: RwLock::new(Data::new(limits.clone())),
            seals: AtomicU32::new(seals),
            mappings: mappings.unwrap_or_default(),
        })
    }

    pub fn size(&self) -> u64 {
        self.data.read().size()
    }

    /// Size in bytes, and pages it takes.
    pub fn size_and_pages(&self) -> (u64, u64) {
        let data = self.data.read();
        (data.size(), data.pages())
    }

    pub fn read(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        self.data.read().read(offset, buf)
    }

    /// EFBIG beyond the largest size, EPERM where sealed, ENOSPC.
    pub fn write(&self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        let io = self.io.lock();
        self.write_locked(&io, offset, buf)
    }

    /// Writes at the end; gives the count and the end.
    pub fn append(&self, buf: &[u8]) -> SysResult<(usize, u64)> {
        let io = self.io.lock();
        let end = self.size();
        let count = self.write_locked(&io, end, buf)?;
        Ok((count, end + count as u64))
    }

    fn write_locked(&self, _io: &MutexGuard<'_, ()>, offset: u64, buf: &[u8]) -> SysResult<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if offset >= MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let room = usize::try_from(MAX_SIZE - offset).unwrap_or(usize::MAX);
        let buf = &buf[..buf.len().min(room)];
        let seals = self.seals();
        if seals & (seals::WRITE | seals::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let mut data = self.data.write();
        if seals & seals::GROW != 0 && offset + buf.len() as u64 > data.size() {
            return Err(Errno::EPERM);
        }
        data.write(offset, buf)
    }

    /// truncate(2). EFBIG, or EPERM where sealed.
    pub fn truncate(&self, size: u64) -> SysResult<()> {
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _io = self.io.lock();
        let old = self.size();
        let seals = self.seals();
        if size < old && seals & seals::SHRINK != 0 || size > old && seals & seals::GROW != 0 {
            return Err(Errno::EPERM);
        }
        let rest = self.data.write().truncate(size)?;
        if size < old {
            // Now `translate` refuses the pages. Only when nobody maps them any more may they be
            // used for something else.
            self.mappings.invalidate(size.next_multiple_of(PAGE_SIZE)..!(PAGE_SIZE - 1));
        }
        for range in rest.freed {
            self.limits.memory.dec_ref(range);
        }
        for range in rest.zeroed {
            self.limits.memory.zero(range)?;
        }
        Ok(())
    }

    /// fallocate(2): the default mode, KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE.
    pub fn allocate(&self, mode: u32, offset: u64, len: u64) -> SysResult<()> {
        let keep_size = mode & FALLOC_FL_KEEP_SIZE != 0;
        let end = offset.checked_add(len).filter(|end| *end <= MAX_SIZE).ok_or(Errno::EFBIG)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let _io = self.io.lock();
        let seals = self.seals();
        let mut data = self.data.write();
        let changes = match mode & !FALLOC_FL_KEEP_SIZE {
            0 => false,
            FALLOC_FL_PUNCH_HOLE if keep_size => true,
            FALLOC_FL_ZERO_RANGE => true,
            _ => return Err(Errno::EOPNOTSUPP),
        };
        if changes && seals & (seals::WRITE | seals::FUTURE_WRITE) != 0
            || !keep_size && seals & seals::GROW != 0 && end > data.size()
        {
            return Err(Errno::EPERM);
        }
        if changes {
            data.punch(offset..end)?;
        }
        if mode & FALLOC_FL_PUNCH_HOLE == 0 {
            data.allocate(offset..end, keep_size)?;
        }
        Ok(())
    }

    pub fn seek(&self, offset: u64, hole: bool) -> SysResult<u64> {
        self.data.read().seek(offset, hole)
    }

    /// F_GET_SEALS.
    pub fn seals(&self) -> u32 {
        self.seals.load(Ordering::SeqCst)
    }

    /// F_ADD_SEALS. EPERM where F_SEAL_SEAL is set, EINVAL for unknown ones.
    pub fn add_seals(&self, added: u32) -> SysResult<()> {
        if added & !seals::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        // After the lock, no write that was allowed before is still going on.
        let _io = self.io.lock();
        if self.seals() & seals::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        self.seals.fetch_or(added, Ordering::SeqCst);
        Ok(())
    }
}

impl Mappable for Content {
    fn translate(&self, offset: u64, len: u64, write: bool) -> SysResult<Backing> {
        if write && self.seals() & (seals::WRITE | seals::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let known = if write { None } else { self.data.read().translate(offset, len)? };
        let (offset, len) = match known {
            Some(place) => place,
            None => self.data.write().translate_mut(offset, len, write)?,
        };
        Ok(Backing::Memory { offset, len })
    }

    fn size(&self) -> u64 {
        Content::size(self)
    }

    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        self.read(offset, buf)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        let mut data = self.data.write();
        let room = usize::try_from(data.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        data.write(offset, &buf[..buf.len().min(room)])
    }

    fn punch_hole(&self, offset: u64, len: u64) -> SysResult<()> {
        if self.seals() & (seals::WRITE | seals::FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
        self.data.write().punch(offset..end)
    }
}
