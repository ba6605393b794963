//! An inode of any type.

use super::content::{Content, seals};
use super::directory::Directory;
use super::metadata::{Metadata, now};
use super::open::{DirectoryFile, RegularFile};
use super::super_block::{INODE_SPACE, SuperBlock};
use super::xattr::Xattrs;
use crate::pipe::Fifo;
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, PAGE_SIZE, SysResult};
use mm::MappingSet;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::{Arc, Weak};
use vfs::{Attr, FileOps, Inode, InodeRef, LinkTarget, NewNode, NodeKind, SetAttr};

/// Where the socket that is bound to a name of type socket is found. Weak: the name does not keep
/// the socket, and connecting to a name whose socket is gone is refused.
pub type SocketSlot = Mutex<Option<Weak<dyn Any + Send + Sync>>>;

/// Linux's size of a directory entry, for `st_size` of a directory (BOGO_DIRENT_SIZE).
const DIRENT_SIZE: u64 = 20;

/// How to make an inode.
pub(crate) struct NewInode<'a> {
    pub node: NewNode<'a>,
    /// Seals of a regular file: only a memfd can have others than F_SEAL_SEAL.
    pub seals: u32,
    /// To share another file's mappings.
    pub mappings: Option<Arc<MappingSet>>,
}

impl<'a> NewInode<'a> {
    pub fn of(node: &NewNode<'a>) -> NewInode<'a> {
        NewInode { node: *node, seals: seals::SEAL, mappings: None }
    }
}

/// What depends on the type.
pub(super) enum Body {
    Regular(Arc<Content>),
    Directory(Directory),
    Symlink(Box<[u8]>),
    Fifo(Arc<Fifo>),
    Socket(SocketSlot),
    Device(u64),
}

/// A file of a tmpfs.
pub struct TmpfsInode {
    pub(super) this: Weak<TmpfsInode>,
    pub(super) shared: Arc<SuperBlock>,
    pub(super) ino: u64,
    kind: FileType,
    pub(super) body: Body,
    metadata: Mutex<Metadata>,
}

impl TmpfsInode {
    /// An inode without a name. ENOSPC at the inode limit.
    pub(super) fn new(shared: &Arc<SuperBlock>, new: NewInode<'_>) -> SysResult<Arc<TmpfsInode>> {
        let NewInode { node, seals, mappings } = new;
        shared.charge_inode_space(INODE_SPACE)?;
        let (kind, body) = match node.kind {
            NodeKind::Regular => {
                (FileType::Regular, Body::Regular(Content::new(shared, seals, mappings)))
            }
            NodeKind::Directory => (FileType::Directory, Body::Directory(Directory::default())),
            NodeKind::Symlink(target) => (FileType::Symlink, Body::Symlink(target.into())),
            NodeKind::Fifo => (FileType::Fifo, Body::Fifo(Fifo::new())),
            NodeKind::Socket => (FileType::Socket, Body::Socket(Mutex::new(None))),
            NodeKind::CharDevice(rdev) => (FileType::CharDevice, Body::Device(rdev)),
            NodeKind::BlockDevice(rdev) => (FileType::BlockDevice, Body::Device(rdev)),
        };
        let now = now();
        let metadata = Metadata {
            mode: node.mode & 0o7777,
            uid: node.uid,
            gid: node.gid,
            nlink: if kind == FileType::Directory { 2 } else { 0 },
            linkable: true,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            xattrs: Xattrs::default(),
        };
        Ok(Arc::new_cyclic(|this| TmpfsInode {
            this: this.clone(),
            shared: shared.clone(),
            ino: shared.new_ino(),
            kind,
            body,
            metadata: Mutex::new(metadata),
        }))
    }

    /// `inode` as one of this file system's.
    pub(super) fn same_fs(&self, inode: &InodeRef) -> SysResult<Arc<TmpfsInode>> {
        let other = inode.as_any().downcast_ref::<TmpfsInode>().ok_or(Errno::EXDEV)?;
        if !Arc::ptr_eq(&self.shared, &other.shared) {
            return Err(Errno::EXDEV);
        }
        other.this()
    }

    /// Fails only while the inode is being dropped, when nobody can call anything.
    pub(super) fn this(&self) -> SysResult<Arc<TmpfsInode>> {
        self.this.upgrade().ok_or(Errno::EIO)
    }

    pub(super) fn metadata(&self) -> parking_lot::MutexGuard<'_, Metadata> {
        self.metadata.lock()
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// `st_ino`.
    pub(crate) fn ino(&self) -> u64 {
        self.ino
    }

    /// The data of a regular file.
    pub(crate) fn content(&self) -> Option<&Arc<Content>> {
        match &self.body {
            Body::Regular(content) => Some(content),
            _ => None,
        }
    }

    /// Where the socket bound to this name is found, if it is a socket's name.
    pub fn socket_slot(&self) -> Option<&SocketSlot> {
        match &self.body {
            Body::Socket(slot) => Some(slot),
            _ => None,
        }
    }

    /// Replaces the times of a file that was just made, as a copy of another needs it.
    pub(crate) fn copy_times(&self, attr: &Attr) {
        let mut metadata = self.metadata();
        metadata.atime = attr.atime;
        metadata.mtime = attr.mtime;
    }

