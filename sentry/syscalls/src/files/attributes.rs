//! Mode, owner, times, umask.

use super::paths::{CWD, walk_flags, with_file, with_place};
use crate::args::{Flags, Mode, UserStr};
use abi::time::{Timespec, Timeval};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use vfs::{Fd, TimeChange, WalkFlags};

const NOFOLLOW: Flags = Flags(libc::AT_SYMLINK_NOFOLLOW as u32);
const ALLOWED: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;

/// chmod(2).
pub(crate) fn chmod(cx: &mut TaskContext<'_>, path: UserStr, mode: Mode) -> CallResult {
    fchmodat2(cx, CWD, path, mode, Flags(0))
}

/// fchmod(2).
pub(crate) fn fchmod(cx: &mut TaskContext<'_>, fd: Fd, mode: Mode) -> CallResult {
    let file = cx.file(fd)?;
    with_file(cx, &file, |paths, place| paths.chmod(place, mode.0))?;
    Ok(0)
}

/// fchmodat(2): the call has no flags.
pub(crate) fn fchmodat(cx: &mut TaskContext<'_>, dir: Fd, path: UserStr, mode: Mode) -> CallResult {
    fchmodat2(cx, dir, path, mode, Flags(0))
}

/// fchmodat2(2).
pub(crate) fn fchmodat2(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    mode: Mode,
    flags: Flags,
) -> CallResult {
    let walk = walk_flags(flags.0, ALLOWED)?;
    with_place(cx, dir, path, walk, |paths, place| paths.chmod(place, mode.0))?;
    Ok(0)
}

/// -1 leaves an id as it is.
fn id(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// chown(2).
pub(crate) fn chown(cx: &mut TaskContext<'_>, path: UserStr, uid: u32, gid: u32) -> CallResult {
    fchownat(cx, CWD, path, uid, gid, Flags(0))
}

/// lchown(2).
pub(crate) fn lchown(cx: &mut TaskContext<'_>, path: UserStr, uid: u32, gid: u32) -> CallResult {
    fchownat(cx, CWD, path, uid, gid, NOFOLLOW)
}

/// fchown(2).
pub(crate) fn fchown(cx: &mut TaskContext<'_>, fd: Fd, uid: u32, gid: u32) -> CallResult {
    let file = cx.file(fd)?;
    with_file(cx, &file, |paths, place| paths.chown(place, id(uid), id(gid)))?;
    Ok(0)
}

/// fchownat(2).
pub(crate) fn fchownat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    uid: u32,
    gid: u32,
    flags: Flags,
) -> CallResult {
    let walk = walk_flags(flags.0, ALLOWED)?;
    with_place(cx, dir, path, walk, |paths, place| paths.chown(place, id(uid), id(gid)))?;
    Ok(0)
}

/// The access and modification time to set; None leaves one as it is.
type Times = (Option<TimeChange>, Option<TimeChange>);

const NOW: Times = (Some(TimeChange::Now), Some(TimeChange::Now));

/// One time of utimensat(2).
fn change(time: Timespec) -> SysResult<Option<TimeChange>> {
    match time.nsec {
        libc::UTIME_NOW => Ok(Some(TimeChange::Now)),
        libc::UTIME_OMIT => Ok(None),
        0..1_000_000_000 => Ok(Some(TimeChange::At(time))),
        _ => Err(Errno::EINVAL),
    }
}

/// Two `struct timeval`, or now.
fn read_timevals(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<Times> {
    let Some(addr) = addr.non_null() else { return Ok(NOW) };
    let times: [Timeval; 2] = cx.read(addr)?;
    let at = |time: Timeval| match time.usec {
        0..1_000_000 => {
            Ok(Some(TimeChange::At(Timespec { sec: time.sec, nsec: time.usec * 1000 })))
        }
        _ => Err(Errno::EINVAL),
    };
    Ok((at(times[0])?, at(times[1])?))
}

fn set_times(cx: &TaskContext<'_>, dir: Fd, path: UserStr, times: Times) -> CallResult {
    let (atime, mtime) = times;
    with_place(cx, dir, path, WalkFlags::FOLLOW, |paths, place| {
        paths.set_times(place, atime, mtime)
    })?;
    Ok(0)
}

/// utime(2).
pub(crate) fn utime(cx: &mut TaskContext<'_>, path: UserStr, times: UserAddr) -> CallResult {
    let times = match times.non_null() {
        None => NOW,
        Some(addr) => {
            let [atime, mtime]: [i64; 2] = cx.read(addr)?;
            let at = |sec| Some(TimeChange::At(Timespec { sec, nsec: 0 }));
            (at(atime), at(mtime))
        }
    };
    set_times(cx, CWD, path, times)
}

/// utimes(2).
pub(crate) fn utimes(cx: &mut TaskContext<'_>, path: UserStr, times: UserAddr) -> CallResult {
    futimesat(cx, CWD, path, times)
}

/// futimesat(2). A null path is the descriptor itself.
pub(crate) fn futimesat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    times: UserAddr,
) -> CallResult {
    let times = read_timevals(cx, times)?;
    if path.0.is_null() && dir != CWD {
        return set_file_times(cx, dir, times);
    }
    set_times(cx, dir, path, times)
}

/// utimensat(2). A null path is the descriptor itself.
pub(crate) fn utimensat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    times: UserAddr,
    flags: Flags,
) -> CallResult {
    let (atime, mtime) = match times.non_null() {
        None => NOW,
        Some(addr) => {
            let times: [Timespec; 2] = cx.read(addr)?;
            let omit = |time: Timespec| time.nsec == libc::UTIME_OMIT;
            if omit(times[0]) && omit(times[1]) {
                // Not even the path is looked at.
                return Ok(0);
            }
            (change(times[0])?, change(times[1])?)
        }
    };
    if path.0.is_null() && dir != CWD {
        if flags.0 != 0 {
            return Err(Errno::EINVAL.into());
        }
        return set_file_times(cx, dir, (atime, mtime));
    }
    let walk = walk_flags(flags.0, ALLOWED)?;
    with_place(cx, dir, path, walk, |paths, place| paths.set_times(place, atime, mtime))?;
    Ok(0)
}

fn set_file_times(cx: &TaskContext<'_>, fd: Fd, (atime, mtime): Times) -> CallResult {
    let file = cx.file(fd)?;
    with_file(cx, &file, |paths, place| paths.set_times(place, atime, mtime))?;
    Ok(0)
}

/// umask(2).
pub(crate) fn umask(cx: &mut TaskContext<'_>, mask: Mode) -> CallResult {
    Ok(cx.fs().set_umask(mask.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let time = |nsec| Timespec { sec: 5, nsec };
        assert_eq!(change(time(libc::UTIME_NOW)), Ok(Some(TimeChange::Now)));
        assert_eq!(change(time(libc::UTIME_OMIT)), Ok(None));
        assert_eq!(change(time(7)), Ok(Some(TimeChange::At(time(7)))));
        assert_eq!(change(time(-1)), Err(Errno::EINVAL));
        assert_eq!(change(time(1_000_000_000)), Err(Errno::EINVAL));
    }
}
