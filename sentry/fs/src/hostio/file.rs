//! An open file over a host descriptor.

use super::console::Console;
use super::inode::HostInode;
use super::source::Source;
use super::{host_error, tty};
use crate::tty::{Through, job_control_ioctl};
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::signal::Signal;
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use parking_lot::Mutex;
use rustix::fs::SeekFrom;
use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vfs::{FileOps, InodeRef, OpenFile, Path};
use wait::WaitQueue;

/// An open file over a host descriptor.
///
/// A regular file is read and written at the host's position, which is shared with the world
/// outside: two files over one description (`> log 2>&1`) append to each other, and what runs after
/// the sandbox continues where it ended. The guest's position follows: see `Cursor`.
pub struct HostFile {
    source: Arc<Source>,
    console: Option<Arc<Console>>,
    /// Some for what has positions.
    cursor: Option<Mutex<Cursor>>,
}

/// Where the guest believes the host's position is. A transfer at that offset goes on at the host's
/// own position, wherever others have moved it; at another (after lseek, or in pread) the host's
/// position is set first. The lock makes the two steps one.
struct Cursor {
    offset: u64,
}

impl HostFile {
    /// A file over `fd`. EINVAL for directories: names are the gofer's.
    pub fn new(fd: OwnedFd) -> SysResult<Arc<HostFile>> {
        Ok(HostFile::over(Arc::new(Source::new(fd)?), None))
    }

    /// A file over a descriptor of the terminal that `console` is, with its job control.
    pub fn with_console(fd: OwnedFd, console: Arc<Console>) -> SysResult<Arc<HostFile>> {
        Ok(HostFile::over(Arc::new(Source::new(fd)?), Some(console)))
    }

    pub(super) fn over(source: Arc<Source>, console: Option<Arc<Console>>) -> Arc<HostFile> {
        let has_positions = matches!(source.kind(), FileType::Regular | FileType::BlockDevice);
        let offset = if has_positions { rustix::fs::tell(source.fd()).ok() } else { None };
        let cursor = offset.map(|offset| Mutex::new(Cursor { offset }));
        Arc::new(HostFile { source, console, cursor })
    }

    /// Is it a terminal?
    pub fn is_tty(&self) -> bool {
        self.source.is_tty()
    }

    /// The access mode and O_APPEND, as it was opened on the host.
    pub fn open_flags(&self) -> OpenFlags {
        self.source.access()
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// An open file description for a guest, at the host's position; `uid` and `gid` are what
    /// fstat(2) shows as the owner.
    pub fn open_file(self: &Arc<HostFile>, uid: u32, gid: u32) -> Arc<OpenFile> {
        let inode: InodeRef = HostInode::new(self.clone(), uid, gid);
        self.open_file_at(HostInode::path(&inode))
    }

    /// The same at a place that already exists (a node of /dev).
    pub fn open_file_at(self: &Arc<HostFile>, path: Path) -> Arc<OpenFile> {
        let file = OpenFile::new(self.clone(), path, self.open_flags());
        if let Some(cursor) = &self.cursor {
            let offset = cursor.lock().offset;
            // SEEK_SET on a file with positions: cannot fail.
            let _ = file.seek(i64::try_from(offset).unwrap_or(0), 0);
        }
        file
    }

    /// Runs `transfer` with the host's position at `offset`.
    fn at(
        &self,
        offset: u64,
        transfer: impl FnOnce(&Source) -> SysResult<usize>,
    ) -> SysResult<usize> {
        let Some(cursor) = &self.cursor else { return transfer(&self.source) };
        let mut cursor = cursor.lock();
        if cursor.offset != offset {
            rustix::fs::seek(self.source.fd(), SeekFrom::Start(offset)).map_err(host_error)?;
            cursor.offset = offset;
        }
        let count = transfer(&self.source)?;
        cursor.offset += count as u64;
        Ok(count)
    }
}

impl FileOps for HostFile {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        self.console.as_ref().map_or(Ok(()), |console| console.check_access(Signal::SIGTTIN))?;
        self.at(offset, |source| source.read(buf))
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], offset: u64) -> SysResult<usize> {
        self.console.as_ref().map_or(Ok(()), |console| console.check_access(Signal::SIGTTOU))?;
        self.at(offset, |source| source.write(buf))
    }

    fn append(&self, file: &OpenFile, buf: &[u8]) -> SysResult<(usize, u64)> {
        let Some(cursor) = &self.cursor else { return Ok((self.write(file, buf, 0)?, 0)) };
        let mut cursor = cursor.lock();
        // Where the host has O_APPEND too, this only tells where it will be.
        rustix::fs::seek(self.source.fd(), SeekFrom::End(0)).map_err(host_error)?;
        let count = self.source.write(buf)?;
        cursor.offset = rustix::fs::tell(self.source.fd()).map_err(host_error)?;
        Ok((count, cursor.offset))
    }

    fn is_seekable(&self) -> bool {
        self.cursor.is_some()
    }

    fn size(&self) -> SysResult<u64> {
        Ok(u64::try_from(self.source.stat()?.st_size).unwrap_or(0))
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.source.poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.source.queue()
    }

    fn ioctl(&self, file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        let jobs = self.console.as_ref().and_then(|console| console.job_control());
        if let Some(jobs) = jobs {
            let through = Through { master: false, readable: file.flags().readable() };
            if let Some(result) = job_control_ioctl(&*jobs, mm, cmd, arg, through) {
                return result;
            }
        }
        if self.source.is_tty() {
            return tty::ioctl(self.source.fd(), self.console.as_deref(), mm, cmd, arg);
        }
        if cmd != crate::anon::FIONREAD || self.source.kind() == FileType::CharDevice {
            return Err(Errno::ENOTTY);
        }
        let count = rustix::io::ioctl_fionread(self.source.fd()).map_err(host_error)?;
        mm.write(UserAddr(arg), &i32::try_from(count).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn sync(&self, _data_only: bool) -> SysResult<()> {
        if self.cursor.is_none() {
            return Err(Errno::EINVAL);
        }
        rustix::fs::fsync(self.source.fd()).map_err(host_error)
    }

    /// What the guest has sought but not used yet (`fclose(stdin)` gives back what it read ahead)
    /// becomes visible outside.
    fn flush(&self, file: &OpenFile) {
        let Some(cursor) = &self.cursor else { return };
        let pos = file.pos();
        let mut cursor = cursor.lock();
        if cursor.offset != pos && rustix::fs::seek(self.source.fd(), SeekFrom::Start(pos)).is_ok()
        {
            cursor.offset = pos;
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
