//! The inode of a host descriptor: fstat(2) is the host's answer.

use super::file::HostFile;
use super::host_error;
use crate::anon::hostfs;
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::time::Timespec;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use vfs::{Attr, FileOps, Inode, InodeRef, Path, SetAttr};

/// What fstat(2) shows of a host descriptor, and what /proc/PID/fd/N opens again.
pub struct HostInode {
    file: Arc<HostFile>,
    /// Owner and permissions are the guest's business: the host's ids mean nothing to it, and a
    /// service that runs as another user wants to open /dev/stdout.
    owner: Mutex<Owner>,
}

struct Owner {
    uid: u32,
    gid: u32,
    mode: Option<u32>,
}

impl HostInode {
    /// The inode of `file`, shown as owned by `uid` and `gid`.
    pub fn new(file: Arc<HostFile>, uid: u32, gid: u32) -> Arc<HostInode> {
        Arc::new(HostInode { file, owner: Mutex::new(Owner { uid, gid, mode: None }) })
    }

    /// A place for open files, "host:\[12\]" by name.
    pub fn path(inode: &InodeRef) -> Path {
        let kind = match inode.file_type() {
            FileType::Fifo => "pipe",
            FileType::Socket => "socket",
            _ => "host",
        };
        let ino = inode.attr().map_or(0, |attr| attr.ino);
        hostfs().path(format!("{kind}:[{ino}]").as_bytes(), inode.clone())
    }
}

impl Inode for HostInode {
    fn file_type(&self) -> FileType {
        self.file.source().kind()
    }

    fn attr(&self) -> SysResult<Attr> {
        let stat = self.file.source().stat()?;
        let owner = self.owner.lock();
        let mode = match owner.mode {
            Some(mode) => stat.st_mode & !0o7777 | mode,
            // The owner may use it as far as the descriptor allows.
            None => stat.st_mode | 0o600,
        };
        let time = |sec, nsec: u64| Timespec { sec, nsec: nsec as i64 };
        let rdev = if self.file.is_tty() { crate::dev::console_rdev() } else { stat.st_rdev };
        Ok(Attr {
            dev: hostfs().dev(),
            ino: stat.st_ino,
            mode,
            nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            uid: owner.uid,
            gid: owner.gid,
            rdev,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
            blksize: u32::try_from(stat.st_blksize).unwrap_or(4096),
            atime: time(stat.st_atime, stat.st_atime_nsec),
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            btime: None,
        })
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        if let Some(size) = change.size {
            if self.file_type() != FileType::Regular || !self.file.open_flags().writable() {
                return Err(Errno::EINVAL);
            }
            rustix::fs::ftruncate(self.file.source().fd(), size).map_err(host_error)?;
        }
        // Times stay the host's.
        let mut owner = self.owner.lock();
        owner.uid = change.uid.unwrap_or(owner.uid);
        owner.gid = change.gid.unwrap_or(owner.gid);
        owner.mode = change.mode.map(|mode| mode & 0o7777).or(owner.mode);
        Ok(())
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        // The same description again: a new one would need a name on the host. Access beyond its
        // own is refused; ENXIO for sockets, as Linux has it.
        let access = self.file.open_flags();
        if self.file_type() == FileType::Socket {
            return Err(Errno::ENXIO);
        }
        if flags.readable() && !access.readable() || flags.writable() && !access.writable() {
            return Err(Errno::EACCES);
        }
        Ok(self.file.clone())
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(hostfs().statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
