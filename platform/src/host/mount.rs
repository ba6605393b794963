//! Mounts of a sandbox's own mount namespace. See mount(2), fsopen(2), pivot_root(2).
//!
//! All of it needs CAP_SYS_ADMIN in the user namespace that owns the mount namespace.

use super::check;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const MOUNT_ATTR_RDONLY: u32 = 1;
const MOUNT_ATTR_NOSUID: u32 = 2;
const MOUNT_ATTR_NODEV: u32 = 4;
const MOUNT_ATTR_NOEXEC: u32 = 8;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;

/// Stops mounts from travelling between this mount namespace and others.
pub fn make_private() -> io::Result<()> {
    let (null, root) = (std::ptr::null::<libc::c_char>(), c"/".as_ptr());
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: null or live strings.
    check(unsafe { libc::syscall(libc::SYS_mount, null, root, null, flags, null) }).map(drop)
}

/// A tmpfs that is mounted nowhere: only who holds the descriptor can reach it (openat, O_TMPFILE).
#[derive(Debug)]
pub struct Tmpfs {
    /// Its root directory (O_PATH). The file system goes when this and all its files are closed.
    pub root: OwnedFd,
    /// Whether the host gives huge pages to those who ask with madvise.
    pub huge: bool,
}

/// Makes a tmpfs of at most `size` bytes, with `huge=advise` where the host has that.
pub fn tmpfs(size: u64) -> io::Result<Tmpfs> {
    let make = |huge: bool| {
        let context = fs_open(c"tmpfs")?;
        let text = std::ffi::CString::new(size.to_string())?;
        fs_config(&context, FSCONFIG_SET_STRING, Some((c"size", &text)))?;
        fs_config(&context, FSCONFIG_SET_STRING, Some((c"mode", c"0700")))?;
        if huge {
            fs_config(&context, FSCONFIG_SET_STRING, Some((c"huge", c"advise")))?;
        }
        fs_config(&context, FSCONFIG_CMD_CREATE, None)?;
        // Not MOUNT_ATTR_NOEXEC: guest code is mapped from here.
        let root = fs_mount(&context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)?;
        Ok(Tmpfs { root, huge })
    };
    make(true).or_else(|_: io::Error| make(false))
}

/// Replaces the root of this mount namespace by an empty read-only directory. Open descriptors
/// stay good; every path is gone.
pub fn enter_empty_root() -> io::Result<()> {
    make_private()?;
    let context = fs_open(c"tmpfs")?;
    fs_config(&context, FSCONFIG_SET_STRING, Some((c"size", c"4096")))?;
    fs_config(&context, FSCONFIG_SET_STRING, Some((c"mode", c"0555")))?;
    fs_config(&context, FSCONFIG_CMD_CREATE, None)?;
    let attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    let root = fs_mount(&context, attributes)?;
    let (empty, slash, dot) = (c"".as_ptr(), c"/".as_ptr(), c".".as_ptr());
    let fd = root.as_raw_fd();
    // On top of the old root, for pivot_root wants it mounted somewhere; then under it, and away.
    let flags = MOVE_MOUNT_F_EMPTY_PATH;
    let at = libc::AT_FDCWD;
    // SAFETY: live strings and an open descriptor.
    check(unsafe { libc::syscall(libc::SYS_move_mount, fd, empty, at, slash, flags) })?;
    // SAFETY: an open descriptor.
    check(unsafe { libc::syscall(libc::SYS_fchdir, fd) })?;
    // SAFETY: live strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, dot, dot) })?;
    // SAFETY: a live string.
    check(unsafe { libc::syscall(libc::SYS_umount2, dot, libc::MNT_DETACH) })?;
    // SAFETY: a live string.
    check(unsafe { libc::syscall(libc::SYS_chdir, slash) }).map(drop)
}

fn fs_open(kind: &CStr) -> io::Result<OwnedFd> {
    const FSOPEN_CLOEXEC: u32 = 1;
    // SAFETY: a live string.
    let fd = check(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn fs_config(context: &OwnedFd, command: u32, pair: Option<(&CStr, &CStr)>) -> io::Result<()> {
    let null = std::ptr::null();
    let (key, value) = pair.map_or((null, null), |(key, value)| (key.as_ptr(), value.as_ptr()));
    let fd = context.as_fd().as_raw_fd();
    // SAFETY: null or live strings, as the command wants.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key, value, 0) }).map(drop)
}

fn fs_mount(context: &OwnedFd, attributes: u32) -> io::Result<OwnedFd> {
    const FSMOUNT_CLOEXEC: u32 = 1;
    let fd = context.as_raw_fd();
    // SAFETY: numbers.
    let fd = check(unsafe { libc::syscall(libc::SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes) })?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
