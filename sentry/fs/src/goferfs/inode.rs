//! A host file.

use super::convert::{attr_of, errno, host_errno, set_attr, statfs_of};
use super::directory::Directory;
use super::open::{self, CachedFile, Mapping};
use super::{Key, Shared};
use crate::tmpfs::now;
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, PAGE_SIZE, SysResult};
use gofer::protocol::{NodeId, WalkedNode, XattrFlags};
use parking_lot::Mutex;
use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use vfs::{Attr, FileOps, Inode, InodeRef, LinkTarget, NewNode, SetAttr};

/// A name in a directory.
type Name = (Arc<GoferInode>, Box<[u8]>);

/// How an inode can be reached.
pub(super) enum Place {
    /// The root, by its node.
    Root(NodeId),
    /// By a name in a directory.
    Name(Arc<GoferInode>, Box<[u8]>),
    /// Not any more: its last known name was removed.
    Gone,
}

/// How many further names of a file are remembered.
const MAX_OTHER_NAMES: usize = 16;

/// A file beneath a root of the gofer.
pub struct GoferInode {
    pub(super) this: Weak<GoferInode>,
    pub(super) shared: Arc<Shared>,
    pub(super) key: Key,
    kind: FileType,
    place: Mutex<Place>,
    /// Other names of a file with hard links, for when the one in `place` is removed.
    other_names: Mutex<Vec<Name>>,
    /// The gofer's node, with one reference; asked for when it is first needed.
    node: Mutex<Option<NodeId>>,
    /// None: has to be asked for again.
    attr: Mutex<Option<Attr>>,
    /// The attributes are not what the directory's listing says.
    changed: AtomicBool,
    target: OnceLock<Vec<u8>>,
    /// Names of the extended attributes, of an exclusive tree.
    xattr_names: Mutex<Option<Arc<Vec<Vec<u8>>>>>,
    pub(super) directory: Directory,
    /// In the queue of recent inodes.
    kept: AtomicBool,
    /// For the bounded caches.
    pub(super) used: AtomicBool,
    pub(super) file_used: AtomicBool,
    /// A host file kept open for the next to open this.
    pub(super) file: Mutex<Option<CachedFile>>,
    /// The last one opened for writing, if it still is.
    pub(super) written: Mutex<Weak<OwnedFd>>,
    pub(super) mapping: Mutex<Weak<Mapping>>,
    /// Held while data or size change. Guards nothing by itself.
    pub(super) io: Mutex<()>,
}

impl GoferInode {
    pub(super) fn new(
        shared: &Arc<Shared>,
        attr: Attr,
        place: Place,
        target: Option<Vec<u8>>,
    ) -> Arc<GoferInode> {
        let node = if let Place::Root(node) = place { Some(node) } else { None };
        Arc::new_cyclic(|this| GoferInode {
            this: this.clone(),
            shared: shared.clone(),
            key: (attr.dev, attr.ino),
            kind: attr.file_type(),
            place: Mutex::new(place),
            other_names: Mutex::default(),
            node: Mutex::new(node),
            attr: Mutex::new(Some(attr)),
            changed: AtomicBool::new(false),
            target: target.map(OnceLock::from).unwrap_or_default(),
            xattr_names: Mutex::default(),
            directory: Directory::default(),
            kept: AtomicBool::new(false),
            used: AtomicBool::new(true),
            file_used: AtomicBool::new(false),
            file: Mutex::default(),
            written: Mutex::new(Weak::new()),
            mapping: Mutex::new(Weak::new()),
            io: Mutex::new(()),
        })
    }

    /// `inode` as one of the same root.
    pub(super) fn same_root(&self, inode: &InodeRef) -> SysResult<Arc<GoferInode>> {
        let other = inode.as_any().downcast_ref::<GoferInode>().ok_or(Errno::EXDEV)?;
        if !Arc::ptr_eq(&self.shared, &other.shared) {
            return Err(Errno::EXDEV);
        }
        other.this()
    }

    /// Fails only while the inode is being dropped, when nobody can call anything.
    pub(super) fn this(&self) -> SysResult<Arc<GoferInode>> {
        self.this.upgrade().ok_or(Errno::EIO)
    }

