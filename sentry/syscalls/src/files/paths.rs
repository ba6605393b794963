//! Path arguments.

use crate::args::UserStr;
use abi::{Errno, SysResult};
use kernel::TaskContext;
use vfs::{Fd, OpenFile, Path, PathContext, WalkFlags};

/// The working directory, in place of a descriptor.
pub(super) const CWD: Fd = Fd(libc::AT_FDCWD);

/// Copies a path in. ENOENT for an empty one unless `empty_ok` (AT_EMPTY_PATH), when a null pointer
/// is an empty path too.
pub(super) fn read_path(cx: &TaskContext<'_>, path: UserStr, empty_ok: bool) -> SysResult<Vec<u8>> {
    if empty_ok && path.0.is_null() {
        return Ok(Vec::new());
    }
    let path = cx.read_path(path.0)?;
    if path.is_empty() && !empty_ok { Err(Errno::ENOENT) } else { Ok(path) }
}

/// Runs `f` with the place that a path leads to. WalkFlags::EMPTY allows an empty path.
pub(super) fn with_place<R>(
    cx: &TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    flags: WalkFlags,
    f: impl FnOnce(&PathContext<'_>, &Path) -> SysResult<R>,
) -> SysResult<R> {
    let path = read_path(cx, path, flags.contains(WalkFlags::EMPTY))?;
    cx.with_path(dir, &path, |paths| {
        let place = paths.walk(&path, flags)?;
        f(paths, &place)
    })
}

/// Runs `f` with the path and the context to walk it in.
pub(super) fn with_name<R>(
    cx: &TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    f: impl FnOnce(&PathContext<'_>, &[u8]) -> SysResult<R>,
) -> SysResult<R> {
    let path = read_path(cx, path, false)?;
    cx.with_path(dir, &path, |paths| f(paths, &path))
}

/// Runs `f` with the place of an open file.
pub(super) fn with_file<R>(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    f: impl FnOnce(&PathContext<'_>, &Path) -> SysResult<R>,
) -> SysResult<R> {
    cx.with_path(CWD, b"", |paths| f(paths, file.path()))
}

/// From AT_ flags, of which only `allowed` ones may be set (EINVAL): links are followed unless
/// AT_SYMLINK_NOFOLLOW.
pub(super) fn walk_flags(flags: u32, allowed: i32) -> SysResult<WalkFlags> {
    if flags & !(allowed as u32) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags & libc::AT_SYMLINK_NOFOLLOW as u32 == 0);
    walk.set(WalkFlags::EMPTY, flags & libc::AT_EMPTY_PATH as u32 != 0);
    Ok(walk)
}
