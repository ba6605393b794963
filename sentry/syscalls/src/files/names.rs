//! Making, removing and moving names.

use super::paths::{CWD, read_path, with_name};
use crate::args::{Flags, Mode, UserStr};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use vfs::cred::Caps;
use vfs::{Fd, NodeKind, WalkFlags};

/// mkdir(2).
pub(crate) fn mkdir(cx: &mut TaskContext<'_>, path: UserStr, mode: Mode) -> CallResult {
    mkdirat(cx, CWD, path, mode)
}

/// mkdirat(2).
pub(crate) fn mkdirat(cx: &mut TaskContext<'_>, dir: Fd, path: UserStr, mode: Mode) -> CallResult {
    let mode = mode.0 & 0o1777 & !cx.fs().umask();
    with_name(cx, dir, path, |paths, path| paths.make_node(path, NodeKind::Directory, mode))?;
    Ok(0)
}

/// mknod(2).
pub(crate) fn mknod(cx: &mut TaskContext<'_>, path: UserStr, mode: Mode, dev: u32) -> CallResult {
    mknodat(cx, CWD, path, mode, dev)
}

/// mknodat(2).
pub(crate) fn mknodat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    mode: Mode,
    dev: u32,
) -> CallResult {
    let kind = node_kind(mode.0, dev)?;
    let is_device = matches!(kind, NodeKind::CharDevice(_) | NodeKind::BlockDevice(_));
    let mode = mode.0 & 0o7777 & !cx.fs().umask();
    with_name(cx, dir, path, |paths, path| {
        if is_device && !paths.cred.has_cap(Caps::MKNOD) {
            return Err(Errno::EPERM);
        }
        paths.make_node(path, kind, mode)
    })?;
    Ok(0)
}

fn node_kind(mode: u32, dev: u32) -> SysResult<NodeKind<'static>> {
    Ok(match mode & libc::S_IFMT {
        0 | libc::S_IFREG => NodeKind::Regular,
        libc::S_IFIFO => NodeKind::Fifo,
        libc::S_IFSOCK => NodeKind::Socket,
        libc::S_IFCHR => NodeKind::CharDevice(dev.into()),
        libc::S_IFBLK => NodeKind::BlockDevice(dev.into()),
        libc::S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    })
}

/// rmdir(2).
pub(crate) fn rmdir(cx: &mut TaskContext<'_>, path: UserStr) -> CallResult {
    unlinkat(cx, CWD, path, Flags(libc::AT_REMOVEDIR as u32))
}

/// unlink(2).
pub(crate) fn unlink(cx: &mut TaskContext<'_>, path: UserStr) -> CallResult {
    unlinkat(cx, CWD, path, Flags(0))
}

/// unlinkat(2).
pub(crate) fn unlinkat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    flags: Flags,
) -> CallResult {
    if flags.0 & !(libc::AT_REMOVEDIR as u32) != 0 {
        return Err(Errno::EINVAL.into());
    }
    with_name(cx, dir, path, |paths, path| match flags.0 {
        0 => paths.unlink(path),
        _ => paths.rmdir(path),
    })?;
    Ok(0)
}

/// rename(2).
pub(crate) fn rename(cx: &mut TaskContext<'_>, old: UserStr, new: UserStr) -> CallResult {
    renameat2(cx, CWD, old, CWD, new, Flags(0))
}

/// renameat(2).
pub(crate) fn renameat(
    cx: &mut TaskContext<'_>,
    old_dir: Fd,
    old: UserStr,
    new_dir: Fd,
    new: UserStr,
) -> CallResult {
    renameat2(cx, old_dir, old, new_dir, new, Flags(0))
}

/// renameat2(2).
pub(crate) fn renameat2(
    cx: &mut TaskContext<'_>,
    old_dir: Fd,
    old: UserStr,
    new_dir: Fd,
    new: UserStr,
    flags: Flags,
) -> CallResult {
    let known = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE;
    if flags.0 & !known != 0 || flags.0 == known {
        return Err(Errno::EINVAL.into());
    }
    let old = read_path(cx, old, false)?;
    let new = read_path(cx, new, false)?;
    cx.with_path(old_dir, &old, |from| {
        cx.with_path(new_dir, &new, |to| from.rename(&old, to, &new, flags.0))
    })?;
    Ok(0)
}

/// link(2).
pub(crate) fn link(cx: &mut TaskContext<'_>, old: UserStr, new: UserStr) -> CallResult {
    linkat(cx, CWD, old, CWD, new, Flags(0))
}

/// linkat(2). AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH (ENOENT).
pub(crate) fn linkat(
    cx: &mut TaskContext<'_>,
    old_dir: Fd,
    old: UserStr,
    new_dir: Fd,
    new: UserStr,
    flags: Flags,
) -> CallResult {
    let empty = libc::AT_EMPTY_PATH as u32;
    let follow = libc::AT_SYMLINK_FOLLOW as u32;
    if flags.0 & !(empty | follow) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags.0 & follow != 0);
    walk.set(WalkFlags::EMPTY, flags.0 & empty != 0);
    if flags.0 & empty != 0 && !cx.cred().has_cap(Caps::DAC_READ_SEARCH) {
        return Err(Errno::ENOENT.into());
    }
    let old = read_path(cx, old, walk.contains(WalkFlags::EMPTY))?;
    let new = read_path(cx, new, false)?;
    cx.with_path(old_dir, &old, |from| {
        let target = from.walk(&old, walk)?;
        cx.with_path(new_dir, &new, |to| to.link(&target, &new))
    })?;
    Ok(0)
}

/// symlink(2).
pub(crate) fn symlink(cx: &mut TaskContext<'_>, target: UserStr, path: UserStr) -> CallResult {
    symlinkat(cx, target, CWD, path)
}

/// symlinkat(2).
pub(crate) fn symlinkat(
    cx: &mut TaskContext<'_>,
    target: UserStr,
    dir: Fd,
    path: UserStr,
) -> CallResult {
    let target = read_path(cx, target, false)?;
    with_name(cx, dir, path, |paths, path| {
        paths.make_node(path, NodeKind::Symlink(&target), 0o777)
    })?;
    Ok(0)
}

/// readlink(2).
pub(crate) fn readlink(
    cx: &mut TaskContext<'_>,
    path: UserStr,
    buf: UserAddr,
    size: i32,
) -> CallResult {
    readlinkat(cx, CWD, path, buf, size)
}

/// readlinkat(2): an empty path is the descriptor itself.
pub(crate) fn readlinkat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    buf: UserAddr,
    size: i32,
) -> CallResult {
    let size = usize::try_from(size).ok().filter(|size| *size > 0).ok_or(Errno::EINVAL)?;
    let path = cx.read_path(path.0)?;
    if path.is_empty() && dir == CWD {
        return Err(Errno::ENOENT.into());
    }
    let target = cx.with_path(dir, &path, |paths| paths.readlink(&path))?;
    let len = target.len().min(size);
    cx.mm().write_bytes(buf, &target[..len])?;
    Ok(len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_nodes() {
        assert!(matches!(node_kind(0o644, 0), Ok(NodeKind::Regular)));
        assert!(matches!(node_kind(libc::S_IFCHR | 0o644, 0x103), Ok(NodeKind::CharDevice(0x103))));
        assert_eq!(node_kind(libc::S_IFDIR, 0).err(), Some(Errno::EPERM));
        assert_eq!(node_kind(libc::S_IFLNK, 0).err(), Some(Errno::EINVAL));
    }
}
