//! stat(2), statx(2), statfs(2), access(2).

use super::paths::{CWD, read_path, walk_flags, with_place};
use crate::args::{Flags, Mode, UserStr};
use abi::stat::{Stat, StatFs, Statx, major, minor};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::cred::MAY_EXEC;
use vfs::{Attr, Fd, MountFlags, Path, PathContext, WalkFlags};

fn to_stat(attr: &Attr) -> Stat {
    Stat {
        dev: attr.dev,
        ino: attr.ino,
        nlink: attr.nlink.into(),
        mode: attr.mode,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev,
        size: attr.size as i64,
        blksize: attr.blksize.into(),
        blocks: attr.blocks as i64,
        atime: attr.atime,
        mtime: attr.mtime,
        ctime: attr.ctime,
        ..Stat::default()
    }
}

/// stat(2).
pub(crate) fn stat(cx: &mut TaskContext<'_>, path: UserStr, buf: UserAddr) -> CallResult {
    newfstatat(cx, CWD, path, buf, Flags(0))
}

/// lstat(2).
pub(crate) fn lstat(cx: &mut TaskContext<'_>, path: UserStr, buf: UserAddr) -> CallResult {
    newfstatat(cx, CWD, path, buf, Flags(libc::AT_SYMLINK_NOFOLLOW as u32))
}

/// fstat(2).
pub(crate) fn fstat(cx: &mut TaskContext<'_>, fd: Fd, buf: UserAddr) -> CallResult {
    let file = cx.files().get(fd)?;
    let attr = file.path().inode().attr()?;
    cx.write(buf, &to_stat(&attr))?;
    Ok(0)
}

/// Flags that statx(2) and newfstatat(2) take beyond those about links and empty paths; there is
/// nothing to mount by itself, and nothing that is not up to date.
const IGNORED: i32 = libc::AT_NO_AUTOMOUNT | libc::AT_STATX_SYNC_TYPE;

/// newfstatat(2).
pub(crate) fn newfstatat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    buf: UserAddr,
    flags: Flags,
) -> CallResult {
    let allowed = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | IGNORED;
    let walk = walk_flags(flags.0, allowed)?;
    let attr = with_place(cx, dir, path, walk, |_, place| place.inode().attr())?;
    cx.write(buf, &to_stat(&attr))?;
    Ok(0)
}

/// statx(2).
pub(crate) fn statx(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    flags: Flags,
    mask: u32,
    buf: UserAddr,
) -> CallResult {
    const RESERVED: u32 = 1 << 31;
    let sync_type = libc::AT_STATX_SYNC_TYPE as u32;
    if mask & RESERVED != 0 || flags.0 & sync_type == sync_type {
        return Err(Errno::EINVAL.into());
    }
    let allowed = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | IGNORED;
    let walk = walk_flags(flags.0, allowed)?;
    let statx = with_place(cx, dir, path, walk, |_, place| to_statx(place))?;
    cx.write(buf, &statx)?;
    Ok(0)
}

/// Everything that is known, whatever the mask asks for.
fn to_statx(place: &Path) -> SysResult<Statx> {
    const BASIC: u32 = libc::STATX_BASIC_STATS;
    const BTIME: u32 = libc::STATX_BTIME;
    const MNT_ID: u32 = libc::STATX_MNT_ID;
    const ATTR_MOUNT_ROOT: u64 = 0x2000;
    let attr = place.inode().attr()?;
    let is_root = Arc::ptr_eq(place.mount.root(), &place.dentry);
    Ok(Statx {
        mask: BASIC | MNT_ID | if attr.btime.is_some() { BTIME } else { 0 },
        blksize: attr.blksize,
        attributes: if is_root { ATTR_MOUNT_ROOT } else { 0 },
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        mode: attr.mode as u16,
        ino: attr.ino,
        size: attr.size,
        blocks: attr.blocks,
        attributes_mask: ATTR_MOUNT_ROOT,
        atime: attr.atime.into(),
        btime: attr.btime.unwrap_or_default().into(),
        ctime: attr.ctime.into(),
        mtime: attr.mtime.into(),
        rdev_major: major(attr.rdev),
        rdev_minor: minor(attr.rdev),
        dev_major: major(attr.dev),
        dev_minor: minor(attr.dev),
        mnt_id: place.mount.id(),
        ..Statx::default()
    })
}

/// statfs(2).
pub(crate) fn statfs(cx: &mut TaskContext<'_>, path: UserStr, buf: UserAddr) -> CallResult {
    let stat = with_place(cx, CWD, path, WalkFlags::FOLLOW, |_, place| place_statfs(place))?;
    cx.write(buf, &stat)?;
    Ok(0)
}

/// fstatfs(2).
pub(crate) fn fstatfs(cx: &mut TaskContext<'_>, fd: Fd, buf: UserAddr) -> CallResult {
    let file = cx.files().get(fd)?;
    cx.write(buf, &place_statfs(file.path())?)?;
    Ok(0)
}

fn place_statfs(place: &Path) -> SysResult<StatFs> {
    const ST_VALID: i64 = 0x20;
    const ST_RELATIME: i64 = 0x1000;
    let mut stat = place.inode().statfs()?;
    let flags = place.mount.flags();
    let same = MountFlags::RDONLY
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC
        | MountFlags::NOATIME
        | MountFlags::NODIRATIME;
    stat.flags = ST_VALID | i64::from((flags & same).bits());
    if flags.contains(MountFlags::RELATIME) {
        stat.flags |= ST_RELATIME;
    }
    Ok(stat)
}

/// access(2).
pub(crate) fn access(cx: &mut TaskContext<'_>, path: UserStr, mode: Mode) -> CallResult {
    faccessat2(cx, CWD, path, mode, Flags(0))
}

/// faccessat(2): the call has no flags, the library function does.
pub(crate) fn faccessat(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    mode: Mode,
) -> CallResult {
    faccessat2(cx, dir, path, mode, Flags(0))
}

/// faccessat2(2).
pub(crate) fn faccessat2(
    cx: &mut TaskContext<'_>,
    dir: Fd,
    path: UserStr,
    mode: Mode,
    flags: Flags,
) -> CallResult {
    if mode.0 & !7 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let allowed = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    let walk = walk_flags(flags.0, allowed)?;
    let effective = flags.0 & libc::AT_EACCESS as u32 != 0;
    let path = read_path(cx, path, walk.contains(WalkFlags::EMPTY))?;
    cx.with_path(dir, &path, |paths| {
        let cred = if effective { paths.cred.clone() } else { paths.cred.with_real_ids() };
        let paths = PathContext { cred: &cred, ..*paths };
        let place = paths.walk(&path, walk)?;
        let is_regular = place.inode().file_type() == abi::file::FileType::Regular;
        let noexec = place.mount.flags().contains(MountFlags::NOEXEC);
        if mode.0 & MAY_EXEC != 0 && is_regular && noexec {
            return Err(Errno::EACCES);
        }
        paths.access(&place, mode.0)
    })?;
    Ok(0)
}
