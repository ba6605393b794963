//! mount(2) and umount2(2).

use super::fcntl::check_admin;
use super::paths::{CWD, with_place};
use crate::args::{Flags, UserStr};
use abi::{Errno, SysResult, UserAddr};
use fs::tmpfs::{Tmpfs, TmpfsOptions};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::filesystem::FileSystemRef;
use vfs::{Mount, MountFlags, Path, WalkFlags};

const MS_REMOUNT: u32 = libc::MS_REMOUNT as u32;
const MS_BIND: u32 = libc::MS_BIND as u32;
const MS_MOVE: u32 = libc::MS_MOVE as u32;
const MS_STRICTATIME: u32 = libc::MS_STRICTATIME as u32;
const MS_PROPAGATION: u32 =
    (libc::MS_SHARED | libc::MS_PRIVATE | libc::MS_SLAVE | libc::MS_UNBINDABLE) as u32;
/// A mark of old callers in the high half, to be ignored.
const MS_MGC_MASK: u32 = 0xffff_0000;
const MS_MGC_VAL: u32 = 0xc0ed_0000;

/// mount(2).
pub(crate) fn mount(
    cx: &mut TaskContext<'_>,
    source: UserStr,
    target: UserStr,
    kind: UserStr,
    flags: Flags,
    data: UserAddr,
) -> CallResult {
    let mut flags = flags.0;
    if flags & MS_MGC_MASK == MS_MGC_VAL {
        flags &= !MS_MGC_MASK;
    }
    let kind = read_option(cx, kind.0)?;
    let data = read_option(cx, data)?.unwrap_or_default();
    let target = with_place(cx, CWD, target, WalkFlags::FOLLOW, |_, place| Ok(place.clone()))?;
    check_admin(cx)?;
    let is_top = Arc::ptr_eq(&target.dentry, target.mount.root());
    if flags & MS_REMOUNT != 0 {
        // The options of the file system itself stay as they are.
        if !is_top {
            return Err(Errno::EINVAL.into());
        }
        target.mount.set_flags(mount_flags(flags));
        return Ok(0);
    }
    if flags & MS_BIND != 0 {
        let source = with_place(cx, CWD, source, WalkFlags::FOLLOW, |_, place| Ok(place.clone()))?;
        let Path { mount, dentry } = source;
        let bound = Mount::with_root(mount.fs().clone(), dentry, mount.flags());
        cx.fs().mounts().attach(bound, &target)?;
        return Ok(0);
    }
    if flags & MS_PROPAGATION != 0 {
        // With one namespace there is nobody to propagate to.
        let one = (flags & MS_PROPAGATION).count_ones() == 1;
        return if one && is_top { Ok(0) } else { Err(Errno::EINVAL.into()) };
    }
    if flags & MS_MOVE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let fs = new_file_system(cx, &kind.ok_or(Errno::EINVAL)?, &data)?;
    cx.fs().mounts().attach(Mount::new(fs, mount_flags(flags)), &target)?;
    Ok(0)
}

/// A string, which may be missing; at most a page.
fn read_option(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<Option<String>> {
    let Some(addr) = addr.non_null() else { return Ok(None) };
    let bytes = cx.mm().read_cstr(addr, abi::PAGE_SIZE as usize).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        errno => errno,
    })?;
    String::from_utf8(bytes).map(Some).map_err(|_| Errno::EINVAL)
}

fn mount_flags(flags: u32) -> MountFlags {
    let mut mount = MountFlags::from_bits_truncate(flags);
    if flags & MS_STRICTATIME != 0 {
        mount.remove(MountFlags::NOATIME | MountFlags::RELATIME);
    } else if !mount.contains(MountFlags::NOATIME) {
        mount.insert(MountFlags::RELATIME);
    }
    mount
}

/// ENODEV for a type that there is none of.
fn new_file_system(cx: &TaskContext<'_>, kind: &str, data: &str) -> SysResult<FileSystemRef> {
    if kind == "tmpfs" || kind == "ramfs" {
        let options = TmpfsOptions::parse(data, cx.kernel().memory_limit())?;
        let fs = Tmpfs::new(cx.kernel().memory_file().clone(), options)?;
        return Ok(fs);
    }
    // What there is one of in the sandbox can be shown at another place.
    const SINGLE: [&str; 4] = ["proc", "sysfs", "devpts", "devtmpfs"];
    let mounts = cx.fs().mounts().list();
    let known = mounts.iter().find(|mount| SINGLE.contains(&kind) && mount.fs().name() == kind);
    known.map(|mount| mount.fs().clone()).ok_or(Errno::ENODEV)
}

/// umount2(2).
pub(crate) fn umount2(cx: &mut TaskContext<'_>, target: UserStr, flags: Flags) -> CallResult {
    const NOFOLLOW: u32 = libc::UMOUNT_NOFOLLOW as u32;
    const EXPIRE: u32 = libc::MNT_EXPIRE as u32;
    const KNOWN: u32 = (libc::MNT_FORCE | libc::MNT_DETACH) as u32 | EXPIRE | NOFOLLOW;
    let flags = flags.0;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    check_admin(cx)?;
    let mut walk = WalkFlags::empty();
    walk.set(WalkFlags::FOLLOW, flags & NOFOLLOW == 0);
    let target = with_place(cx, CWD, target, walk, |_, place| Ok(place.clone()))?;
    if flags & EXPIRE != 0 {
        // Whether it is in use is not known: say that it is.
        return Err(Errno::EBUSY.into());
    }
    cx.fs().mounts().detach(&target)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_times_are_relative_unless_asked_otherwise() {
        let flags = |flags: u64| mount_flags(flags as u32);
        assert_eq!(flags(0), MountFlags::RELATIME);
        assert_eq!(flags(libc::MS_STRICTATIME), MountFlags::empty());
        assert_eq!(flags(libc::MS_NOATIME), MountFlags::NOATIME);
        let expected = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::RELATIME;
        assert_eq!(flags(libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_BIND), expected);
    }
}
