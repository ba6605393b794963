//! The size of files and what is on disk: truncate(2), fallocate(2), fsync(2).

use super::paths::{CWD, with_file, with_place};
use super::transfer::check_new_size;
use crate::args::{Flags, UserStr};
use abi::file::FileType;
use abi::{Errno, SysResult};
use kernel::{CallResult, TaskContext};
use vfs::{Fd, OpenFile, Path, SetAttr, WalkFlags};

/// RLIMIT_FSIZE, for a file that grows.
fn check_growth(cx: &TaskContext<'_>, place: &Path, size: u64) -> SysResult<()> {
    if size > place.inode().attr()?.size { check_new_size(cx, size) } else { Ok(()) }
}

/// truncate(2).
pub(crate) fn truncate(cx: &mut TaskContext<'_>, path: UserStr, len: i64) -> CallResult {
    let size = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    with_place(cx, CWD, path, WalkFlags::FOLLOW, |paths, place| {
        if place.inode().file_type() == FileType::Regular {
            check_growth(cx, place, size)?;
        }
        paths.truncate(place, size)
    })?;
    Ok(0)
}

/// ftruncate(2).
pub(crate) fn ftruncate(cx: &mut TaskContext<'_>, fd: Fd, len: i64) -> CallResult {
    let size = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    let file = cx.file(fd)?;
    if !is_regular(&file) || !file.flags().writable() {
        return Err(Errno::EINVAL.into());
    }
    check_growth(cx, file.path(), size)?;
    // It was opened for writing: no permission is needed any more.
    with_file(cx, &file, |_, place| {
        place.inode().set_attr(&SetAttr { size: Some(size), ..SetAttr::default() })
    })?;
    Ok(0)
}

fn is_regular(file: &OpenFile) -> bool {
    file.path().inode().file_type() == FileType::Regular && file.ops().is_seekable()
}

/// fallocate(2).
pub(crate) fn fallocate(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    mode: Flags,
    offset: i64,
    len: i64,
) -> CallResult {
    let file = cx.file(fd)?;
    let (Ok(start), Ok(bytes @ 1..)) = (u64::try_from(offset), u64::try_from(len)) else {
        return Err(Errno::EINVAL.into());
    };
    check_mode(mode.0)?;
    file.check_writable()?;
    match file.path().inode().file_type() {
        FileType::Fifo => return Err(Errno::ESPIPE.into()),
        FileType::Directory => return Err(Errno::EISDIR.into()),
        FileType::Regular if file.ops().is_seekable() => {}
        FileType::BlockDevice => {}
        _ => return Err(Errno::ENODEV.into()),
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
    if mode.0 & KEEP_SIZE == 0 {
        check_growth(cx, file.path(), end as u64)?;
    }
    file.ops().allocate(mode.0, start, bytes)?;
    Ok(0)
}

const KEEP_SIZE: u32 = libc::FALLOC_FL_KEEP_SIZE as u32;

/// EOPNOTSUPP and EINVAL for modes that make no sense.
fn check_mode(mode: u32) -> SysResult<()> {
    const PUNCH_HOLE: u32 = libc::FALLOC_FL_PUNCH_HOLE as u32;
    const COLLAPSE: u32 = libc::FALLOC_FL_COLLAPSE_RANGE as u32;
    const ZERO: u32 = libc::FALLOC_FL_ZERO_RANGE as u32;
    const INSERT: u32 = libc::FALLOC_FL_INSERT_RANGE as u32;
    const UNSHARE: u32 = libc::FALLOC_FL_UNSHARE_RANGE as u32;
    match mode & !KEEP_SIZE {
        0 | ZERO => Ok(()),
        PUNCH_HOLE if mode & KEEP_SIZE != 0 => Ok(()),
        COLLAPSE | INSERT if mode & KEEP_SIZE != 0 => Err(Errno::EINVAL),
        COLLAPSE | INSERT | UNSHARE => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// fsync(2).
pub(crate) fn fsync(cx: &mut TaskContext<'_>, fd: Fd) -> CallResult {
    cx.file(fd)?.ops().sync(false)?;
    Ok(0)
}

/// fdatasync(2).
pub(crate) fn fdatasync(cx: &mut TaskContext<'_>, fd: Fd) -> CallResult {
    cx.file(fd)?.ops().sync(true)?;
    Ok(0)
}

/// sync(2). Nothing is kept back here: what was written is with the host.
pub(crate) fn sync(_cx: &mut TaskContext<'_>) -> CallResult {
    Ok(0)
}

/// syncfs(2), see [`sync`].
pub(crate) fn syncfs(cx: &mut TaskContext<'_>, fd: Fd) -> CallResult {
    cx.file(fd)?;
    Ok(0)
}

/// sync_file_range(2).
pub(crate) fn sync_file_range(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    offset: i64,
    len: i64,
    flags: Flags,
) -> CallResult {
    const KNOWN: u32 = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let file = cx.file(fd)?;
    if flags.0 & !KNOWN != 0 || offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL.into());
    }
    match file.path().inode().file_type() {
        FileType::Fifo | FileType::Socket | FileType::CharDevice => Err(Errno::ESPIPE.into()),
        _ => Ok(0),
    }
}

/// fadvise64(2).
pub(crate) fn fadvise64(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    _offset: i64,
    len: i64,
    advice: i32,
) -> CallResult {
    let file = cx.file(fd)?;
    if file.path().inode().file_type() == FileType::Fifo {
        return Err(Errno::ESPIPE.into());
    }
    if len < 0 || !(libc::POSIX_FADV_NORMAL..=libc::POSIX_FADV_NOREUSE).contains(&advice) {
        return Err(Errno::EINVAL.into());
    }
    Ok(0)
}

/// readahead(2).
pub(crate) fn readahead(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    _offset: i64,
    _count: usize,
) -> CallResult {
    let file = cx.file(fd)?;
    file.check_readable()?;
    if is_regular(&file) { Ok(0) } else { Err(Errno::EINVAL.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_fallocate() {
        const PUNCH_HOLE: u32 = libc::FALLOC_FL_PUNCH_HOLE as u32;
        assert_eq!(check_mode(KEEP_SIZE), Ok(()));
        assert_eq!(check_mode(PUNCH_HOLE | KEEP_SIZE), Ok(()));
        assert_eq!(check_mode(PUNCH_HOLE), Err(Errno::EOPNOTSUPP));
        assert_eq!(check_mode(PUNCH_HOLE | 16 | KEEP_SIZE), Err(Errno::EOPNOTSUPP));
        assert_eq!(check_mode(1 << 20), Err(Errno::EOPNOTSUPP));
    }
}
