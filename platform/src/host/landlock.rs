//! Landlock: beneath which directories a process may still touch files. See landlock(7).
//!
//! Descriptors that are open already keep what they can do; this binds what is opened later.

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const CREATE_RULESET: libc::c_long = 444;
const ADD_RULE: libc::c_long = 445;
const RESTRICT_SELF: libc::c_long = 446;

const EXECUTE: u64 = 1 << 0;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// All rights on files of the first version: bits 0 to 12.
const VERSION_1: u64 = (1 << 13) - 1;
/// Linking and renaming between directories.
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

/// How far the host could confine the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// By this version of the interface.
    Version(u32),
    /// Not at all: the host has no landlock, or it is switched off.
    No,
}

/// Confines the calling thread, and those it starts later, to files beneath these directories.
/// Sets no_new_privs. Files beneath `read_only` may be read; beneath `read_write`, anything but
/// exec.
pub fn restrict(
    read_only: &[BorrowedFd<'_>],
    read_write: &[BorrowedFd<'_>],
) -> io::Result<Enforced> {
    const VERSION: u32 = 1;
    let null = std::ptr::null::<u64>();
    // SAFETY: with this flag the kernel takes no struct.
    let version = match check(unsafe { libc::syscall(CREATE_RULESET, null, 0, VERSION) }) {
        Ok(version) => version as u32,
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP)) => {
            return Ok(Enforced::No);
        }
        Err(error) => return Err(error),
    };
    let handled = handled(version);
    let ruleset = {
        // SAFETY: the kernel reads 8 bytes: handled_access_fs alone.
        let fd = check(unsafe { libc::syscall(CREATE_RULESET, &raw const handled, 8, 0) })?;
        // SAFETY: a new descriptor that nobody else has.
        unsafe { OwnedFd::from_raw_fd(fd as i32) }
    };
    for directory in read_only {
        allow(&ruleset, *directory, READ_FILE | READ_DIR)?;
    }
    for directory in read_write {
        allow(&ruleset, *directory, handled & !EXECUTE)?;
    }
    super::rights::no_new_privs()?;
    // SAFETY: numbers.
    check(unsafe { libc::syscall(RESTRICT_SELF, ruleset.as_raw_fd(), 0) })?;
    Ok(Enforced::Version(version))
}

/// What a version can restrict.
fn handled(version: u32) -> u64 {
    let since = |first: u32, right: u64| if version >= first { right } else { 0 };
    VERSION_1 | since(2, REFER) | since(3, TRUNCATE) | since(5, IOCTL_DEV)
}

fn allow(ruleset: &OwnedFd, directory: BorrowedFd<'_>, rights: u64) -> io::Result<()> {
    const PATH_BENEATH: u32 = 1;
    #[repr(C, packed)]
    struct PathBeneath {
        allowed_access: u64,
        parent_fd: i32,
    }
    let rule = PathBeneath { allowed_access: rights, parent_fd: directory.as_raw_fd() };
    let fd = ruleset.as_raw_fd();
    // SAFETY: the kernel reads one struct landlock_path_beneath_attr, which is packed.
    check(unsafe { libc::syscall(ADD_RULE, fd, PATH_BENEATH, &raw const rule, 0) }).map(drop)
}
