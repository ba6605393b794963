//! open(2) and openat2(2).

use super::blocking::wait_queue;
use super::paths::{CWD, read_path};
use crate::args::{Flags, Mode, UserStr};
use abi::file::{OpenFlags, PollEvents};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::{Fd, OpenFile, PathContext, WalkFlags};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// open(2).
pub(crate) fn open(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    flags: Flags,
    mode: Mode,
) -> CallResult {
    openat(cx, CWD, path, flags, mode)
}

/// creat(2).
pub(crate) fn creat(cx: &mut TaskContext<'_>, path: UserStr, mode: Mode) -> CallResult {
    let flags = OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC;
    openat(cx, CWD, path, Flags(flags.bits()), mode)
}

/// openat(2): unknown flags are ignored.
pub(crate) fn openat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    flags: Flags,
    mode: Mode,
) -> CallResult {
    let how = How::of_open(OpenFlags::from_bits_truncate(flags.0), mode.0)?;
    open_how(cx, dir, path, how)
}

/// openat2(2).
pub(crate) fn openat2(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    how: UserAddr,
    size: usize,
) -> CallResult {
    let how = How::of_open2(read_how(cx, how, size)?)?;
    open_how(cx, dir, path, how)
}

/// `struct open_how`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// A structure that may grow: EINVAL if too short, E2BIG if it has more than we know and that is
/// not zero.
fn read_how(cx: &TaskContext<'_>, addr: UserAddr, size: usize) -> SysResult<OpenHow> {
    const KNOWN: usize = size_of::<OpenHow>();
    if size < KNOWN {
        return Err(Errno::EINVAL);
    }
    if size > abi::PAGE_SIZE as usize {
        return Err(Errno::E2BIG);
    }
    let bytes: Vec<u8> = cx.mm().read_array(addr, size as u64, abi::PAGE_SIZE as usize)?;
    let (known, rest) = bytes.split_at(KNOWN);
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    OpenHow::read_from_bytes(known).map_err(|_| Errno::EFAULT)
}

/// What to do, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct How {
    flags: OpenFlags,
    mode: u32,
    resolve: WalkFlags,
}

const RESOLVE_NO_XDEV: u64 = 1;
const RESOLVE_NO_MAGICLINKS: u64 = 2;
const RESOLVE_NO_SYMLINKS: u64 = 4;
const RESOLVE_BENEATH: u64 = 8;
const RESOLVE_IN_ROOT: u64 = 16;
const RESOLVE_CACHED: u64 = 32;

/// What O_PATH may be combined with.
const PATH_FLAGS: OpenFlags = OpenFlags::PATH
    .union(OpenFlags::DIRECTORY)
    .union(OpenFlags::NOFOLLOW)
    .union(OpenFlags::CLOEXEC);

impl How {
    /// For open(2), which leaves out what makes no sense.
    fn of_open(mut flags: OpenFlags, mode: u32) -> SysResult<How> {
        if flags.contains(OpenFlags::PATH) {
            flags &= PATH_FLAGS;
        }
        How { flags, mode: mode & 0o7777, resolve: WalkFlags::empty() }.check()
    }

    /// For openat2(2), which refuses it.
    fn of_open2(how: OpenHow) -> SysResult<How> {
        let bits = u32::try_from(how.flags).map_err(|_| Errno::EINVAL)?;
        let flags = OpenFlags::from_bits(bits).ok_or(Errno::EINVAL)?;
        let creates = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE_ONLY);
        if how.mode & !0o7777 != 0 || how.mode != 0 && !creates {
            return Err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::PATH) && !PATH_FLAGS.contains(flags) {
            return Err(Errno::EINVAL);
        }
        let mut resolve = WalkFlags::empty();
        let known = [
            (RESOLVE_NO_XDEV, WalkFlags::NO_XDEV),
            (RESOLVE_NO_MAGICLINKS, WalkFlags::NO_MAGICLINKS),
            (RESOLVE_NO_SYMLINKS, WalkFlags::NO_SYMLINKS),
            (RESOLVE_BENEATH, WalkFlags::BENEATH),
            (RESOLVE_IN_ROOT, WalkFlags::IN_ROOT),
        ];
        let mut rest = how.resolve & !RESOLVE_CACHED;
        for (bit, flag) in known {
            resolve.set(flag, rest & bit != 0);
            rest &= !bit;
        }
        if rest != 0 || resolve.contains(WalkFlags::BENEATH | WalkFlags::IN_ROOT) {
            return Err(Errno::EINVAL);
        }
        let how = How { flags, mode: how.mode as u32, resolve }.check()?;
        Ok(how)
    }

    /// What build_open_flags in the kernel checks in both cases.
    fn check(mut self) -> SysResult<How> {
        let flags = self.flags;
        if flags.contains(OpenFlags::TMPFILE_ONLY) {
            let writes = matches!(flags.bits() & 3, 1 | 2);
            if !flags.contains(OpenFlags::DIRECTORY) || !writes || flags.contains(OpenFlags::CREAT)
            {
                return Err(Errno::EINVAL);
            }
        } else if flags.contains(OpenFlags::CREAT | OpenFlags::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(OpenFlags::SYNC_ONLY) {
            self.flags |= OpenFlags::DSYNC;
        }
        if !flags.contains(OpenFlags::PATH) {
            // As a 64-bit kernel does for all its callers; F_GETFL shows it.
            self.flags |= OpenFlags::LARGEFILE;
        }
        Ok(self)
    }
}