    pub(super) fn check_writable(&self) -> SysResult<()> {
        if self.shared.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// The directory and name by which it can be reached, but for the root. ESTALE where there is
    /// none any more.
    pub(super) fn place(&self) -> SysResult<(Arc<GoferInode>, Box<[u8]>)> {
        match &*self.place.lock() {
            Place::Name(parent, name) => Ok((parent.clone(), name.clone())),
            Place::Root(_) | Place::Gone => Err(Errno::ESTALE),
        }
    }

    pub(super) fn set_place(&self, place: Place) {
        let old = std::mem::replace(&mut *self.place.lock(), place);
        drop(old);
    }

    pub(super) fn parent(&self) -> Option<Arc<GoferInode>> {
        self.place().ok().map(|(parent, _)| parent)
    }

    /// The node, if it has been asked for.
    pub(super) fn known_node(&self) -> Option<NodeId> {
        *self.node.lock()
    }

    /// The gofer's node. A directory that was listed has one, so this asks for one at most.
    pub(super) fn node(&self) -> SysResult<NodeId> {
        if let Some(node) = self.known_node() {
            return Ok(node);
        }
        let (parent, name) = self.place()?;
        let parent = parent.known_node().ok_or(Errno::ESTALE)?;
        let mut walked = self.shared.client.walk(parent, &[&name], None).map_err(errno)?;
        let found = walked.nodes.pop().ok_or(Errno::ESTALE)?;
        self.adopt(&found)
    }

    /// Takes over the reference of an answer that should be about this file. ESTALE if it is not.
    pub(super) fn adopt(&self, found: &WalkedNode) -> SysResult<NodeId> {
        let attr = attr_of(&found.attr);
        if (attr.dev, attr.ino) != self.key || attr.file_type() != self.kind {
            self.shared.client.forget(found.node, 1);
            return Err(Errno::ESTALE);
        }
        let mut node = self.node.lock();
        match *node {
            Some(known) => {
                drop(node);
                self.shared.client.forget(found.node, 1);
                // A hard link has a node for each name. Any will do.
                Ok(known)
            }
            None => {
                *node = Some(found.node);
                drop(node);
                // To make this inode again would take a message.
                self.keep();
                Ok(found.node)
            }
        }
    }

    /// The attributes changed on the host in a way that is not known here.
    pub(super) fn forget_attr(&self) {
        *self.attr.lock() = None;
        self.differs_from_listing();
    }

    pub(super) fn learn_attr(&self, attr: Attr) {
        *self.attr.lock() = Some(attr);
        self.differs_from_listing();
    }

    /// Changes what is known, if anything is.
    pub(super) fn update_attr(&self, change: impl FnOnce(&mut Attr)) {
        if let Some(attr) = &mut *self.attr.lock() {
            change(attr);
        }
        self.differs_from_listing();
    }

    /// So that whoever looks this up when the inode is gone does not get old attributes.
    fn differs_from_listing(&self) {
        if !self.shared.read_only
            && !self.changed.swap(true, Ordering::Relaxed)
            && let Ok((parent, name)) = self.place()
        {
            parent.directory.forget_attr_of(&name);
        }
    }

    /// The host's blocks are not what a write would make them.
    pub(super) fn forget_blocks(&self) {
        if self.place().is_ok() {
            self.forget_attr();
        }
    }

    pub(super) fn is_root(&self) -> bool {
        matches!(&*self.place.lock(), Place::Root(_))
    }

    /// Attributes as last heard of, to know a file again.
    pub(super) fn last_attr(&self) -> Option<Attr> {
        *self.attr.lock()
    }

    fn fetch_attr(&self) -> SysResult<Attr> {
        // A file that has no name any more is known best by its fd.
        if let Some(attr) = open::attr_by_fd(self) {
            return Ok(attr);
        }
        let attr = attr_of(&self.shared.client.stat(self.node()?).map_err(errno)?);
        self.learn_attr(attr);
        Ok(attr)
    }

    /// The file has this name too.
    pub(super) fn also_named(&self, dir: &Arc<GoferInode>, name: &[u8]) {
        let is = |parent: &GoferInode, known: &[u8]| parent.key == dir.key && known == name;
        match &*self.place.lock() {
            Place::Name(parent, known) if is(parent, known) => return,
            Place::Name(..) => {}
            Place::Root(_) | Place::Gone => return,
        }
        let mut others = self.other_names.lock();
        if others.len() < MAX_OTHER_NAMES && !others.iter().any(|(dir, known)| is(dir, known)) {
            others.push((dir.clone(), name.into()));
        }
    }

    /// One name fewer; with `name` gone from `dir`.
    pub(super) fn lost_name(&self, dir: &GoferInode, name: &[u8]) {
        let is = |parent: &GoferInode, known: &[u8]| parent.key == dir.key && known == name;
        let lost = {
            let mut place = self.place.lock();
            let mut others = self.other_names.lock();
            others.retain(|(dir, known)| !is(dir, known));
            match &*place {
                Place::Name(parent, known) if is(parent, known) => {
                    let next =
                        others.pop().map_or(Place::Gone, |(dir, name)| Place::Name(dir, name));
                    Some(std::mem::replace(&mut *place, next))
                }
                _ => None,
            }
        };
        if lost.is_some() {
            // The node goes by the name that is gone; the next one by what is left.
            let node = self.node.lock().take();
            if let Some(node) = node {
                self.shared.client.forget(node, 1);
            }
        }
        drop(lost);
        self.update_attr(|attr| {
            attr.nlink = attr.nlink.saturating_sub(1);
            attr.ctime = now();
        });
    }

    fn truncate(&self, size: u64) -> SysResult<()> {
        let _io = self.io.lock();
        let written = self.written.lock().upgrade();
        match written {
            Some(fd) => rustix::fs::ftruncate(&fd, size).map_err(host_errno)?,
            None => {
                let change = SetAttr { size: Some(size), ..SetAttr::default() };
                let change = set_attr(&change)?;
                let attr = self.shared.client.set_attr(self.node()?, change).map_err(errno)?;
                self.learn_attr(attr_of(&attr));
            }
        }
        let mut shrunk = !self.shared.exclusive;
        self.update_attr(|attr| {
            shrunk |= size < attr.size;
            attr.size = size;
            attr.blocks = attr.blocks.min(size.div_ceil(512));
            attr.mtime = now();
            attr.ctime = attr.mtime;
        });
        let mapping = self.mapping.lock().upgrade();
        if let Some(mapping) = mapping {
            let end = size.checked_next_multiple_of(PAGE_SIZE).unwrap_or(!(PAGE_SIZE - 1));
            mm::Mappable::mappings(&*mapping).invalidate(end..!(PAGE_SIZE - 1));
        }
        Ok(())
    }

    fn xattr_names(&self) -> SysResult<Arc<Vec<Vec<u8>>>> {
        let known = self.xattr_names.lock().clone();
        if let Some(names) = known {
            return Ok(names);
        }
        let names = match self.shared.client.list_xattr(self.node()?).map_err(errno) {
            Err(Errno::EOPNOTSUPP) => Vec::new(),
            other => other?,
        };
        let names = Arc::new(names);
        if self.shared.exclusive {
            *self.xattr_names.lock() = Some(names.clone());
        }
        Ok(names)
    }

    /// The parent, taken out and told: for dropping chains of parents without recursion.
    fn take_parent(&mut self) -> Option<Arc<GoferInode>> {
        match std::mem::replace(self.place.get_mut(), Place::Gone) {
            Place::Name(parent, name) => {
                // A dead reference would keep this inode's memory.
                parent.directory.forget_child(&name, &self.this);
                Some(parent)
            }
            Place::Root(_) => {
                // A root's node is never given back.
                *self.node.get_mut() = None;
                None
            }
            Place::Gone => None,
        }
    }
}

impl Inode for GoferInode {
    fn file_type(&self) -> FileType {
        self.kind
    }

