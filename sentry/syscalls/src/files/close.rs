//! Descriptors: close(2), dup(2).

use crate::args::Flags;
use abi::Errno;
use abi::file::OpenFlags;
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::Fd;

/// close(2).
pub(crate) fn close(cx: &mut TaskContext<'_>, fd: Fd) -> CallResult {
    let files = cx.files();
    let file = files.remove(fd)?;
    files.closed(&file);
    Ok(0)
}

/// close_range(2).
pub(crate) fn close_range(
    cx: &mut TaskContext<'_>,
    first: u32,
    last: u32,
    flags: Flags,
) -> CallResult {
    const UNSHARE: u32 = libc::CLOSE_RANGE_UNSHARE;
    const CLOEXEC: u32 = libc::CLOSE_RANGE_CLOEXEC;
    if flags.0 & !(UNSHARE | CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL.into());
    }
    let mut files = cx.files();
    // One reference is the task's, one ours.
    if flags.0 & UNSHARE != 0 && Arc::strong_count(&files) > 2 {
        files = files.fork();
        drop(cx.task.set_files(files.clone()));
    }
    if flags.0 & CLOEXEC != 0 {
        files.set_close_on_exec_range(first, last);
        return Ok(0);
    }
    for file in files.remove_range(first, last) {
        files.closed(&file);
    }
    Ok(0)
}

/// dup(2).
pub(crate) fn dup(cx: &mut TaskContext<'_>, fd: Fd) -> CallResult {
    let file = cx.files().get(fd)?;
    Ok(cx.install(file, false)?.0 as u64)
}

/// dup2(2).
pub(crate) fn dup2(cx: &mut TaskContext<'_>, old: Fd, new: Fd) -> CallResult {
    if old == new {
        cx.files().get(old)?;
        return Ok(new.0 as u64);
    }
    dup_to(cx, old, new, false)
}

/// dup3(2).
pub(crate) fn dup3(cx: &mut TaskContext<'_>, old: Fd, new: Fd, flags: Flags) -> CallResult {
    if flags.0 & !OpenFlags::CLOEXEC.bits() != 0 || old == new {
        return Err(Errno::EINVAL.into());
    }
    dup_to(cx, old, new, flags.0 != 0)
}

fn dup_to(cx: &TaskContext<'_>, old: Fd, new: Fd, close_on_exec: bool) -> CallResult {
    let files = cx.files();
    let file = files.get(old)?;
    let limit = cx.group().limits().nofile();
    if let Some(replaced) = files.install_at(file, close_on_exec, new, limit)? {
        files.closed(&replaced);
    }
    Ok(new.0 as u64)
}
