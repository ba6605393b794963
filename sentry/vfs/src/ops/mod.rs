//! What is done with paths: open(2), mkdir(2), rename(2)..., with their permission checks, in
//! Linux's order. Each is a method of [`PathContext`].

mod attributes;
mod names;
mod open;
mod xattr;

use crate::cred::{Caps, MAY_EXEC, MAY_WRITE};
use crate::inode::Attr;
use crate::mount::Path;
use crate::walk::{Last, PathContext, check_inode};
use abi::{Errno, SysResult};

/// The setgid bit.
const S_ISGID: u32 = 0o2000;
/// The sticky bit.
const S_ISVTX: u32 = 0o1000;

impl PathContext<'_> {
    /// May entries of this directory be made or removed? EROFS is the caller's to check: it comes
    /// after EEXIST in some calls.
    fn check_dir_writable(&self, dir: &Path) -> SysResult<()> {
        if dir.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        check_inode(self.cred, dir, MAY_WRITE | MAY_EXEC)
    }

    /// The rule of the sticky bit: EPERM unless the caller owns the file or the directory.
    fn check_sticky(&self, dir: &Path, victim: &Path) -> SysResult<()> {
        let dir_attr = dir.inode().attr()?;
        if dir_attr.mode & S_ISVTX == 0
            || dir_attr.uid == self.cred.fsuid
            || self.cred.has_cap(Caps::FOWNER)
            || victim.inode().attr()?.uid == self.cred.fsuid
        {
            return Ok(());
        }
        Err(Errno::EPERM)
    }

    /// The group a new file in `dir` gets.
    fn new_file_gid(&self, dir: &Attr) -> u32 {
        if dir.mode & S_ISGID != 0 { dir.gid } else { self.cred.fsgid }
    }
}

/// The name, for calls that make or remove one; `special` is the error for "/", "." and "..".
fn plain_name(last: Last, special: Errno) -> SysResult<(Vec<u8>, bool)> {
    match last {
        Last::Name(name, slash) => Ok((name, slash)),
        Last::Dot | Last::DotDot | Last::Root => Err(special),
    }
}
