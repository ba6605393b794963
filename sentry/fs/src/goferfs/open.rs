//! Open files: data between the sentry and the host, without the gofer.

use super::convert::{attr_of, errno, host_errno};
use super::directory::Listing;
use super::inode::GoferInode;
use crate::tmpfs::{FIRST_COOKIE, now, read_dots};
use abi::file::OpenFlags;
use abi::stat::makedev;
use abi::time::Timespec;
use abi::{Errno, PAGE_SIZE, SysResult};
use gofer::protocol::OpenFlags as HostFlags;
use mm::{Backing, Mappable, MappingSet};
use parking_lot::{Mutex, RwLock};
use rustix::fs::{FallocateFlags, SeekFrom};
use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use vfs::{Attr, DirEntry, DirSink, FileOps, OpenFile};

/// A host file, and whether it may be written to.
#[derive(Clone)]
pub(super) struct CachedFile {
    pub fd: Arc<OwnedFd>,
    pub writable: bool,
}

impl GoferInode {
    /// Keeps a host file open for the next to open this; the one unused for long is closed.
    pub(super) fn keep_file(&self, file: CachedFile) {
        let old = self.file.lock().replace(file);
        let is_new = old.is_none();
        drop(old);
        if !is_new {
            return;
        }
        let limit = self.shared.limits.files;
        let was_used = |inode: &Weak<GoferInode>| {
            inode.upgrade().is_some_and(|inode| inode.file_used.swap(false, Ordering::Relaxed))
        };
        let gone = self.shared.files.lock().add(self.this.clone(), 1, limit, was_used);
        for inode in gone {
            let file = inode.upgrade().and_then(|inode| inode.file.lock().take());
            drop(file);
        }
    }
}

/// Opens a regular file, with a host file that is open already if there is one.
pub(super) fn open_regular(
    inode: &Arc<GoferInode>,
    flags: OpenFlags,
) -> SysResult<Arc<dyn FileOps>> {
    let writable = flags.writable();
    if writable {
        inode.check_writable()?;
    }
    let cached = inode.file.lock().clone().filter(|file| file.writable || !writable);
    let written = inode.written.lock().upgrade();
    let file = match (cached, written) {
        (Some(file), _) if inode.shared.exclusive => {
            inode.file_used.store(true, Ordering::Relaxed);
            file
        }
        (_, Some(fd)) if writable && inode.shared.exclusive => CachedFile { fd, writable },
        _ => {
            let file = CachedFile { fd: Arc::new(open_host(inode, writable)?), writable };
            if !writable && inode.shared.exclusive {
                inode.keep_file(file.clone());
            }
            file
        }
    };
    if file.writable {
        *inode.written.lock() = Arc::downgrade(&file.fd);
    }
    Ok(Arc::new(RegularFile { inode: inode.clone(), file }))
}

/// Asks the gofer; where the node is not known, in the same message as for that.
fn open_host(inode: &GoferInode, writable: bool) -> SysResult<OwnedFd> {
    if !writable {
        return open_host_as(inode, HostFlags::READ);
    }
    // Mapping a file needs to read it too.
    match open_host_as(inode, HostFlags::READ | HostFlags::WRITE) {
        Err(Errno::EACCES) => open_host_as(inode, HostFlags::WRITE),
        other => other,
    }
}

fn open_host_as(inode: &GoferInode, flags: HostFlags) -> SysResult<OwnedFd> {
    let client = &inode.shared.client;
    if inode.known_node().is_none()
        && let Ok((parent, name)) = inode.place()
        && let Some(parent) = parent.known_node()
    {
        let mut walked = client.walk(parent, &[&name], Some(flags)).map_err(errno)?;
        let found = walked.nodes.pop().ok_or(Errno::ESTALE)?;
        inode.adopt(&found)?;
        return walked.file.ok_or(Errno::ESTALE)?.map_err(errno);
    }
    let (fd, attr) = client.open(inode.node()?, flags).map_err(errno)?;
    if !inode.shared.exclusive {
        inode.learn_attr(attr_of(&attr));
    }
    Ok(fd)
}

