//! A file of the overlay.

use super::changes::{Change, Directory};
use super::open::{LowerFile, OverlayDirectory};
use super::table::{Shared, UPPER_INO};
use crate::tmpfs::{NewInode, TmpfsInode};
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, SysResult};
use mm::MappingSet;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::{Arc, OnceLock, Weak};
use vfs::{Attr, FileOps, Inode, InodeRef, LinkTarget, NewNode, SetAttr};

/// How many names lead to a file.
#[derive(Default)]
struct Links {
    /// None: as many as the lower inode says.
    count: Option<u32>,
    /// Names counted against the upper layer's inode limit.
    charged: u32,
    /// A file without a name may get one: made by O_TMPFILE, and not unlinked since.
    linkable: bool,
}

/// A file of an overlay: a lower inode, an upper one, or both.
pub struct OverlayInode {
    this: Weak<OverlayInode>,
    shared: Arc<Shared>,
    kind: FileType,
    dev: u64,
    ino: u64,
    lower: Option<InodeRef>,
    /// Set once, when it is made above or copied up.
    upper: OnceLock<Arc<TmpfsInode>>,
    links: Mutex<Links>,
    directory: Option<Directory>,
    /// Of both layers' data: a mapping outlives a copy-up.
    mappings: Arc<MappingSet>,
}

impl OverlayInode {
    /// Over a lower inode.
    pub(super) fn over(
        shared: &Arc<Shared>,
        lower: &InodeRef,
        attr: &Attr,
        parent: Option<&Arc<OverlayInode>>,
    ) -> Arc<OverlayInode> {
        let kind = attr.file_type();
        Arc::new_cyclic(|this| OverlayInode {
            this: this.clone(),
            shared: shared.clone(),
            kind,
            dev: shared.dev_of(attr),
            ino: attr.ino,
            lower: Some(lower.clone()),
            upper: OnceLock::new(),
            links: Mutex::default(),
            directory: (kind == FileType::Directory).then(|| Directory::new(parent)),
            mappings: Arc::default(),
        })
    }

    /// A new file above.
    pub(super) fn make(
        shared: &Arc<Shared>,
        node: &NewNode<'_>,
        parent: Option<&Arc<OverlayInode>>,
    ) -> SysResult<Arc<OverlayInode>> {
        let mappings = Arc::<MappingSet>::default();
        let new = NewInode { mappings: Some(mappings.clone()), ..NewInode::of(node) };
        let upper = shared.upper.new_node(new)?;
        let kind = upper.file_type();
        let count = Some(u32::from(parent.is_some()));
        Ok(Arc::new_cyclic(|this| OverlayInode {
            this: this.clone(),
            shared: shared.clone(),
            kind,
            dev: shared.dev,
            ino: upper.ino() | UPPER_INO,
            lower: None,
            upper: OnceLock::from(upper),
            links: Mutex::new(Links { count, charged: 0, linkable: true }),
            directory: (kind == FileType::Directory).then(|| Directory::new(parent)),
            mappings,
        }))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn lower(&self) -> Option<&InodeRef> {
        self.lower.as_ref()
    }

    /// The upper inode, if there is one.
    pub(super) fn upper(&self) -> Option<&Arc<TmpfsInode>> {
        self.upper.get()
    }

    /// False where somebody else was quicker.
    pub(super) fn set_upper(&self, upper: Arc<TmpfsInode>) -> bool {
        self.upper.set(upper).is_ok()
    }

    pub(super) fn mappings(&self) -> &Arc<MappingSet> {
        &self.mappings
    }

    pub(super) fn ino(&self) -> u64 {
        self.ino
    }

    /// Fails only while the inode is being dropped, when nobody can call anything.
    pub(super) fn this(&self) -> SysResult<Arc<OverlayInode>> {
        self.this.upgrade().ok_or(Errno::EIO)
    }

    /// `inode` as one of this overlay's.
    pub(super) fn same_fs(&self, inode: &InodeRef) -> SysResult<Arc<OverlayInode>> {
        let other = inode.as_any().downcast_ref::<OverlayInode>().ok_or(Errno::EXDEV)?;
        if !Arc::ptr_eq(&self.shared, &other.shared) {
            return Err(Errno::EXDEV);
        }
        other.this()
    }

    /// ENOTDIR.
    pub(super) fn directory(&self) -> SysResult<&Directory> {
        self.directory.as_ref().ok_or(Errno::ENOTDIR)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.directory.is_some()
    }

    /// Whichever layer counts.
    fn current(&self) -> SysResult<&dyn Inode> {
        match (self.upper(), &self.lower) {
            (Some(upper), _) => Ok(&**upper),
            (None, Some(lower)) => Ok(&**lower),
            (None, None) => Err(Errno::EIO),
        }
    }

    /// Held by the table until no name leads to it: it differs from its lower inode.
    pub(super) fn pin(&self) -> SysResult<()> {
        if let Some(lower) = &self.lower {
            self.shared.pin(lower, &self.this()?);
        }
        Ok(())
    }

    /// No name leads to it any more.
    pub(super) fn unpin(&self) {
        if let Some(lower) = &self.lower {
            self.shared.unpin(lower);
        }
    }

    fn link_count(&self, links: &Links) -> SysResult<u32> {
        match (links.count, &self.lower) {
            (Some(count), _) => Ok(count),
            (None, Some(lower)) => Ok(lower.attr()?.nlink),
            (None, None) => Ok(0),
        }
    }

    /// One more name. ENOENT for a file whose last one is gone.
    pub(super) fn gained_link(&self) -> SysResult<()> {
        self.pin()?;
        let mut links = self.links.lock();
        let count = self.link_count(&links)?;
        if count == 0 && !links.linkable {
            return Err(Errno::ENOENT);
        }
        if count > 0 {
            self.shared.upper.charge_link()?;
            links.charged += 1;
        }
        links.count = Some(count.checked_add(1).ok_or(Errno::EMLINK)?);
        drop(links);
        self.touch_ctime();
        Ok(())
    }

    /// One name fewer, of a file that is no directory.
    pub(super) fn lost_link(&self) -> SysResult<()> {
        let left = {
            let mut links = self.links.lock();
            let left = self.link_count(&links)?.saturating_sub(1);
            links.count = Some(left);
            links.linkable = false;
            if links.charged > 0 {
                links.charged -= 1;
                self.shared.upper.release_links(1);
            }
            left
        };
        self.touch_ctime();
        if left == 0 {
            self.unpin();
            return Ok(());
        }
        // The other names have to know.
        self.pin()
    }

    pub(super) fn touch_ctime(&self) {
        if let Some(upper) = self.upper() {
            upper.touch_ctime();
        }
    }

    /// The directory's entries changed; it has been copied up.
    pub(super) fn touch(&self) {
        if let Some(upper) = self.upper() {
            upper.touch();
        }
    }

    /// Looks `name` up.
    pub(super) fn find(&self, name: &[u8]) -> SysResult<Arc<OverlayInode>> {
        match self.directory()?.changes.lock().get(name) {
            Change::Added(inode) => return Ok(inode),
            Change::Hidden => return Err(Errno::ENOENT),
            Change::None => {}
        }
        let lower = self.lower.as_ref().ok_or(Errno::ENOENT)?;
        self.shared.inode_for_lower(&lower.lookup(name)?, Some(&self.this()?))
    }

    fn dir_attr(&self, attr: &mut Attr, dir: &Directory) {
        let changes = dir.changes.lock();
        match &self.lower {
            _ if changes.dead => attr.nlink = 0,
            // As the kernel has it: nobody counted.
            Some(_) => attr.nlink = 1,
            None => attr.nlink = 2 + changes.subdirectories(),
        }
        // Tmpfs's size of an entry.
        attr.size += 20 * changes.added_len() as u64;
    }
}

impl Inode for OverlayInode {
    fn file_type(&self) -> FileType {
        self.kind
    }

