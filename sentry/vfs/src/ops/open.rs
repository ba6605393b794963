//! open(2).

use crate::cred::{MAY_READ, MAY_WRITE};
use crate::dentry::Dentry;
use crate::file::{FileOps, OpenFile};
use crate::inode::{NewNode, NodeKind, SetAttr};
use crate::mount::{MountFlags, Path};
use crate::walk::{PathContext, WalkFlags, check_inode};
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::{Errno, SysResult};
use std::sync::Arc;

/// How often a race of creation against removal is tried again.
const CREATE_TRIES: u32 = 16;

impl PathContext<'_> {
    /// openat(2) without the descriptor. `mode`: permission bits of a new file, umask applied.
    pub fn open(&self, path: &[u8], flags: OpenFlags, mode: u32) -> SysResult<Arc<OpenFile>> {
        self.open_with(path, flags, mode, WalkFlags::empty())
    }

    /// openat2(2) without the descriptor. `resolve`: the flags of [`WalkFlags`] that stand for
    /// RESOLVE_ ones.
    pub fn open_with(
        &self,
        path: &[u8],
        flags: OpenFlags,
        mode: u32,
        resolve: WalkFlags,
    ) -> SysResult<Arc<OpenFile>> {
        if flags.contains(OpenFlags::TMPFILE_ONLY) {
            return self.open_tmpfile(path, flags, mode, resolve);
        }
        if flags.contains(OpenFlags::PATH) || !flags.contains(OpenFlags::CREAT) {
            let mut walk = resolve;
            walk.set(WalkFlags::FOLLOW, !flags.contains(OpenFlags::NOFOLLOW));
            walk.set(WalkFlags::DIRECTORY, flags.contains(OpenFlags::DIRECTORY));
            let place = self.walk(path, walk)?;
            return self.open_place(place, flags);
        }
        if flags.contains(OpenFlags::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        let exclusive = flags.contains(OpenFlags::EXCL);
        let mut walk = resolve;
        walk.set(WalkFlags::FOLLOW, !exclusive && !flags.contains(OpenFlags::NOFOLLOW));
        for _ in 0..CREATE_TRIES {
            match self.walk_or_missing(path, walk)? {
                Ok(_) if exclusive => return Err(Errno::EEXIST),
                Ok(place) => {
                    if place.inode().file_type() == FileType::Directory {
                        return Err(Errno::EISDIR);
                    }
                    if path.last() == Some(&b'/') {
                        return Err(Errno::EISDIR);
                    }
                    return self.open_place(place, flags);
                }
                Err((_, _, true)) => return Err(Errno::EISDIR),
                Err((dir, name, false)) => {
                    match self.make_in(&dir, &name, NodeKind::Regular, mode) {
                        // A new file is opened whatever its mode says.
                        Ok(place) => {
                            let ops = place.inode().open(flags)?;
                            return Ok(OpenFile::new(ops, place, flags));
                        }
                        Err(Errno::EEXIST) if !exclusive => {}
                        Err(errno) => return Err(errno),
                    }
                }
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Opens what was found, with the checks of may_open in the kernel.
    pub fn open_place(&self, place: Path, flags: OpenFlags) -> SysResult<Arc<OpenFile>> {
        let kind = place.inode().file_type();
        if flags.contains(OpenFlags::PATH) {
            let kept = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::NOFOLLOW;
            return Ok(OpenFile::new(Arc::new(PathOnly), place, flags & kept));
        }
        let wants_write = flags.bits() & 3 != 0;
        let truncates = flags.contains(OpenFlags::TRUNC);
        match kind {
            FileType::Symlink => return Err(Errno::ELOOP),
            FileType::Directory if wants_write || truncates => return Err(Errno::EISDIR),
            FileType::CharDevice | FileType::BlockDevice
                if place.mount.flags().contains(MountFlags::NODEV) =>
            {
                return Err(Errno::EACCES);
            }
            _ => {}
        }
        let mut mask = match flags.bits() & 3 {
            0 => MAY_READ,
            1 => MAY_WRITE,
            _ => MAY_READ | MAY_WRITE,
        };
        if truncates {
            mask |= MAY_WRITE;
        }
        check_inode(self.cred, &place, mask)?;
        if mask & MAY_WRITE != 0 && kind == FileType::Regular {
            place.mount.check_writable()?;
        }
        if flags.contains(OpenFlags::NOATIME) && !self.cred.owns(&place.inode().attr()?) {
            return Err(Errno::EPERM);
        }
        if kind == FileType::Socket {
            return Err(Errno::ENXIO);
        }
        let ops = place.inode().open(flags)?;
        if truncates && kind == FileType::Regular {
            place.inode().set_attr(&SetAttr { size: Some(0), ..SetAttr::default() })?;
        }
        Ok(OpenFile::new(ops, place, flags))
    }

    fn open_tmpfile(
        &self,
        path: &[u8],
        flags: OpenFlags,
        mode: u32,
        resolve: WalkFlags,
    ) -> SysResult<Arc<OpenFile>> {
        if !flags.contains(OpenFlags::TMPFILE) || flags.bits() & 3 == 0 {
            return Err(Errno::EINVAL);
        }
        let dir = self.walk(path, resolve | WalkFlags::FOLLOW | WalkFlags::DIRECTORY)?;
        dir.mount.check_writable()?;
        self.check_dir_writable(&dir)?;
        let gid = self.new_file_gid(&dir.inode().attr()?);
        let node = NewNode { kind: NodeKind::Regular, mode, uid: self.cred.fsuid, gid };
        let inode = dir.inode().create_unnamed(&node)?;
        let name = format!("#{}", inode.attr()?.ino);
        // With O_EXCL it will never have a name.
        let linkable = !flags.contains(OpenFlags::EXCL);
        let dentry = Dentry::new_unlinked(&dir.dentry, name.as_bytes(), inode, linkable);
        let place = Path { mount: dir.mount, dentry };
        let ops = place.inode().open(flags)?;
        Ok(OpenFile::new(ops, place, flags))
    }
}

/// What is behind an O_PATH description: nothing but its place.
struct PathOnly;

impl FileOps for PathOnly {
    fn poll(&self, _file: &OpenFile) -> PollEvents {
        PollEvents::NVAL
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
