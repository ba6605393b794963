//! Open file descriptions, and what a file system provides for each.

use crate::mount::Path;
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::{Errno, SysResult};
use mm::{Mappable, MemoryManager};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wait::WaitQueue;

/// One entry of a directory listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DirEntry<'a> {
    pub ino: u64,
    /// The position to continue from after this entry (`d_off`).
    pub next: u64,
    pub kind: FileType,
    pub name: &'a [u8],
}

/// Takes directory entries; false: full, this one was not taken.
pub type DirSink<'a> = dyn FnMut(DirEntry<'_>) -> bool + 'a;

/// What is behind an open file description. Never blocks: EAGAIN where it is not ready, whatever
/// O_NONBLOCK says; the caller waits on [`FileOps::wait_queue`] if the guest asked for that.
pub trait FileOps: Send + Sync + Any {
    /// Reads at `offset` (ignored by streams). 0 is the end of the file.
    fn read(&self, file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        let _ = (file, buf, offset);
        Err(Errno::EINVAL)
    }

    /// Writes at `offset` (ignored by streams). May write less than asked.
    fn write(&self, file: &OpenFile, buf: &[u8], offset: u64) -> SysResult<usize> {
        let _ = (file, buf, offset);
        Err(Errno::EINVAL)
    }

    /// Writes at the end, atomically with others who do. Returns the count and the offset after.
    fn append(&self, file: &OpenFile, buf: &[u8]) -> SysResult<(usize, u64)> {
        let written = self.write(file, buf, 0)?;
        Ok((written, 0))
    }

    /// True: has an offset (regular files, directories, block devices); lseek and pread work.
    fn is_seekable(&self) -> bool {
        false
    }

    /// The size that SEEK_END counts from.
    fn size(&self) -> SysResult<u64> {
        Ok(0)
    }

    /// SEEK_DATA (`hole` false) and SEEK_HOLE (true). The default is a file without holes.
    fn seek_data(&self, offset: u64, hole: bool) -> SysResult<u64> {
        let size = self.size()?;
        if offset >= size {
            return Err(Errno::ENXIO);
        }
        Ok(if hole { size } else { offset })
    }

    /// Lists a directory from position `pos` (0 is the start), "." and ".." included.
    fn read_dir(&self, file: &OpenFile, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let _ = (file, pos, sink);
        Err(Errno::ENOTDIR)
    }

    /// What it is ready for now. Regular files always are.
    fn poll(&self, file: &OpenFile) -> PollEvents {
        let _ = file;
        PollEvents::IN | PollEvents::OUT | PollEvents::RDNORM | PollEvents::WRNORM
    }

    /// Where to wait for readiness; None: always ready (and epoll refuses it with EPERM).
    fn wait_queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// True while open(2) of this end of a FIFO has to wait for the other end; the caller waits on
    /// the queue (for IN) until it is false, unless O_NONBLOCK.
    fn open_pending(&self) -> bool {
        false
    }

    /// ioctl(2). Generic ones (FIONBIO, FIOCLEX...) have been dealt with.
    fn ioctl(&self, file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        let _ = (file, mm, cmd, arg);
        Err(Errno::ENOTTY)
    }

    /// For mmap(2). ENODEV where it cannot be mapped.
    fn mappable(&self) -> SysResult<Arc<dyn Mappable>> {
        Err(Errno::ENODEV)
    }

    /// fsync(2), fdatasync(2).
    fn sync(&self, data_only: bool) -> SysResult<()> {
        let _ = data_only;
        Err(Errno::EINVAL)
    }

    /// fallocate(2), mode as given.
    fn allocate(&self, mode: u32, offset: u64, len: u64) -> SysResult<()> {
        let _ = (mode, offset, len);
        Err(Errno::EOPNOTSUPP)
    }

    /// F_SETFL changed the status flags (after the change).
    fn flags_changed(&self, file: &OpenFile) {
        let _ = file;
    }

    /// A descriptor of this description was closed (each close, not only the last; the last drops
    /// the object).
    fn flush(&self, file: &OpenFile) {
        let _ = file;
    }

    /// To find a concrete type again (sockets, epoll...).
    fn as_any(&self) -> &dyn Any;
}

/// An open file description: what dup(2) and fork(2) share.
pub struct OpenFile {
    ops: Arc<dyn FileOps>,
    path: Path,
    flags: AtomicU32,
    pos: Mutex<u64>,
    async_owner: Mutex<AsyncOwner>,
    /// Has held locks of its own (flock(2), F_OFD_SETLK), which go with it.
    has_locks: AtomicBool,
}

/// Who hears of events on a description, and how: F_SETOWN, F_SETSIG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsyncOwner {
    /// F_OWNER_TID 0, F_OWNER_PID 1, F_OWNER_PGRP 2.
    pub kind: i32,
    /// The id; 0 is nobody.
    pub id: i32,
    /// The signal; 0 is SIGIO.
    pub signal: i32,
}

/// The flags F_SETFL may change.
const SETTABLE: OpenFlags = OpenFlags::APPEND
    .union(OpenFlags::ASYNC)
    .union(OpenFlags::DIRECT)
    .union(OpenFlags::NOATIME)
    .union(OpenFlags::NONBLOCK);

impl OpenFile {
    /// A new description at position 0. Creation flags (O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC,
    /// O_CLOEXEC) are not kept.
    pub fn new(ops: Arc<dyn FileOps>, path: Path, flags: OpenFlags) -> Arc<OpenFile> {
        let creation = OpenFlags::CREAT
            | OpenFlags::EXCL
            | OpenFlags::NOCTTY
            | OpenFlags::TRUNC
            | OpenFlags::CLOEXEC;
        let flags = AtomicU32::new(flags.difference(creation).bits());
        Arc::new(OpenFile {
            ops,
            path,
            flags,
            pos: Mutex::new(0),
            async_owner: Mutex::default(),
            has_locks: AtomicBool::new(false),
        })
    }