    fn attr(&self) -> SysResult<Attr> {
        let mut attr = self.current()?.attr()?;
        attr.dev = self.dev;
        attr.ino = self.ino;
        match &self.directory {
            Some(dir) if self.upper().is_some() => self.dir_attr(&mut attr, dir),
            Some(_) => {}
            None => {
                if let Some(count) = self.links.lock().count {
                    attr.nlink = count;
                } else if let (Some(lower), true) = (&self.lower, self.upper().is_some()) {
                    attr.nlink = lower.attr()?.nlink;
                }
            }
        }
        Ok(attr)
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        match (change.size, self.kind) {
            (None, _) | (Some(_), FileType::Regular) => {}
            (Some(_), FileType::Directory) => return Err(Errno::EISDIR),
            (Some(_), _) => return Err(Errno::EINVAL),
        }
        self.copy_up(change.size)?.set_attr(change)
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        Ok(self.find(name)?)
    }

    fn create(&self, name: &[u8], node: &NewNode<'_>) -> SysResult<InodeRef> {
        Ok(self.create_entry(name, node)?)
    }

    fn create_unnamed(&self, node: &NewNode<'_>) -> SysResult<InodeRef> {
        self.directory()?;
        Ok(OverlayInode::make(&self.shared, node, None)?)
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
        self.current()?.readlink()
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        match self.kind {
            FileType::Directory => Ok(Arc::new(OverlayDirectory::new(self.this()?))),
            FileType::Regular => {
                if flags.writable() {
                    // O_TRUNC follows: nothing has to be copied for that.
                    let size = flags.contains(OpenFlags::TRUNC).then_some(0);
                    return self.copy_up(size)?.open(flags);
                }
                match (self.upper(), &self.lower) {
                    (None, Some(lower)) => {
                        Ok(Arc::new(LowerFile::new(self.this()?, lower.open(flags)?)))
                    }
                    _ => self.current()?.open(flags),
                }
            }
            // The meeting point is in the sandbox: the host's FIFO is only a name.
            FileType::Fifo => self.copy_up(None)?.open(flags),
            FileType::CharDevice | FileType::BlockDevice => {
                crate::dev::open_device(self.current()?.attr()?.rdev, self.kind, flags)
            }
            FileType::Symlink => Err(Errno::ELOOP),
            FileType::Socket => Err(Errno::ENXIO),
        }
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.shared.statfs())
    }

    fn get_xattr(&self, name: &[u8]) -> SysResult<Vec<u8>> {
        self.current()?.get_xattr(name)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> SysResult<()> {
        self.copy_up(None)?.set_xattr(name, value, flags)
    }

    fn list_xattr(&self) -> SysResult<Vec<Vec<u8>>> {
        self.current()?.list_xattr()
    }

    fn remove_xattr(&self, name: &[u8]) -> SysResult<()> {
        if self.upper().is_none() {
            self.current()?.get_xattr(name)?;
        }
        self.copy_up(None)?.remove_xattr(name)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for OverlayInode {
    fn drop(&mut self) {
        if let Some(lower) = &self.lower {
            self.shared.remove(lower, &self.this);
        }
        self.shared.upper.release_links(self.links.get_mut().charged);
        // In a loop, not by recursion: a guest can make trees deeper than our stack.
        let Some(dir) = &mut self.directory else { return };
        let mut pending = dir.changes.get_mut().take_added();
        while let Some(child) = pending.pop() {
            if let Some(mut child) = Arc::into_inner(child)
                && let Some(dir) = &mut child.directory
            {
                pending.append(&mut dir.changes.get_mut().take_added());
            }
        }
    }
}