fn open_how(cx: &TaskContext<'_>, dir: Fd, path: UserStr, how: How) -> CallResult {
    let path = read_path(cx, path, false)?;
    cx.files().check_room(cx.group().limits().nofile())?;
    let mode = how.mode & !cx.fs().umask();
    let file = if how.resolve.intersects(WalkFlags::BENEATH | WalkFlags::IN_ROOT) {
        // The start is then also what ".." and "/" lead to: take it as for a relative path.
        cx.with_path(dir, b".", |paths| {
            PathContext { root: paths.start, ..*paths }.open_with(
                &path,
                how.flags,
                mode,
                how.resolve,
            )
        })?
    } else {
        cx.with_path(dir, &path, |paths| paths.open_with(&path, how.flags, mode, how.resolve))?
    };
    wait_for_partner(cx, &file, how.flags)?;
    Ok(cx.install(file, how.flags.contains(OpenFlags::CLOEXEC))?.0 as u64)
}

/// fifo(7): an open blocks until the other end is open too.
fn wait_for_partner(
    cx: &TaskContext<'_>,
    file: &Arc<OpenFile>,
    flags: OpenFlags,
) -> CallResult<()> {
    if flags.contains(OpenFlags::NONBLOCK) || !file.ops().open_pending() {
        return Ok(());
    }
    let Some(queue) = wait_queue(cx, file) else { return Ok(()) };
    cx.task.block_on(&[(&queue, PollEvents::IN.bits())], None, || {
        (!file.ops().open_pending()).then_some(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open2(flags: OpenFlags, mode: u64, resolve: u64) -> SysResult<How> {
        How::of_open2(OpenHow { flags: flags.bits().into(), mode, resolve })
    }

    #[test]
    fn openat2_refuses_what_open_ignores() {
        let path_write = OpenFlags::PATH | OpenFlags::WRONLY;
        assert_eq!(open2(path_write, 0, 0), Err(Errno::EINVAL));
        assert_eq!(How::of_open(path_write, 0).unwrap().flags, OpenFlags::PATH);
        assert_eq!(open2(OpenFlags::empty(), 0o600, 0), Err(Errno::EINVAL));
        assert_eq!(open2(OpenFlags::CREAT, 0o10600, 0), Err(Errno::EINVAL));
        assert!(open2(OpenFlags::CREAT, 0o600, 0).is_ok());
        let unknown = OpenHow { flags: 1 << 40, ..OpenHow::default() };
        assert_eq!(How::of_open2(unknown), Err(Errno::EINVAL));
        let unknown = OpenHow { flags: 1 << 30, ..OpenHow::default() };
        assert_eq!(How::of_open2(unknown), Err(Errno::EINVAL));
    }

    #[test]
    fn resolve_flags() {
        let both = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
        assert_eq!(open2(OpenFlags::empty(), 0, both), Err(Errno::EINVAL));
        assert_eq!(open2(OpenFlags::empty(), 0, 64), Err(Errno::EINVAL));
        let how = open2(OpenFlags::empty(), 0, RESOLVE_NO_XDEV | RESOLVE_CACHED).unwrap();
        assert_eq!(how.resolve, WalkFlags::NO_XDEV);
    }

    #[test]
    fn combinations_that_no_open_takes() {
        let check = |flags| How::of_open(flags, 0).map(drop);
        assert_eq!(check(OpenFlags::CREAT | OpenFlags::DIRECTORY), Err(Errno::EINVAL));
        assert_eq!(check(OpenFlags::TMPFILE), Err(Errno::EINVAL));
        assert_eq!(check(OpenFlags::TMPFILE_ONLY | OpenFlags::RDWR), Err(Errno::EINVAL));
        assert_eq!(check(OpenFlags::TMPFILE | OpenFlags::RDWR), Ok(()));
        let sync = How::of_open(OpenFlags::SYNC_ONLY, 0).unwrap().flags;
        assert_eq!(sync, OpenFlags::SYNC | OpenFlags::LARGEFILE);
    }
}
