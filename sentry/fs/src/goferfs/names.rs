//! Finding, making, removing and moving names.

use super::convert::{attr_of, errno, type_of};
use super::directory::{Known, ListEntry, Listing};
use super::inode::{GoferInode, Place};
use super::open::CachedFile;
use abi::file::FileType;
use abi::{Errno, SysResult};
use gofer::protocol::{OpenFlags, Owner, RenameFlags, WalkedNode};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use vfs::inode::rename;
use vfs::{Attr, NewNode, NodeKind};

impl GoferInode {
    fn check_directory(&self) -> SysResult<()> {
        if vfs::Inode::file_type(self) == FileType::Directory {
            Ok(())
        } else {
            Err(Errno::ENOTDIR)
        }
    }

    /// Looks `name` up.
    pub(super) fn find(&self, name: &[u8]) -> SysResult<Arc<GoferInode>> {
        self.check_directory()?;
        if !self.shared.exclusive {
            return self.walk_to(name);
        }
        loop {
            let generation = self.directory.generation();
            match self.directory.ask(name) {
                Known::Inode(inode) => {
                    inode.used.store(true, Ordering::Relaxed);
                    return Ok(inode);
                }
                Known::Missing => return Err(Errno::ENOENT),
                Known::Unknown => return self.walk_to(name),
                Known::WorthListing => {
                    if !self.fetch_listing()?.1 {
                        return self.walk_to(name);
                    }
                }
                Known::Listed(entry) => {
                    // The other names of a hard link change its attributes behind the listing.
                    let may_differ = |attr: &Attr| {
                        !self.shared.read_only
                            && attr.nlink > 1
                            && attr.file_type() != FileType::Directory
                    };
                    return match entry.attr.filter(|attr| !may_differ(attr)) {
                        Some(attr) => {
                            let target = entry.target.clone();
                            let inode = self.inode_for(attr, name, target)?;
                            self.directory.learn(generation, name, Some(&inode));
                            Ok(inode)
                        }
                        None => self.walk_to(name),
                    };
                }
            }
        }
    }

    /// Asks the gofer for `name`.
    fn walk_to(&self, name: &[u8]) -> SysResult<Arc<GoferInode>> {
        let generation = self.directory.generation();
        let mut walked = self.shared.client.walk(self.node()?, &[name], None).map_err(errno)?;
        match (walked.nodes.pop(), walked.stop) {
            (Some(found), _) => {
                let inode = self.inode_for_node(&found, name, walked.target)?;
                self.directory.learn(generation, name, Some(&inode));
                Ok(inode)
            }
            (None, gofer::protocol::WalkStop::Failed(failure)) => Err(errno(failure)),
            (None, _) => {
                if self.shared.exclusive {
                    self.directory.learn(generation, name, None);
                }
                Err(Errno::ENOENT)
            }
        }
    }

    /// The inode of a file that an answer was about; takes over the reference.
    fn inode_for_node(
        &self,
        found: &WalkedNode,
        name: &[u8],
        target: Option<Vec<u8>>,
    ) -> SysResult<Arc<GoferInode>> {
        let attr = attr_of(&found.attr);
        let inode = match self.inode_for(attr, name, target) {
            Ok(inode) => inode,
            Err(errno) => {
                self.shared.client.forget(found.node, 1);
                return Err(errno);
            }
        };
        inode.adopt(found)?;
        if !self.shared.exclusive {
            inode.learn_attr(attr);
        }
        Ok(inode)
    }

    /// The inode with these attributes, which is `name` here; a new one where there is none.
    fn inode_for(
        &self,
        attr: Attr,
        name: &[u8],
        target: Option<Vec<u8>>,
    ) -> SysResult<Arc<GoferInode>> {
        let this = self.this()?;
        let key = (attr.dev, attr.ino);
        let place = || Place::Name(this.clone(), name.into());
        let mut table = self.shared.table.lock();
        let existing = table.get(&key).and_then(Weak::upgrade);
        // The host gives numbers of deleted files to new ones; somebody may hold the deleted.
        let is_same = |known: &Arc<GoferInode>| {
            known
                .last_attr()
                .is_none_or(|last| last.file_type() == attr.file_type() && last.btime == attr.btime)
        };
        if let Some(inode) = &existing
            && is_same(inode)
        {
            let inode = inode.clone();
            drop(table);
            inode.used.store(true, Ordering::Relaxed);
            if !self.shared.exclusive || inode.parent().is_none() {
                inode.found_again(place());
            } else {
                inode.also_named(&this, name);
            }
            return Ok(inode);
        }
        let inode = GoferInode::new(&self.shared, attr, place(), target);
        table.insert(key, Arc::downgrade(&inode));
        drop(table);
        drop(existing);
        // A listed file is made again from the listing when it is wanted; a directory has one.
        if attr.file_type() == FileType::Directory {
            inode.keep();
        }
        Ok(inode)
    }