/// The attributes by a host file that is open, for a file without a name, which the gofer cannot
/// find any more.
pub(super) fn attr_by_fd(inode: &GoferInode) -> Option<Attr> {
    inode.place().is_err().then_some(())?;
    let fd = inode.written.lock().upgrade();
    let fd = fd.or_else(|| inode.file.lock().as_ref().map(|file| file.fd.clone()))?;
    let stat = rustix::fs::fstat(&fd).ok()?;
    let time = |sec: i64, nsec: u64| Timespec { sec, nsec: nsec as i64 };
    let known = inode.last_attr();
    Some(Attr {
        dev: makedev(rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)),
        ino: stat.st_ino,
        mode: stat.st_mode,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: 0,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        blksize: stat.st_blksize as u32,
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        btime: known.and_then(|attr| attr.btime),
    })
}

/// An open regular file.
struct RegularFile {
    inode: Arc<GoferInode>,
    file: CachedFile,
}

impl RegularFile {
    fn write_at(&self, buf: &[u8], offset: u64) -> SysResult<usize> {
        let count = rustix::io::pwrite(&self.file.fd, buf, offset).map_err(host_errno)?;
        self.written(offset + count as u64);
        Ok(count)
    }

    /// The host changed size, times and set-id bits; so do we.
    fn written(&self, end: u64) {
        let now = now();
        self.inode.update_attr(|attr| {
            attr.size = attr.size.max(end);
            attr.blocks = attr.blocks.max(end.div_ceil(512));
            attr.mtime = now;
            attr.ctime = now;
            attr.mode &= !0o4000;
            if attr.mode & 0o010 != 0 {
                attr.mode &= !0o2000;
            }
        });
    }
}

fn size_of(inode: &GoferInode, fd: &OwnedFd) -> SysResult<u64> {
    if inode.shared.exclusive
        && let Some(attr) = inode.last_attr()
    {
        return Ok(attr.size);
    }
    Ok(rustix::fs::fstat(fd).map_err(host_errno)?.st_size as u64)
}

