//! The host calls on names: one validated component (or several, all of them directories the
//! server walked before) beneath an fd, never through a link.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno as HostErrno;

use crate::errno::Errno;
use crate::protocol::{Attr, Device, MAX_TARGET, OpenFlags, Timestamp};

/// How every name is resolved. Mount points of the host may be crossed; the device number tells.
const RESOLVE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_SYMLINKS);

/// How often an `openat2` that raced with a rename is tried again.
const RACES: usize = 16;

/// Opens `path`, which must be relative, beneath `dir`.
pub(crate) fn open(
    dir: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, HostErrno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut races = 0;
    loop {
        match rustix::fs::openat2(dir, path, flags, mode, RESOLVE) {
            Err(HostErrno::INTR) => {}
            // The same number says that a lease is being broken; the bound lets that through.
            Err(HostErrno::AGAIN) if races < RACES => races += 1,
            result => return result,
        }
    }
}

/// The attributes of `name` in `dir`, of the link itself if it is one.
pub(crate) fn stat_child(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Attr, Errno> {
    stat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The attributes of an open file (`O_PATH` is enough).
pub(crate) fn stat_fd(fd: impl AsFd) -> Result<Attr, Errno> {
    stat(fd.as_fd(), b"", AtFlags::EMPTY_PATH)
}

fn stat(dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Result<Attr, Errno> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let flags = flags | AtFlags::NO_AUTOMOUNT;
    Ok(attr_from(&rustix::fs::statx(dir, name, flags, mask)?))
}

fn attr_from(statx: &Statx) -> Attr {
    let has_btime = statx.stx_mask & StatxFlags::BTIME.bits() != 0;
    Attr {
        mode: u32::from(statx.stx_mode),
        nlink: statx.stx_nlink,
        uid: statx.stx_uid,
        gid: statx.stx_gid,
        ino: statx.stx_ino,
        dev: Device { major: statx.stx_dev_major, minor: statx.stx_dev_minor },
        rdev: Device { major: statx.stx_rdev_major, minor: statx.stx_rdev_minor },
        size: statx.stx_size,
        blocks: statx.stx_blocks,
        blksize: statx.stx_blksize,
        atime: time_from(statx.stx_atime),
        mtime: time_from(statx.stx_mtime),
        ctime: time_from(statx.stx_ctime),
        btime: has_btime.then(|| time_from(statx.stx_btime)),
    }
}

/// File systems are known to store nonsense; the client would take it for a broken message.
fn time_from(time: StatxTimestamp) -> Timestamp {
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec.min(999_999_999) }
}

/// Where the symbolic link `name` in `dir` points to; with an empty name, the link `dir` itself.
pub(crate) fn read_link(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut buffer = [0; MAX_TARGET + 1];
    let length = rustix::fs::readlinkat_raw(dir, name, &mut buffer[..])?;
    match buffer.get(..length) {
        // Some links of proc are empty or longer; Linux cuts those of the second kind.
        Some([]) => Err(Errno::ENOENT),
        Some(target) => Ok(target[..target.len().min(MAX_TARGET)].to_vec()),
        None => Err(Errno::EIO),
    }
}

/// The host's flags for an open.
pub(crate) fn open_flags(flags: OpenFlags) -> OFlags {
    let mut host = match (flags.contains(OpenFlags::READ), flags.contains(OpenFlags::WRITE)) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    for (flag, bit) in [
        (OpenFlags::APPEND, OFlags::APPEND),
        (OpenFlags::DSYNC, OFlags::DSYNC),
        (OpenFlags::SYNC, OFlags::SYNC),
        (OpenFlags::DIRECT, OFlags::DIRECT),
        (OpenFlags::NOATIME, OFlags::NOATIME),
    ] {
        host.set(bit, flags.contains(flag));
    }
    // Without O_NONBLOCK a FIFO that took the file's place would stall a worker.
    host | OFlags::NONBLOCK | OFlags::NOCTTY
}

/// `.` and `..`, which the sentry makes up itself.
pub(crate) fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
