//! Making, removing and moving names.

use super::{S_ISGID, plain_name};
use crate::inode::{InodeRef, NewNode, NodeKind, rename};
use crate::mount::Path;
use crate::walk::{Last, PathContext, WalkFlags};
use abi::file::FileType;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::sync::Arc;

/// Moves of directories, one at a time.
static TREE_CHANGES: Mutex<()> = Mutex::new(());

impl PathContext<'_> {
    /// mknod(2), mkdir(2), symlink(2), bind(2) of a unix socket. `mode`: permission bits with the
    /// umask applied.
    pub fn make_node(&self, path: &[u8], kind: NodeKind<'_>, mode: u32) -> SysResult<Path> {
        let (dir, last) = self.walk_parent(path)?;
        let (name, slash) = plain_name(last, Errno::EEXIST)?;
        if dir.dentry.lookup(&name).is_ok() {
            return Err(Errno::EEXIST);
        }
        if slash && !matches!(kind, NodeKind::Directory) {
            return Err(Errno::ENOENT);
        }
        self.make_in(&dir, &name, kind, mode)
    }

    /// Makes `name` in `dir`, after the permission checks.
    pub(super) fn make_in(
        &self,
        dir: &Path,
        name: &[u8],
        kind: NodeKind<'_>,
        mode: u32,
    ) -> SysResult<Path> {
        dir.mount.check_writable()?;
        self.check_dir_writable(dir)?;
        let dir_attr = dir.inode().attr()?;
        let mut mode = mode & 0o7777;
        let gid = self.new_file_gid(&dir_attr);
        if dir_attr.mode & S_ISGID != 0 {
            match kind {
                NodeKind::Directory => mode |= S_ISGID,
                // A group executable setgid file needs membership in the group.
                _ if mode & (S_ISGID | 0o010) == S_ISGID | 0o010 && !self.cred.in_group(gid) => {
                    mode &= !S_ISGID;
                }
                _ => {}
            }
        }
        let node = NewNode { kind, mode, uid: self.cred.fsuid, gid };
        let inode = dir.inode().create(name, &node)?;
        let dentry = dir.dentry.created(name, inode);
        Ok(Path { mount: dir.mount.clone(), dentry })
    }

    /// link(2). `target` has been walked to; `path` is the new name.
    pub fn link(&self, target: &Path, path: &[u8]) -> SysResult<()> {
        let (dir, last) = self.walk_parent(path)?;
        let (name, slash) = plain_name(last, Errno::EEXIST)?;
        if dir.dentry.lookup(&name).is_ok() {
            return Err(Errno::EEXIST);
        }
        if slash {
            return Err(Errno::ENOENT);
        }
        if !Arc::ptr_eq(&dir.mount, &target.mount) {
            return Err(Errno::EXDEV);
        }
        dir.mount.check_writable()?;
        self.check_dir_writable(&dir)?;
        if target.inode().file_type() == FileType::Directory {
            return Err(Errno::EPERM);
        }
        if !target.dentry.is_linkable() {
            return Err(Errno::ENOENT);
        }
        dir.inode().link(&name, target.inode())?;
        dir.dentry.created(&name, target.inode().clone());
        Ok(())
    }

    /// unlink(2).
    pub fn unlink(&self, path: &[u8]) -> SysResult<()> {
        let (dir, last) = self.walk_parent(path)?;
        let (name, slash) = plain_name(last, Errno::EISDIR)?;
        let victim = self.child(&dir, &name)?;
        let is_dir = victim.inode().file_type() == FileType::Directory;
        if slash {
            return Err(if is_dir { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        dir.mount.check_writable()?;
        self.check_dir_writable(&dir)?;
        self.check_sticky(&dir, &victim)?;
        if is_dir {
            return Err(Errno::EISDIR);
        }
        if victim.dentry.is_mountpoint() {
            return Err(Errno::EBUSY);
        }
        dir.inode().unlink(&name)?;
        dir.dentry.removed(&name);
        Ok(())
    }

    /// rmdir(2).
    pub fn rmdir(&self, path: &[u8]) -> SysResult<()> {
        let (dir, last) = self.walk_parent(path)?;
        let name = match last {
            Last::Name(name, _) => name,
            Last::Dot => return Err(Errno::EINVAL),
            Last::DotDot => return Err(Errno::ENOTEMPTY),
            Last::Root => return Err(Errno::EBUSY),
        };
        let victim = self.child(&dir, &name)?;
        dir.mount.check_writable()?;
        self.check_dir_writable(&dir)?;
        self.check_sticky(&dir, &victim)?;
        if victim.inode().file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if victim.dentry.is_mountpoint() {
            return Err(Errno::EBUSY);
        }
        dir.inode().rmdir(&name)?;
        dir.dentry.removed(&name);
        Ok(())
    }

    /// The entry itself, not what is mounted on it or where it links to.
    fn child(&self, dir: &Path, name: &[u8]) -> SysResult<Path> {
        Ok(Path { mount: dir.mount.clone(), dentry: dir.dentry.lookup(name)? })
    }

    /// renameat2(2). `to` is the context of the new path (its own start).
    pub fn rename(
        &self,
        path: &[u8],
        to: &PathContext<'_>,
        new_path: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        let exchange = flags & rename::EXCHANGE != 0;
        let noreplace = flags & rename::NOREPLACE != 0;
        if flags & !(rename::EXCHANGE | rename::NOREPLACE) != 0 || exchange && noreplace {
            return Err(Errno::EINVAL);
        }
        let (old_dir, last) = self.walk_parent(path)?;
        let (new_dir, new_last) = to.walk_parent(new_path)?;
        if !Arc::ptr_eq(&old_dir.mount, &new_dir.mount) {
            return Err(Errno::EXDEV);
        }
        let (name, slash) = plain_name(last, Errno::EBUSY)?;
        let special = if noreplace { Errno::EEXIST } else { Errno::EBUSY };
        let (new_name, new_slash) = plain_name(new_last, special)?;
        old_dir.mount.check_writable()?;

        let old = self.child(&old_dir, &name)?;
        let new = match self.child(&new_dir, &new_name) {
            Ok(new) => Some(new),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno),
        };
        if noreplace && new.is_some() {
            return Err(Errno::EEXIST);
        }
        if exchange && new.is_none() {
            return Err(Errno::ENOENT);
        }
        let is_dir = |path: &Path| path.inode().file_type() == FileType::Directory;
        if !is_dir(&old) && (slash || !exchange && new_slash) {
            return Err(Errno::ENOTDIR);
        }
        if exchange && new_slash && new.as_ref().is_some_and(|new| !is_dir(new)) {
            return Err(Errno::ENOTDIR);
        }
        // Between this check and the move nothing may move above either place: two directories that
        // are moved below each other at once would be a circle. Held while the file system moves a
        // directory to another one, which is rare, and waits for nothing but that.
        let _tree = (is_dir(&old) || exchange && new.as_ref().is_some_and(is_dir))
            .then(|| TREE_CHANGES.lock());
        // The new place inside the old one, or (exchanging or replacing) the other way round.
        if new_dir.dentry.is_below(&old.dentry) {
            return Err(Errno::EINVAL);
        }
        if let Some(new) = &new
            && old_dir.dentry.is_below(&new.dentry)
        {
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        self.check_dir_writable(&old_dir)?;
        self.check_sticky(&old_dir, &old)?;
        to.check_dir_writable(&new_dir)?;
        if let Some(new) = &new {
            if is_same_file(old.inode(), new.inode()) {
                return Ok(());
            }
            to.check_sticky(&new_dir, new)?;
            if !exchange {
                match (is_dir(&old), is_dir(new)) {
                    (true, false) => return Err(Errno::ENOTDIR),
                    (false, true) => return Err(Errno::EISDIR),
                    _ => {}
                }
            }
        }
        let covered = new.as_ref().is_some_and(|new| new.dentry.is_mountpoint());
        if old.dentry.is_mountpoint() || covered {
            return Err(Errno::EBUSY);
        }
        old_dir.inode().rename(&name, new_dir.inode(), &new_name, flags)?;
        old_dir.dentry.renamed(&name, &new_dir.dentry, &new_name, exchange);
        Ok(())
    }

    /// readlink(2): the text of a link. EINVAL where it is none.
    pub fn readlink(&self, path: &[u8]) -> SysResult<Vec<u8>> {
        let place = self.walk(path, WalkFlags::EMPTY)?;
        self.readlink_at(&place, path.is_empty())
    }

    /// The text of the link at `place`. `by_fd`: there was no path, and the error differs.
    pub fn readlink_at(&self, place: &Path, by_fd: bool) -> SysResult<Vec<u8>> {
        if place.inode().file_type() != FileType::Symlink {
            return Err(if by_fd { Errno::ENOENT } else { Errno::EINVAL });
        }
        if let Some(text) = place.inode().readlink_text()? {
            return Ok(text);
        }
        match place.inode().readlink()? {
            crate::inode::LinkTarget::Path(target) => Ok(target),
            crate::inode::LinkTarget::Magic(target) => Ok(target.display(self.root)),
        }
    }
}

/// Two names of one file: rename(2) then does nothing.
fn is_same_file(a: &InodeRef, b: &InodeRef) -> bool {
    Arc::ptr_eq(a, b)
}