    /// An entry was added to or removed from a directory that keeps its entries elsewhere.
    pub(crate) fn touch(&self) {
        self.metadata().modified();
    }

    /// Only ctime changes: a link was added or removed.
    pub(crate) fn touch_ctime(&self) {
        self.metadata().changed();
    }
}

impl Inode for TmpfsInode {
    fn file_type(&self) -> FileType {
        self.kind
    }

    fn attr(&self) -> SysResult<Attr> {
        let (size, pages) = match &self.body {
            Body::Regular(content) => content.size_and_pages(),
            Body::Directory(dir) => ((dir.len() as u64 + 2) * DIRENT_SIZE, 0),
            Body::Symlink(target) => (target.len() as u64, 0),
            Body::Fifo(_) | Body::Socket(_) | Body::Device(_) => (0, 0),
        };
        let metadata = self.metadata();
        Ok(Attr {
            dev: self.shared.dev,
            ino: self.ino,
            mode: self.kind.mode_bits() | metadata.mode,
            nlink: metadata.nlink,
            uid: metadata.uid,
            gid: metadata.gid,
            rdev: if let Body::Device(rdev) = self.body { rdev } else { 0 },
            size,
            blocks: pages * (PAGE_SIZE / 512),
            blksize: PAGE_SIZE as u32,
            atime: metadata.atime,
            mtime: metadata.mtime,
            ctime: metadata.ctime,
            btime: Some(metadata.btime),
        })
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        if let Some(size) = change.size {
            match &self.body {
                Body::Regular(content) => content.truncate(size)?,
                Body::Directory(_) => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
        }
        let mut metadata = self.metadata();
        if let (Some(mode), Some(content)) = (change.mode, self.content())
            && content.seals() & seals::EXEC != 0
            && (mode ^ metadata.mode) & 0o111 != 0
        {
            return Err(Errno::EPERM);
        }
        if change.size.is_some() {
            metadata.written();
        }
        metadata.apply(change);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        Ok(self.directory()?.get(name).ok_or(Errno::ENOENT)?)
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> SysResult<InodeRef> {
        Ok(self.create_entry(name, node)?)
    }

    fn create_unnamed(&self, node: &NewNode<'_>) -> SysResult<InodeRef> {
        self.directory()?;
        Ok(TmpfsInode::new(&self.shared, NewInode::of(node))?)
    }

    fn link(&self, name: &[u8], target: &InodeRef) -> SysResult<()> {
        self.link_entry(name, &self.same_fs(target)?)
    }

    fn unlink(&self, name: &[u8]) -> SysResult<()> {
        self.unlink_entry(name)
    }

    fn rmdir(&self, name: &[u8]) -> SysResult<()> {
        self.rmdir_entry(name)
    }

    fn rename(
        &self,
        old_name: &[u8],
        new_dir: &InodeRef,
        new_name: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        self.rename_entry(old_name, &self.same_fs(new_dir)?, new_name, flags)
    }

    fn readlink(&self) -> SysResult<LinkTarget> {
        match &self.body {
            Body::Symlink(target) => Ok(LinkTarget::Path(target.to_vec())),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        match &self.body {
            Body::Regular(content) => Ok(Arc::new(RegularFile::new(self.this()?, content.clone()))),
            Body::Directory(_) => Ok(Arc::new(DirectoryFile::new(self.this()?))),
            Body::Fifo(fifo) => fifo.open(flags),
            Body::Device(rdev) => crate::dev::open_device(*rdev, self.kind, flags),
            Body::Symlink(_) => Err(Errno::ELOOP),
            Body::Socket(_) => Err(Errno::ENXIO),
        }
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.shared.statfs())
    }

    fn get_xattr(&self, name: &[u8]) -> SysResult<Vec<u8>> {
        self.metadata().xattrs.get(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> SysResult<()> {
        let mut metadata = self.metadata();
        metadata.xattrs.set(&self.shared, name, value, flags)?;
        metadata.changed();
        Ok(())
    }

    fn list_xattr(&self) -> SysResult<Vec<Vec<u8>>> {
        Ok(self.metadata().xattrs.names())
    }

    fn remove_xattr(&self, name: &[u8]) -> SysResult<()> {
        let mut metadata = self.metadata();
        metadata.xattrs.remove(&self.shared, name)?;
        metadata.changed();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for TmpfsInode {
    fn drop(&mut self) {
        let mut space = INODE_SPACE + self.metadata.get_mut().xattrs.total_cost();
        if self.kind != FileType::Directory {
            // Links beyond the first were charged for, and those that are left go with the tree.
            space += u64::from(self.metadata.get_mut().nlink.saturating_sub(1)) * INODE_SPACE;
        }
        self.shared.release_inode_space(space);
        // In a loop, not by recursion: a guest can make trees deeper than our stack.
        let Body::Directory(dir) = &mut self.body else { return };
        let mut pending = dir.take();
        while let Some(child) = pending.pop() {
            if let Some(mut child) = Arc::into_inner(child)
                && let Body::Directory(dir) = &mut child.body
            {
                pending.append(&mut dir.take());
            }
        }
    }
}
