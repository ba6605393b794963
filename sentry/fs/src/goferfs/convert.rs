//! Between the gofer's types and ours.

use abi::file::FileType;
use abi::stat::{StatFs, makedev};
use abi::time::Timespec;
use abi::{Errno, SysResult};
use gofer::protocol::{self, SetTime, Timestamp};
use vfs::{Attr, SetAttr, TimeChange};

pub(super) fn errno(errno: gofer::Errno) -> Errno {
    Errno::from_raw(errno.raw())
}

pub(super) fn host_errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

fn time_of(time: Timestamp) -> Timespec {
    Timespec { sec: time.seconds, nsec: i64::from(time.nanoseconds) }
}

/// Device numbers are the host's, so that files of different host file systems stay different.
pub(super) fn attr_of(attr: &protocol::Attr) -> Attr {
    Attr {
        dev: makedev(attr.dev.major, attr.dev.minor),
        ino: attr.ino,
        mode: attr.mode,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: makedev(attr.rdev.major, attr.rdev.minor),
        size: attr.size,
        blocks: attr.blocks,
        blksize: attr.blksize,
        atime: time_of(attr.atime),
        mtime: time_of(attr.mtime),
        ctime: time_of(attr.ctime),
        btime: attr.btime.map(time_of),
    }
}

/// Regular where the host does not know.
pub(super) fn type_of(kind: protocol::FileType) -> FileType {
    match kind {
        protocol::FileType::Regular | protocol::FileType::Unknown => FileType::Regular,
        protocol::FileType::Directory => FileType::Directory,
        protocol::FileType::Symlink => FileType::Symlink,
        protocol::FileType::Fifo => FileType::Fifo,
        protocol::FileType::Socket => FileType::Socket,
        protocol::FileType::CharDevice => FileType::CharDevice,
        protocol::FileType::BlockDevice => FileType::BlockDevice,
    }
}

pub(super) fn statfs_of(host: &protocol::StatFs) -> StatFs {
    StatFs {
        kind: host.fs_type as i64,
        bsize: host.block_size as i64,
        blocks: host.blocks,
        bfree: host.blocks_free,
        bavail: host.blocks_available,
        files: host.files,
        ffree: host.files_free,
        namelen: host.name_max as i64,
        frsize: host.fragment_size as i64,
        ..StatFs::default()
    }
}

fn set_time(change: Option<TimeChange>) -> SysResult<SetTime> {
    Ok(match change {
        None => SetTime::Omit,
        Some(TimeChange::Now) => SetTime::Now,
        Some(TimeChange::At(time)) => {
            let nanoseconds = u32::try_from(time.nsec).map_err(|_| Errno::EINVAL)?;
            SetTime::To(Timestamp { seconds: time.sec, nanoseconds })
        }
    })
}

pub(super) fn set_attr(change: &SetAttr) -> SysResult<protocol::SetAttr> {
    Ok(protocol::SetAttr {
        mode: change.mode,
        owner: protocol::Owner { uid: change.uid, gid: change.gid },
        size: change.size,
        atime: set_time(change.atime)?,
        mtime: set_time(change.mtime)?,
    })
}