    /// All entries, fetched now; false where they could not be kept.
    pub(super) fn fetch_listing(&self) -> SysResult<(Arc<Listing>, bool)> {
        self.check_directory()?;
        let generation = self.directory.generation();
        let entries = self.shared.client.read_dir_all(self.node()?).map_err(errno)?;
        let entry = |entry: gofer::protocol::DirEntry| {
            let attr = entry.attr.as_ref().map(attr_of);
            let kind = match (entry.file_type, &attr) {
                (gofer::protocol::FileType::Unknown, Some(attr)) => attr.file_type(),
                (kind, _) => type_of(kind),
            };
            let gofer::protocol::DirEntry { name, ino, target, .. } = entry;
            Arc::new(ListEntry { name: name.into(), ino, kind, attr, target })
        };
        let listing = Listing::new(entries.into_iter().map(entry).collect());
        if !self.shared.exclusive {
            return Ok((Arc::new(listing), false));
        }
        let weight = listing.len() + 1;
        let changing = !self.shared.read_only;
        let (listing, kept) = self.directory.learn_listing(generation, listing, changing);
        if kept {
            let limit = self.shared.limits.entries;
            let gone = self.shared.listings.lock().add(
                (self.this.clone(), weight),
                weight,
                limit,
                |(dir, _)| dir.upgrade().is_some_and(|dir| dir.used.load(Ordering::Relaxed)),
            );
            for (dir, _) in gone {
                if let Some(dir) = dir.upgrade() {
                    dir.directory.forget_listing();
                }
            }
        }
        Ok((listing, kept))
    }

    pub(super) fn create_entry(
        &self,
        name: &[u8],
        new: &NewNode<'_>,
    ) -> SysResult<Arc<GoferInode>> {
        self.check_directory()?;
        self.check_writable()?;
        let client = &self.shared.client;
        let parent = self.node()?;
        let owner = Owner { uid: Some(new.uid), gid: Some(new.gid) };
        let mode = new.mode & 0o7777;
        let mut file = None;
        let found = match new.kind {
            NodeKind::Regular => {
                let flags = OpenFlags::READ | OpenFlags::WRITE;
                let made = client.create(parent, name, mode, owner, flags).map_err(errno)?;
                file = Some(made.file);
                made.node
            }
            NodeKind::Directory => client.mkdir(parent, name, mode, owner).map_err(errno)?,
            NodeKind::Symlink(target) => {
                client.symlink(parent, name, target, owner).map_err(errno)?
            }
            NodeKind::Fifo => {
                let mode = FileType::Fifo.mode_bits() | mode;
                client.mknod(parent, name, mode, owner).map_err(errno)?
            }
            NodeKind::Socket | NodeKind::CharDevice(_) | NodeKind::BlockDevice(_) => {
                return Err(Errno::EPERM);
            }
        };
        let target =
            if let NodeKind::Symlink(target) = new.kind { Some(target.to_vec()) } else { None };
        let inode = self.inode_for_node(&found, name, target)?;
        if let Some(file) = file {
            // For the open that follows.
            inode.keep_file(CachedFile { fd: Arc::new(file), writable: true });
        }
        self.entry_added(name, &inode);
        Ok(inode)
    }

    fn entry_added(&self, name: &[u8], inode: &Arc<GoferInode>) {
        self.directory.added(name, inode, vfs::Inode::file_type(&**inode));
        self.forget_attr();
    }

    pub(super) fn link_entry(&self, name: &[u8], target: &Arc<GoferInode>) -> SysResult<()> {
        self.check_directory()?;
        self.check_writable()?;
        let found = self.shared.client.link(target.node()?, self.node()?, name).map_err(errno)?;
        let attr = attr_of(&found.attr);
        target.adopt(&found)?;
        target.learn_attr(attr);
        target.also_named(&self.this()?, name);
        self.entry_added(name, target);
        Ok(())
    }

    pub(super) fn remove_entry(&self, name: &[u8], directory: bool) -> SysResult<()> {
        self.check_directory()?;
        self.check_writable()?;
        let parent = self.node()?;
        let client = &self.shared.client;
        if directory {
            client.rmdir(parent, name).map_err(errno)?;
        } else {
            client.unlink(parent, name).map_err(errno)?;
        }
        self.entry_removed(name);
        Ok(())
    }

    fn entry_removed(&self, name: &[u8]) {
        if let Some(child) = self.directory.removed(name) {
            child.lost_name(self, name);
            if vfs::Inode::file_type(&*child) == FileType::Directory {
                child.update_attr(|attr| attr.nlink = 0);
            }
        }
        self.forget_attr();
    }

    pub(super) fn rename_entry(
        &self,
        old_name: &[u8],
        new_dir: &Arc<GoferInode>,
        new_name: &[u8],
        flags: u32,
    ) -> SysResult<()> {
        self.check_directory()?;
        self.check_writable()?;
        let gofer_flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
        let (old, new) = ((self.node()?, old_name), (new_dir.node()?, new_name));
        self.shared.client.rename(old, new, gofer_flags).map_err(errno)?;
        let moved = self.directory.removed(old_name);
        let other = new_dir.directory.removed(new_name);
        let put = |inode: &Arc<GoferInode>, dir: &Arc<GoferInode>, name: &[u8]| {
            inode.set_place(Place::Name(dir.clone(), name.into()));
            inode.forget_attr();
            dir.entry_added(name, inode);
        };
        match (&other, flags & rename::EXCHANGE != 0) {
            (Some(other), true) => put(other, &self.this()?, old_name),
            (Some(other), false) => {
                other.lost_name(new_dir, new_name);
                if vfs::Inode::file_type(&**other) == FileType::Directory {
                    other.update_attr(|attr| attr.nlink = 0);
                }
            }
            // Nobody holds it, but it is listed.
            (None, true) => self.directory.forget_listing(),
            (None, false) => {}
        }
        match &moved {
            Some(moved) => put(moved, new_dir, new_name),
            None => new_dir.directory.forget_listing(),
        }
        self.forget_attr();
        new_dir.forget_attr();
        Ok(())
    }

    /// Reached by another name.
    fn found_again(&self, place: Place) {
        if !self.is_root() {
            self.set_place(place);
        }
    }
}
