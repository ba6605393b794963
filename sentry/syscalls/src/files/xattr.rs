//! Extended attributes: xattr(7).

use super::paths::{CWD, with_file, with_place};
use crate::args::{Flags, UserStr};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use vfs::{Fd, Path, PathContext, WalkFlags};

/// XATTR_NAME_MAX, with the NUL.
const MAX_NAME: usize = 256;
/// XATTR_SIZE_MAX.
const MAX_VALUE: usize = 65536;

/// Which file a call is about.
#[derive(Clone, Copy)]
enum Of {
    Path(UserStr, WalkFlags),
    File(Fd),
}

impl Of {
    fn with<R>(
        self,
        cx: &TaskContext<'_>,
        f: impl FnOnce(&PathContext<'_>, &Path) -> SysResult<R>,
    ) -> SysResult<R> {
        match self {
            Of::Path(path, walk) => with_place(cx, CWD, path, walk, f),
            Of::File(fd) => with_file(cx, &*cx.file(fd)?, f),
        }
    }
}

fn followed(path: UserStr) -> Of {
    Of::Path(path, WalkFlags::FOLLOW)
}

fn not_followed(path: UserStr) -> Of {
    Of::Path(path, WalkFlags::empty())
}

/// ERANGE for an empty name and one that is too long.
fn read_name(cx: &TaskContext<'_>, name: UserStr) -> SysResult<Vec<u8>> {
    match cx.mm().read_cstr(name.0, MAX_NAME) {
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        other => other,
    }
}

/// Copies an answer out and returns its length; with `size` 0 only that. ERANGE where it is longer.
fn answer(cx: &TaskContext<'_>, bytes: &[u8], addr: UserAddr, size: usize) -> CallResult {
    if size != 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE.into());
        }
        cx.mm().write_bytes(addr, bytes)?;
    }
    Ok(bytes.len() as u64)
}

fn set(
    cx: &TaskContext<'_>,
    of: Of,
    name: UserStr,
    value: UserAddr,
    size: usize,
    flags: Flags,
) -> CallResult {
    if flags.0 & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) as u32 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = read_name(cx, name)?;
    if size > MAX_VALUE {
        return Err(Errno::E2BIG.into());
    }
    let value: Vec<u8> = cx.mm().read_array(value, size as u64, MAX_VALUE)?;
    of.with(cx, |paths, place| paths.set_xattr(place, &name, &value, flags.0))?;
    Ok(0)
}

fn get(cx: &TaskContext<'_>, of: Of, name: UserStr, value: UserAddr, size: usize) -> CallResult {
    let name = read_name(cx, name)?;
    let found = of.with(cx, |paths, place| paths.get_xattr(place, &name))?;
    answer(cx, &found, value, size)
}

fn list(cx: &TaskContext<'_>, of: Of, addr: UserAddr, size: usize) -> CallResult {
    let names = of.with(cx, |paths, place| paths.list_xattr(place))?;
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(&name);
        bytes.push(0);
    }
    answer(cx, &bytes, addr, size)
}

fn remove(cx: &TaskContext<'_>, of: Of, name: UserStr) -> CallResult {
    let name = read_name(cx, name)?;
    of.with(cx, |paths, place| paths.remove_xattr(place, &name))?;
    Ok(0)
}

/// setxattr(2).
pub(crate) fn setxattr(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    name: UserStr,
    value: UserAddr,
    size: usize,
    flags: Flags,
) -> CallResult {
    set(cx, followed(path), name, value, size, flags)
}

/// lsetxattr(2).
pub(crate) fn lsetxattr(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    name: UserStr,
    value: UserAddr,
    size: usize,
    flags: Flags,
) -> CallResult {
    set(cx, not_followed(path), name, value, size, flags)
}

/// fsetxattr(2).
pub(crate) fn fsetxattr(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    name: UserStr,
    value: UserAddr,
    size: usize,
    flags: Flags,
) -> CallResult {
    set(cx, Of::File(fd), name, value, size, flags)
}

/// getxattr(2).
pub(crate) fn getxattr(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    name: UserStr,
    value: UserAddr,
    size: usize,
) -> CallResult {
    get(cx, followed(path), name, value, size)
}

/// lgetxattr(2).
pub(crate) fn lgetxattr(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    name: UserStr,
    value: UserAddr,
    size: usize,
) -> CallResult {
    get(cx, not_followed(path), name, value, size)
}

/// fgetxattr(2).
pub(crate) fn fgetxattr(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    name: UserStr,
    value: UserAddr,
    size: usize,
) -> CallResult {
    get(cx, Of::File(fd), name, value, size)
}

/// listxattr(2).
pub(crate) fn listxattr(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    addr: UserAddr,
    size: usize,
) -> CallResult {
    list(cx, followed(path), addr, size)
}

/// llistxattr(2).
pub(crate) fn llistxattr(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    addr: UserAddr,
    size: usize,
) -> CallResult {
    list(cx, not_followed(path), addr, size)
}

/// flistxattr(2).
pub(crate) fn flistxattr(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    addr: UserAddr,
    size: usize,
) -> CallResult {
    list(cx, Of::File(fd), addr, size)
}

/// removexattr(2).
pub(crate) fn removexattr(cx: &mut TaskContext<'_>, path: UserStr, name: UserStr) -> CallResult {
    remove(cx, followed(path), name)
}

/// lremovexattr(2).
pub(crate) fn lremovexattr(cx: &mut TaskContext<'_>, path: UserStr, name: UserStr) -> CallResult {
    remove(cx, not_followed(path), name)
}

/// fremovexattr(2).
pub(crate) fn fremovexattr(cx: &mut TaskContext<'_>, fd: Fd, name: UserStr) -> CallResult {
    remove(cx, Of::File(fd), name)
}