    fn attr(&self) -> SysResult<Attr> {
        if self.shared.exclusive
            && let Some(attr) = self.last_attr()
        {
            return Ok(attr);
        }
        self.fetch_attr()
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        self.check_writable()?;
        if let Some(size) = change.size {
            self.truncate(size)?;
        }
        let rest = SetAttr { size: None, ..*change };
        if rest == SetAttr::default() {
            return Ok(());
        }
        let answer = self
            .node()
            .and_then(|node| self.shared.client.set_attr(node, set_attr(&rest)?).map_err(errno));
        match answer {
            Ok(attr) => self.learn_attr(attr_of(&attr)),
            // Nobody but those who hold it open can see this file any more.
            Err(Errno::ESTALE) if self.last_attr().is_some_and(|attr| attr.nlink == 0) => {
                self.update_attr(|attr| {
                    attr.mode = rest.mode.map_or(attr.mode, |mode| attr.mode & !0o7777 | mode);
                    attr.uid = rest.uid.unwrap_or(attr.uid);
                    attr.gid = rest.gid.unwrap_or(attr.gid);
                    attr.ctime = now();
                });
            }
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        Ok(self.find(name)?)
    }

    fn caches_lookups(&self) -> bool {
        self.shared.exclusive
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> SysResult<InodeRef> {
        Ok(self.create_entry(name, node)?)
    }

    fn link(&self, name: &[u8], target: &InodeRef) -> SysResult<()> {
        self.link_entry(name, &self.same_root(target)?)
    }

    fn unlink(&self, name: &[u8]) -> SysResult<()> {
        self.remove_entry(name, false)
    }

    fn rmdir(&self, name: &[u8]) -> SysResult<()> {
        self.remove_entry(name, true)
    }

    fn rename(
        &self,
        old_name: &[u8],
        new_dir: &InodeRef,
        new_name: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        self.rename_entry(old_name, &self.same_root(new_dir)?, new_name, flags)
    }

    fn readlink(&self) -> SysResult<LinkTarget> {
        if self.kind != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = self.target.get() {
            return Ok(LinkTarget::Path(target.clone()));
        }
        let target = self.shared.client.read_link(self.node()?).map_err(errno)?;
        Ok(LinkTarget::Path(self.target.get_or_init(|| target).clone()))
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        match self.kind {
            FileType::Regular => open::open_regular(&self.this()?, flags),
            FileType::Directory => Ok(Arc::new(open::DirectoryFile::new(self.this()?))),
            FileType::Symlink => Err(Errno::ELOOP),
            FileType::Socket | FileType::Fifo => Err(Errno::ENXIO),
            FileType::CharDevice | FileType::BlockDevice => Err(Errno::EACCES),
        }
    }

    fn statfs(&self) -> SysResult<StatFs> {
        let node = self.node()?;
        Ok(statfs_of(&self.shared.client.stat_fs(node).map_err(errno)?))
    }

    fn get_xattr(&self, name: &[u8]) -> SysResult<Vec<u8>> {
        let is_served = name.starts_with(b"user.") || name == b"security.capability";
        if !is_served {
            return Err(Errno::EOPNOTSUPP);
        }
        // One message tells of all that are not there; most files have none.
        if self.shared.exclusive && !self.xattr_names()?.iter().any(|known| known == name) {
            return Err(Errno::ENODATA);
        }
        self.shared.client.get_xattr(self.node()?, name).map_err(errno)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> SysResult<()> {
        self.check_writable()?;
        let flags = XattrFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
        let node = self.node()?;
        let result = self.shared.client.set_xattr(node, name, value, flags).map_err(errno);
        *self.xattr_names.lock() = None;
        self.forget_attr();
        result
    }

    fn list_xattr(&self) -> SysResult<Vec<Vec<u8>>> {
        Ok(self.xattr_names()?.to_vec())
    }

    fn remove_xattr(&self, name: &[u8]) -> SysResult<()> {
        self.check_writable()?;
        let result = self.shared.client.remove_xattr(self.node()?, name).map_err(errno);
        *self.xattr_names.lock() = None;
        self.forget_attr();
        result
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for GoferInode {
    fn drop(&mut self) {
        {
            let mut table = self.shared.table.lock();
            // By now the file may have another inode.
            if table.get(&self.key).is_some_and(|known| Weak::ptr_eq(known, &self.this)) {
                table.remove(&self.key);
            }
        }
        let mut parent = self.take_parent();
        if let Some(node) = *self.node.get_mut() {
            self.shared.client.forget(node, 1);
        }
        // In a loop, not by recursion: trees can be deeper than our stack.
        while let Some(mut inode) = parent.and_then(Arc::into_inner) {
            parent = inode.take_parent();
        }
    }
}

impl GoferInode {
    /// Keeps this inode for a while, also when nobody uses it.
    pub(super) fn keep(&self) {
        let closed = self.shared.closed.load(Ordering::Relaxed);
        if closed || self.kept.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(this) = self.this.upgrade() else { return };
        let limit = self.shared.limits.inodes;
        let was_used = |inode: &Arc<GoferInode>| inode.used.swap(false, Ordering::Relaxed);
        let gone = self.shared.recent.lock().add(this, 1, limit, was_used);
        for inode in &gone {
            inode.kept.store(false, Ordering::Relaxed);
        }
        drop(gone);
    }
}