    /// F_GETOWN, F_GETSIG.
    pub fn async_owner(&self) -> AsyncOwner {
        *self.async_owner.lock()
    }

    /// F_SETOWN, F_SETSIG.
    pub fn set_async_owner(&self, owner: AsyncOwner) {
        *self.async_owner.lock() = owner;
    }

    /// It is about to hold locks of its own.
    pub fn will_have_locks(&self) {
        self.has_locks.store(true, Ordering::Relaxed);
    }

    /// The file system's part.
    pub fn ops(&self) -> &Arc<dyn FileOps> {
        &self.ops
    }

    /// The file system's part, if it is a `T`.
    pub fn ops_as<T: FileOps>(&self) -> Option<&T> {
        self.ops.as_any().downcast_ref()
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Access mode and status flags.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// F_SETFL.
    pub fn set_flags(&self, flags: OpenFlags) {
        let kept = self.flags().difference(SETTABLE);
        self.flags.store((kept | flags.intersection(SETTABLE)).bits(), Ordering::Relaxed);
        self.ops.flags_changed(self);
    }

    /// O_NONBLOCK is set.
    pub fn is_nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// Reads at the current position and moves it. EBADF where not open for reading.
    pub fn read(&self, buf: &mut [u8]) -> SysResult<usize> {
        self.check_readable()?;
        if !self.ops.is_seekable() {
            return self.ops.read(self, buf, 0);
        }
        let mut pos = self.pos.lock();
        let count = self.ops.read(self, buf, *pos)?;
        *pos += count as u64;
        Ok(count)
    }

    /// Writes at the current position, or at the end with O_APPEND, and moves it.
    pub fn write(&self, buf: &[u8]) -> SysResult<usize> {
        self.check_writable()?;
        if !self.ops.is_seekable() {
            return self.ops.write(self, buf, 0);
        }
        let mut pos = self.pos.lock();
        if self.flags().contains(OpenFlags::APPEND) {
            let (count, end) = self.ops.append(self, buf)?;
            *pos = end;
            return Ok(count);
        }
        if (*pos).checked_add(buf.len() as u64).is_none_or(|end| end > i64::MAX as u64) {
            return Err(Errno::EFBIG);
        }
        let count = self.ops.write(self, buf, *pos)?;
        *pos += count as u64;
        Ok(count)
    }

    /// pread(2). ESPIPE for streams, and before EBADF.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        if !self.ops.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        self.check_readable()?;
        self.ops.read(self, buf, offset)
    }

    /// pwrite(2); with O_APPEND it appends, as Linux does.
    pub fn write_at(&self, buf: &[u8], offset: u64) -> SysResult<usize> {
        if !self.ops.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        self.check_writable()?;
        if self.flags().contains(OpenFlags::APPEND) {
            return Ok(self.ops.append(self, buf)?.0);
        }
        self.ops.write(self, buf, offset)
    }

    /// Writes at the end, whatever O_APPEND says, and moves the position there: RWF_APPEND.
    pub fn append(&self, buf: &[u8]) -> SysResult<usize> {
        self.check_writable()?;
        if !self.ops.is_seekable() {
            return self.ops.write(self, buf, 0);
        }
        let mut pos = self.pos.lock();
        let (count, end) = self.ops.append(self, buf)?;
        *pos = end;
        Ok(count)
    }

    /// EBADF unless open for reading.
    pub fn check_readable(&self) -> SysResult<()> {
        if self.flags().readable() { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// EBADF unless open for writing.
    pub fn check_writable(&self) -> SysResult<()> {
        if self.flags().writable() { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// The current position.
    pub fn pos(&self) -> u64 {
        *self.pos.lock()
    }

    /// The current position, unless a read or write that moves it is under way: for /proc, which
    /// may be what is read.
    pub fn try_pos(&self) -> Option<u64> {
        self.pos.try_lock().map(|pos| *pos)
    }

    /// lseek(2). `whence`: SEEK_SET 0, CUR 1, END 2, DATA 3, HOLE 4.
    pub fn seek(&self, offset: i64, whence: u32) -> SysResult<u64> {
        if self.flags().contains(OpenFlags::PATH) {
            return Err(Errno::EBADF);
        }
        if !self.ops.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        let mut pos = self.pos.lock();
        let base = match whence {
            0 => 0,
            1 => *pos,
            2 => self.ops.size()?,
            3 | 4 => {
                let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                *pos = self.ops.seek_data(from, whence == 4)?;
                return Ok(*pos);
            }
            _ => return Err(Errno::EINVAL),
        };
        let target = i64::try_from(base).ok().and_then(|b| b.checked_add(offset));
        let target = target.ok_or(Errno::EOVERFLOW)?;
        *pos = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        Ok(*pos)
    }

    /// Lists the directory from the current position; the position moves past what was taken.
    pub fn read_dir(&self, sink: &mut DirSink<'_>) -> SysResult<()> {
        if self.flags().contains(OpenFlags::PATH) {
            return Err(Errno::EBADF);
        }
        let mut pos = self.pos.lock();
        let start = *pos;
        self.ops.read_dir(self, start, &mut |entry| {
            let taken = sink(entry);
            if taken {
                *pos = entry.next;
            }
            taken
        })
    }

    /// What it is ready for now.
    pub fn poll(&self) -> PollEvents {
        self.ops.poll(self)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if *self.has_locks.get_mut() {
            crate::locks::release_file(self);
        }
    }
}
