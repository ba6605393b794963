//! flock(2), and the record locks of fcntl(2).

use abi::file::Flock;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::locks::{Owner, RecordLock, Waiting};
use vfs::{Fd, OpenFile};

/// flock(2).
pub(crate) fn flock(cx: &mut TaskContext<'_>, fd: Fd, operation: i32) -> CallResult {
    let exclusive = match operation & !libc::LOCK_NB {
        libc::LOCK_SH => Some(false),
        libc::LOCK_EX => Some(true),
        libc::LOCK_UN => None,
        _ => return Err(Errno::EINVAL.into()),
    };
    let file = cx.file(fd)?;
    let Some(exclusive) = exclusive else {
        vfs::locks::unlock_flock(&file);
        return Ok(0);
    };
    file.will_have_locks();
    take(cx, &Waiting::for_flock(&file, exclusive), operation & libc::LOCK_NB == 0)
}

/// EAGAIN where somebody is in the way and `wait` is false.
fn take(cx: &TaskContext<'_>, waiting: &Waiting, wait: bool) -> CallResult {
    if wait {
        cx.task.block_on(&[(waiting.queue(), 1)], None, || waiting.attempt_waiting())??;
    } else {
        waiting.attempt()?;
    }
    Ok(0)
}

/// F_GETLK and (`by_file`) F_OFD_GETLK.
pub(super) fn get(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    addr: UserAddr,
    by_file: bool,
) -> SysResult<()> {
    let mut flock: Flock = cx.read(addr)?;
    let kind = i32::from(flock.kind);
    if kind != libc::F_RDLCK && kind != libc::F_WRLCK {
        return Err(Errno::EINVAL);
    }
    let (start, end) = range(file, &flock)?;
    check_ofd(by_file, &flock)?;
    let wanted = lock(cx, file, by_file, kind == libc::F_WRLCK, start, end);
    match vfs::locks::conflict(file.path().inode(), &wanted) {
        None => flock.kind = libc::F_UNLCK as i16,
        Some(found) => {
            let kind = if found.exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
            flock.kind = kind as i16;
            flock.whence = libc::SEEK_SET as i16;
            flock.start = found.start as i64;
            let to_the_end = found.end == i64::MAX as u64;
            flock.len = if to_the_end { 0 } else { (found.end - found.start + 1) as i64 };
            flock.pid = found.pid;
        }
    }
    cx.write(addr, &flock)
}

/// F_SETLK, F_SETLKW (`wait`), and the same of an open file description (`by_file`).
pub(super) fn set(
    cx: &TaskContext<'_>,
    fd: Fd,
    file: &Arc<OpenFile>,
    addr: UserAddr,
    by_file: bool,
    wait: bool,
) -> CallResult {
    let flock: Flock = cx.read(addr)?;
    let (start, end) = range(file, &flock)?;
    let exclusive = match i32::from(flock.kind) {
        libc::F_RDLCK => Some(false),
        libc::F_WRLCK => Some(true),
        libc::F_UNLCK => None,
        _ => return Err(Errno::EINVAL.into()),
    };
    check_ofd(by_file, &flock)?;
    let inode = file.path().inode();
    let Some(exclusive) = exclusive else {
        vfs::locks::unlock(inode, &lock(cx, file, by_file, false, start, end))?;
        return Ok(0);
    };
    if exclusive {
        file.check_writable()?
    } else {
        file.check_readable()?
    }
    if by_file {
        file.will_have_locks();
    }
    let wanted = lock(cx, file, by_file, exclusive, start, end);
    take(cx, &Waiting::for_record(inode, wanted), wait)?;
    // Closed by another thread meanwhile: that close has not seen the lock.
    let still_open = cx.files().get(fd).is_ok_and(|now| Arc::ptr_eq(&now, file));
    if !by_file && !still_open {
        vfs::locks::unlock(inode, &wanted)?;
        return Err(Errno::EBADF.into());
    }
    Ok(0)
}

/// The field for the owner must be zero where it is not a process.
fn check_ofd(by_file: bool, flock: &Flock) -> SysResult<()> {
    if by_file && flock.pid != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

fn lock(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    by_file: bool,
    exclusive: bool,
    start: u64,
    end: u64,
) -> RecordLock {
    let (owner, pid) = match by_file {
        true => (Owner::of_file(file), -1),
        false => (Owner::Process(cx.files().id()), cx.group().pid()),
    };
    RecordLock { owner, pid, exclusive, start, end }
}

fn range(file: &OpenFile, flock: &Flock) -> SysResult<(u64, u64)> {
    let base = match i32::from(flock.whence) {
        libc::SEEK_SET => 0,
        libc::SEEK_CUR => file.pos(),
        libc::SEEK_END => file.ops().size()?,
        _ => return Err(Errno::EINVAL),
    };
    absolute_range(base, flock.start, flock.len)
}

/// The first and last byte. EINVAL for a range that begins below zero, EOVERFLOW for one that does
/// not fit.
fn absolute_range(base: u64, start: i64, len: i64) -> SysResult<(u64, u64)> {
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    if start < 0 {
        return Err(Errno::EINVAL);
    }
    let (start, end) = match len {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        // The bytes before.
        _ => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    if start < 0 {
        return Err(Errno::EINVAL);
    }
    Ok((start as u64, end as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        const END: u64 = i64::MAX as u64;
        assert_eq!(absolute_range(0, 10, 5), Ok((10, 14)));
        assert_eq!(absolute_range(100, -10, 5), Ok((90, 94)));
        assert_eq!(absolute_range(0, 10, 0), Ok((10, END)));
        assert_eq!(absolute_range(0, 10, -4), Ok((6, 9)));
        assert_eq!(absolute_range(0, 3, -4), Err(Errno::EINVAL));
        assert_eq!(absolute_range(0, -1, 4), Err(Errno::EINVAL));
        assert_eq!(absolute_range(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
        assert_eq!(absolute_range(0, i64::MAX, 1), Ok((END, END)));
        assert_eq!(absolute_range(5, i64::MAX, 1), Err(Errno::EOVERFLOW));
        assert_eq!(absolute_range(0, 0, i64::MIN), Err(Errno::EINVAL));
    }
}
