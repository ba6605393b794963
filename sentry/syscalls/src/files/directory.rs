//! Directories: listing, the working directory, the root.

use super::paths::{CWD, with_file, with_place};
use crate::args::UserStr;
use abi::file::FileType;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, TaskContext};
use vfs::cred::{Caps, MAY_EXEC};
use vfs::{DirEntry, Fd, Path, PathContext, WalkFlags};

/// The most that one call lists, in bytes.
const MAX_LISTING: usize = 64 << 10;

/// The two layouts of a directory entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `struct linux_dirent`: the type in the last byte.
    Old,
    /// `struct linux_dirent64`: the type before the name.
    New,
}

impl Layout {
    /// Appends an entry; false where it would make `out` longer than `limit`.
    fn push(self, out: &mut Vec<u8>, limit: usize, entry: &DirEntry<'_>) -> bool {
        // Two words and the length; then type and name with its NUL, in either order.
        let len = (8 + 8 + 2 + 1 + entry.name.len() + 1).next_multiple_of(8);
        let start = out.len();
        if start + len > limit {
            return false;
        }
        out.extend_from_slice(&entry.ino.to_ne_bytes());
        out.extend_from_slice(&entry.next.to_ne_bytes());
        out.extend_from_slice(&(len as u16).to_ne_bytes());
        if self == Layout::New {
            out.push(entry.kind.dirent_type());
        }
        out.extend_from_slice(entry.name);
        out.resize(start + len, 0);
        if self == Layout::Old {
            out[start + len - 1] = entry.kind.dirent_type();
        }
        true
    }
}

/// getdents64(2).
pub(crate) fn getdents64(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    buf: UserAddr,
    count: u32,
) -> CallResult {
    list(cx, fd, buf, count, Layout::New)
}

/// getdents(2).
pub(crate) fn getdents(cx: &mut TaskContext<'_>, fd: Fd, buf: UserAddr, count: u32) -> CallResult {
    list(cx, fd, buf, count, Layout::Old)
}

fn list(cx: &TaskContext<'_>, fd: Fd, buf: UserAddr, count: u32, layout: Layout) -> CallResult {
    let file = cx.file(fd)?;
    if file.path().inode().file_type() != FileType::Directory {
        return Err(Errno::ENOTDIR.into());
    }
    if file.path().dentry.is_unlinked() {
        return Err(Errno::ENOENT.into());
    }
    let limit = (count as usize).min(MAX_LISTING);
    let before = file.pos();
    let (mut out, mut full) = (Vec::new(), false);
    file.read_dir(&mut |entry| {
        full = !layout.push(&mut out, limit, &entry);
        !full
    })?;
    if out.is_empty() && full {
        return Err(Errno::EINVAL.into());
    }
    if let Err(errno) = cx.mm().write_bytes(buf, &out) {
        let _ = file.seek(before as i64, libc::SEEK_SET as u32);
        return Err(errno.into());
    }
    Ok(out.len() as u64)
}

/// getcwd(2): the length with the NUL.
pub(crate) fn getcwd(cx: &mut TaskContext<'_>, buf: UserAddr, size: usize) -> CallResult {
    let (root, cwd) = cx.fs().root_and_cwd();
    let is_root = std::sync::Arc::ptr_eq(&cwd.dentry, cwd.mount.root());
    if cwd.dentry.is_unlinked() && !is_root {
        return Err(Errno::ENOENT.into());
    }
    // With "(unreachable)" in front where the root is not above.
    let mut path = cwd.display(&root);
    path.push(0);
    if path.len() > abi::PATH_MAX {
        return Err(Errno::ENAMETOOLONG.into());
    }
    if path.len() > size {
        return Err(Errno::ERANGE.into());
    }
    cx.mm().write_bytes(buf, &path)?;
    Ok(path.len() as u64)
}

fn check_enter(paths: &PathContext<'_>, place: &Path) -> SysResult<Path> {
    if place.inode().file_type() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    vfs::walk::check_inode(paths.cred, place, MAY_EXEC)?;
    Ok(place.clone())
}

/// chdir(2).
pub(crate) fn chdir(cx: &mut TaskContext<'_>, path: UserStr) -> CallResult {
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let place = with_place(cx, CWD, path, flags, check_enter)?;
    cx.fs().set_cwd(place);
    Ok(0)
}

/// fchdir(2).
pub(crate) fn fchdir(cx: &mut TaskContext<'_>, fd: Fd) -> CallResult {
    let file = cx.files().get(fd)?;
    let place = with_file(cx, &file, check_enter)?;
    cx.fs().set_cwd(place);
    Ok(0)
}

/// chroot(2).
pub(crate) fn chroot(cx: &mut TaskContext<'_>, path: UserStr) -> CallResult {
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let place = with_place(cx, CWD, path, flags, check_enter)?;
    if !cx.cred().has_cap(Caps::SYS_CHROOT) {
        return Err(Errno::EPERM.into());
    }
    cx.fs().set_root(place);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_have_their_type_where_it_belongs() {
        let entry = DirEntry { ino: 7, next: 9, kind: FileType::Directory, name: b"abcd" };
        for (layout, at) in [(Layout::New, 18), (Layout::Old, 23)] {
            let mut out = Vec::new();
            assert!(layout.push(&mut out, 47, &entry));
            assert_eq!(out.len(), 24);
            assert_eq!((out[0], out[8], out[16], out[at]), (7, 9, 24, 4));
            let name = if layout == Layout::New { 19 } else { 18 };
            assert_eq!(&out[name..name + 5], b"abcd\0");
            assert!(!layout.push(&mut out, 47, &entry));
            assert!(layout.push(&mut out, 48, &entry));
        }
    }
}
