//! The requests that change files. The dispatcher has checked that the root is writable and that
//! both nodes, where there are two, are beneath the same root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags as HostRenameFlags, Timespec};
use rustix::fs::{Timestamps, UTIME_NOW, UTIME_OMIT, Uid};

use super::Files;
use super::host;
use super::nodes::Identity;
use super::tree::gone;
use crate::errno::Errno;
use crate::protocol::{
    Attr, FileType, Name, NodeId, OpenFlags, Owner, RenameFlags, SetAttr, SetTime, WalkedNode,
};

/// The bits of a mode that `chmod(2)` sets.
const PERMISSIONS: u32 = 0o7777;

impl Files {
    pub(super) fn set_attr(&self, node: NodeId, set: &SetAttr) -> Result<Attr, Errno> {
        let file_type = self.view(node)?.identity.file_type;
        if let Some(size) = set.size {
            match file_type {
                FileType::Regular => {}
                FileType::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            rustix::fs::ftruncate(self.real_fd(node, OpenFlags::WRITE)?, size)?;
        }
        if set.owner != Owner::default() {
            chown(self.path_fd(node)?.as_fd(), set.owner)?;
        }
        if let Some(mode) = set.mode {
            self.chmod(node, mode)?;
        }
        if (set.atime, set.mtime) != (SetTime::Omit, SetTime::Omit) {
            let times = Timestamps {
                last_access: timespec(set.atime),
                last_modification: timespec(set.mtime),
            };
            rustix::fs::utimensat(self.path_fd(node)?, "", &times, AtFlags::EMPTY_PATH)?;
        }
        self.stat(node)
    }

    /// `fchmod(2)` wants a file opened for real; for which way does not matter, so the one that
    /// its present mode allows will do. FIFOs and the like cannot be opened harmlessly.
    fn chmod(&self, node: NodeId, mode: u32) -> Result<(), Errno> {
        let fd = match self.real_fd(node, OpenFlags::READ) {
            Err(Errno::EACCES) => self.real_fd(node, OpenFlags::WRITE)?,
            fd => fd?,
        };
        Ok(rustix::fs::fchmod(fd, Mode::from_raw_mode(mode & PERMISSIONS))?)
    }

    pub(super) fn create(
        &self,
        parent: NodeId,
        name: Name<'_>,
        mode: u32,
        owner: Owner,
        flags: OpenFlags,
    ) -> Result<(WalkedNode, OwnedFd), Errno> {
        let dir = self.directory(parent)?;
        let mode = mode & PERMISSIONS;
        // O_EXCL, so that what is opened is certainly new, and a regular file.
        let host_flags = host::open_flags(flags) | OFlags::CREATE | OFlags::EXCL;
        let fd =
            self.open_at(dir.as_fd(), name.as_bytes(), host_flags, Mode::from_raw_mode(mode))?;
        self.finish_new(dir.as_fd(), parent, name, || {
            if owner != Owner::default() {
                chown(fd.as_fd(), owner)?;
            }
            let attr = host::stat_fd(&fd)?;
            if attr.mode & PERMISSIONS == mode {
                return Ok(attr);
            }
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))?;
            host::stat_fd(&fd)
        })
        .map(|node| (node, fd))
    }

    pub(super) fn mkdir(
        &self,
        parent: NodeId,
        name: Name<'_>,
        mode: u32,
        owner: Owner,
    ) -> Result<WalkedNode, Errno> {
        let dir = self.directory(parent)?;
        let mode = mode & PERMISSIONS;
        rustix::fs::mkdirat(&dir, name.as_bytes(), Mode::from_raw_mode(mode))?;
        self.finish_new(dir.as_fd(), parent, name, || {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let fd = self.open_at(dir.as_fd(), name.as_bytes(), flags, Mode::empty())?;
            if owner != Owner::default() {
                chown(fd.as_fd(), owner)?;
            }
            let attr = host::stat_fd(&fd)?;
            if attr.mode & PERMISSIONS == mode {
                return Ok(attr);
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let real = self.open_at(fd.as_fd(), b".", flags, Mode::empty())?;
            rustix::fs::fchmod(&real, Mode::from_raw_mode(mode))?;
            host::stat_fd(&fd)
        })
    }

    pub(super) fn symlink(
        &self,
        parent: NodeId,
        name: Name<'_>,
        target: &[u8],
        owner: Owner,
    ) -> Result<WalkedNode, Errno> {
        let dir = self.directory(parent)?;
        rustix::fs::symlinkat(target, &dir, name.as_bytes())?;
        self.finish_new(dir.as_fd(), parent, name, || {
            self.chown_new(dir.as_fd(), name, FileType::Symlink, owner)
        })
    }

    pub(super) fn mknod(
        &self,
        parent: NodeId,
        name: Name<'_>,
        mode: u32,
        owner: Owner,
    ) -> Result<WalkedNode, Errno> {
        let file_type = FileType::from_mode(mode);
        let host_type = match file_type {
            FileType::Fifo => rustix::fs::FileType::Fifo,
            FileType::Regular => rustix::fs::FileType::RegularFile,
            _ => return Err(Errno::EPERM),
        };
        let dir = self.directory(parent)?;
        let permissions = Mode::from_raw_mode(mode & PERMISSIONS);
        rustix::fs::mknodat(&dir, name.as_bytes(), host_type, permissions, 0)?;
        self.finish_new(dir.as_fd(), parent, name, || {
            self.chown_new(dir.as_fd(), name, file_type, owner)
        })
    }

    /// Gives a file that was just made to its owner, if the name still leads to such a file.
    fn chown_new(
        &self,
        dir: BorrowedFd<'_>,
        name: Name<'_>,
        file_type: FileType,
        owner: Owner,
    ) -> Result<Attr, Errno> {
        let fd = self.open_at(dir, name.as_bytes(), OFlags::PATH, Mode::empty())?;
        let attr = host::stat_fd(&fd)?;
        if attr.file_type() != file_type {
            return Err(Errno::ESTALE);
        }
        if owner == Owner::default() {
            return Ok(attr);
        }
        chown(fd.as_fd(), owner)?;
        host::stat_fd(&fd)
    }

    /// Completes a new file and makes its node. If that fails the file is removed: one with the
    /// wrong owner must not stay behind.
    fn finish_new(
        &self,
        dir: BorrowedFd<'_>,
        parent: NodeId,
        name: Name<'_>,
        complete: impl FnOnce() -> Result<Attr, Errno>,
    ) -> Result<WalkedNode, Errno> {
        let name = name.as_bytes();
        let finished = complete().and_then(|attr| {
            let node = self.nodes().enter(parent, name, Identity::of(&attr))?;
            Ok(WalkedNode { node, attr })
        });
        if finished.is_err() && rustix::fs::unlinkat(dir, name, AtFlags::empty()).is_err() {
            let _ = rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR);
        }
        finished
    }

    pub(super) fn link(
        &self,
        node: NodeId,
        parent: NodeId,
        name: Name<'_>,
    ) -> Result<WalkedNode, Errno> {
        let (view, old_dir, old_name) = self.locate(node)?;
        if old_name.is_empty() {
            // A directory, which has one name only, or a root, whose name is not beneath it.
            let is_dir = view.identity.file_type == FileType::Directory;
            return Err(if is_dir { Errno::EPERM } else { Errno::EXDEV });
        }
        view.identity.check(&host::stat_child(old_dir.as_fd(), &old_name).map_err(gone)?)?;
        let dir = self.directory(parent)?;
        // Without AT_SYMLINK_FOLLOW: a symbolic link is itself linked.
        rustix::fs::linkat(&old_dir, &*old_name, &dir, name.as_bytes(), AtFlags::empty())?;
        self.finish_new(dir.as_fd(), parent, name, || {
            let attr = host::stat_child(dir.as_fd(), name.as_bytes())?;
            view.identity.check(&attr)?;
            Ok(attr)
        })
    }

    pub(super) fn unlink(
        &self,
        parent: NodeId,
        name: Name<'_>,
        directory: bool,
    ) -> Result<(), Errno> {
        let dir = self.directory(parent)?;
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(&dir, name.as_bytes(), flags)?;
        self.nodes().detach(parent, name.as_bytes());
        Ok(())
    }

    pub(super) fn rename(
        &self,
        (old_parent, old_name): (NodeId, Name<'_>),
        (new_parent, new_name): (NodeId, Name<'_>),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let host_flags =
            match (flags.contains(RenameFlags::NOREPLACE), flags.contains(RenameFlags::EXCHANGE)) {
                (true, true) => return Err(Errno::EINVAL),
                (true, false) => HostRenameFlags::NOREPLACE,
                (false, true) => HostRenameFlags::EXCHANGE,
                (false, false) => HostRenameFlags::empty(),
            };
        let old_dir = self.directory(old_parent)?;
        let new_dir = self.directory(new_parent)?;
        let (old_name, new_name) = (old_name.as_bytes(), new_name.as_bytes());
        rustix::fs::renameat_with(&old_dir, old_name, &new_dir, new_name, host_flags)?;
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        self.nodes().rename((old_parent, old_name), (new_parent, new_name), exchange);
        Ok(())
    }
}

/// Changes the owner of what an fd (`O_PATH` is enough) refers to, a symbolic link included.
fn chown(fd: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
    let (uid, gid) = (owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw));
    Ok(rustix::fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH)?)
}

fn timespec(time: SetTime) -> Timespec {
    match time {
        SetTime::Omit => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        SetTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        SetTime::To(time) => {
            Timespec { tv_sec: time.seconds, tv_nsec: i64::from(time.nanoseconds) }
        }
    }
}