impl FileOps for RegularFile {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        rustix::io::pread(&self.file.fd, buf, offset).map_err(host_errno)
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], offset: u64) -> SysResult<usize> {
        let _io = self.inode.io.lock();
        self.write_at(buf, offset)
    }

    fn append(&self, _file: &OpenFile, buf: &[u8]) -> SysResult<(usize, u64)> {
        let _io = self.inode.io.lock();
        let end = FileOps::size(self)?;
        let count = self.write_at(buf, end)?;
        Ok((count, end + count as u64))
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        size_of(&self.inode, &self.file.fd)
    }

    fn seek_data(&self, offset: u64, hole: bool) -> SysResult<u64> {
        // Moves the host's position, which nothing else uses.
        let from = if hole { SeekFrom::Hole(offset) } else { SeekFrom::Data(offset) };
        rustix::fs::seek(&self.file.fd, from).map_err(host_errno)
    }

    fn mappable(&self) -> SysResult<Arc<dyn Mappable>> {
        let mut known = self.inode.mapping.lock();
        if let Some(mapping) = known.upgrade() {
            let mut file = mapping.file.write();
            if self.file.writable && !file.writable {
                *file = self.file.clone();
            }
            drop(file);
            return Ok(mapping);
        }
        let mapping = Arc::new(Mapping {
            inode: self.inode.clone(),
            file: RwLock::new(self.file.clone()),
            mappings: MappingSet::new(),
        });
        *known = Arc::downgrade(&mapping);
        Ok(mapping)
    }

    fn sync(&self, data_only: bool) -> SysResult<()> {
        let fd = &self.file.fd;
        let result = if data_only { rustix::fs::fdatasync(fd) } else { rustix::fs::fsync(fd) };
        result.map_err(host_errno)
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> SysResult<()> {
        let flags = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
        let moves = FallocateFlags::COLLAPSE_RANGE | FallocateFlags::INSERT_RANGE;
        if flags.intersects(moves) {
            return Err(Errno::EOPNOTSUPP);
        }
        let _io = self.inode.io.lock();
        rustix::fs::fallocate(&self.file.fd, flags, offset, len).map_err(host_errno)?;
        let keeps = flags.contains(FallocateFlags::KEEP_SIZE);
        self.written(if keeps { 0 } else { offset.saturating_add(len) });
        self.inode.forget_blocks();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A mapped host file: one for each inode while somebody maps it.
pub(super) struct Mapping {
    inode: Arc<GoferInode>,
    /// Writable as soon as somebody maps a description that is.
    file: RwLock<CachedFile>,
    mappings: MappingSet,
}

impl Mapping {
    fn fd(&self) -> Arc<OwnedFd> {
        self.file.read().fd.clone()
    }
}

impl Mappable for Mapping {
    fn translate(&self, offset: u64, len: u64, write: bool) -> SysResult<Backing> {
        let file = self.file.read().clone();
        if write && !file.writable {
            return Err(Errno::EACCES);
        }
        let size = size_of(&self.inode, &file.fd)?;
        let end = size.checked_next_multiple_of(PAGE_SIZE).ok_or(Errno::ENXIO)?;
        if offset >= end {
            return Err(Errno::ENXIO);
        }
        Ok(Backing::Host { file: file.fd, offset, len: len.min(end - offset) })
    }

    fn size(&self) -> u64 {
        size_of(&self.inode, &self.fd()).unwrap_or(0)
    }

    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> SysResult<usize> {
        rustix::io::pread(self.fd(), buf, offset).map_err(host_errno)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> SysResult<usize> {
        let file = self.file.read().clone();
        let room = size_of(&self.inode, &file.fd)?.saturating_sub(offset);
        let buf = &buf[..buf.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        rustix::io::pwrite(&file.fd, buf, offset).map_err(host_errno)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> SysResult<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(self.fd(), flags, offset, len).map_err(host_errno)
    }

    fn sync(&self, _offset: u64, _len: u64) -> SysResult<()> {
        rustix::fs::fdatasync(self.fd()).map_err(host_errno)
    }
}

/// An open directory: lists what was there when it was first read or rewound.
pub(super) struct DirectoryFile {
    inode: Arc<GoferInode>,
    listing: Mutex<Option<Arc<Listing>>>,
}

impl DirectoryFile {
    pub fn new(inode: Arc<GoferInode>) -> DirectoryFile {
        DirectoryFile { inode, listing: Mutex::new(None) }
    }

    fn listing(&self, rewind: bool) -> SysResult<Arc<Listing>> {
        let started = self.listing.lock().clone();
        if let Some(listing) = started.filter(|_| !rewind) {
            return Ok(listing);
        }
        let known = self.inode.directory.listing().filter(|_| self.inode.shared.exclusive);
        let listing = match known {
            Some(listing) => listing,
            None => self.inode.fetch_listing()?.0,
        };
        let old = self.listing.lock().replace(listing.clone());
        drop(old);
        Ok(listing)
    }
}

impl FileOps for DirectoryFile {
    fn read(&self, _file: &OpenFile, _buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        Err(Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        Err(Errno::EINVAL)
    }

    fn read_dir(&self, _file: &OpenFile, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let listing = self.listing(pos == 0)?;
        let ino = self.inode.key.1;
        let parent = self.inode.parent().map_or(ino, |parent| parent.key.1);
        if !read_dots(pos, ino, parent, sink) {
            return Ok(());
        }
        let pos = pos.max(FIRST_COOKIE);
        let first = usize::try_from(pos - FIRST_COOKIE).unwrap_or(usize::MAX);
        for (entry, next) in listing.places_from(first).zip(pos.saturating_add(1)..) {
            let taken =
                sink(DirEntry { ino: entry.ino, next, kind: entry.kind, name: &entry.name });
            if !taken {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> SysResult<()> {
        let node = self.inode.node()?;
        self.inode.shared.client.fsync(node).map_err(errno)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
