//! Directory entries: names and their place in a tree.

use crate::inode::InodeRef;
use abi::SysResult;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// A name in a directory, and the inode behind it. A child holds its parent; a parent knows its
/// children weakly, so an entry lives exactly as long as somebody uses it or something below it.
pub struct Dentry {
    inode: InodeRef,
    place: RwLock<Place>,
    children: Mutex<Children>,
    unlinked: AtomicBool,
    /// link(2) may give the file another name.
    linkable: bool,
    /// How many mounts sit on this entry; lets the walk skip the mount table for all others.
    mounts: AtomicU32,
}

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Box<[u8]>,
}

#[derive(Default)]
struct Children {
    /// Counts changes, so that a lookup which raced with one does not keep what it found.
    generation: u64,
    map: HashMap<Box<[u8]>, Weak<Dentry>>,
}

impl Dentry {
    /// The root of a file system.
    pub fn new_root(inode: InodeRef) -> Arc<Dentry> {
        Dentry::linked(inode, None, b"/")
    }

    /// An entry outside of any directory: pipes, sockets, memfds. `name` is what /proc/PID/fd shows
    /// ("pipe:\[7\]").
    pub fn new_anonymous(name: &[u8], inode: InodeRef) -> Arc<Dentry> {
        Dentry::make(inode, None, name, true, true)
    }

    /// A nameless file made in a directory by O_TMPFILE: has a place for show, is not linked.
    pub(crate) fn new_unlinked(
        parent: &Arc<Dentry>,
        name: &[u8],
        inode: InodeRef,
        linkable: bool,
    ) -> Arc<Dentry> {
        Dentry::make(inode, Some(parent.clone()), name, true, linkable)
    }

    fn linked(inode: InodeRef, parent: Option<Arc<Dentry>>, name: &[u8]) -> Arc<Dentry> {
        Dentry::make(inode, parent, name, false, true)
    }

    fn make(
        inode: InodeRef,
        parent: Option<Arc<Dentry>>,
        name: &[u8],
        unlinked: bool,
        linkable: bool,
    ) -> Arc<Dentry> {
        Arc::new(Dentry {
            inode,
            place: RwLock::new(Place { parent, name: name.into() }),
            children: Mutex::default(),
            unlinked: AtomicBool::new(unlinked),
            linkable,
            mounts: AtomicU32::new(0),
        })
    }

    /// The inode.
    pub fn inode(&self) -> &InodeRef {
        &self.inode
    }

    /// The directory it is in; None for a root or an anonymous entry.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.read().parent.clone()
    }

    /// Its name in that directory.
    pub fn name(&self) -> Box<[u8]> {
        self.place.read().name.clone()
    }

    /// Has the name been removed?
    pub fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Relaxed)
    }

    /// May it be given another name?
    pub(crate) fn is_linkable(&self) -> bool {
        self.linkable
    }

    pub(crate) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::SeqCst);
    }

    /// May something be mounted here, in any mount of the file system?
    pub fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::SeqCst) != 0
    }

    /// Finds the entry `name` of this directory.
    pub fn lookup(self: &Arc<Dentry>, name: &[u8]) -> SysResult<Arc<Dentry>> {
        let cached = self.inode.caches_lookups();
        let generation = {
            let children = self.children.lock();
            if cached && let Some(child) = children.map.get(name).and_then(Weak::upgrade) {
                return Ok(child);
            }
            children.generation
        };
        let inode = self.inode.lookup(name)?;
        let mut children = self.children.lock();
        if let Some(child) = children.map.get(name).and_then(Weak::upgrade)
            && Arc::ptr_eq(&child.inode, &inode)
        {
            return Ok(child);
        }
        let child = Dentry::linked(inode, Some(self.clone()), name);
        if children.generation == generation {
            children.map.insert(name.into(), Arc::downgrade(&child));
        }
        Ok(child)
    }

    /// The entry `name` was just made with this inode.
    pub(crate) fn created(self: &Arc<Dentry>, name: &[u8], inode: InodeRef) -> Arc<Dentry> {
        let child = Dentry::linked(inode, Some(self.clone()), name);
        let mut children = self.children.lock();
        children.generation += 1;
        children.map.insert(name.into(), Arc::downgrade(&child));
        child
    }

    /// The name was just removed.
    pub(crate) fn removed(&self, name: &[u8]) {
        let gone = {
            let mut children = self.children.lock();
            children.generation += 1;
            children.map.remove(name).and_then(|weak| weak.upgrade())
        };
        if let Some(child) = gone {
            child.unlinked.store(true, Ordering::Relaxed);
        }
    }

    /// `name` was just moved to `new_name` in `to`; with `exchange` the two changed places.
    pub(crate) fn renamed(
        self: &Arc<Dentry>,
        name: &[u8],
        to: &Arc<Dentry>,
        new_name: &[u8],
        exchange: bool,
    ) {
        let take = |dir: &Arc<Dentry>, name: &[u8]| {
            let mut children = dir.children.lock();
            children.generation += 1;
            children.map.remove(name).and_then(|weak| weak.upgrade())
        };
        let put = |child: &Arc<Dentry>, dir: &Arc<Dentry>, name: &[u8]| {
            let old_parent = {
                let mut place = child.place.write();
                place.name = name.into();
                place.parent.replace(dir.clone())
            };
            dir.children.lock().map.insert(name.into(), Arc::downgrade(child));
            drop(old_parent);
        };
        let moved = take(self, name);
        let other = take(to, new_name);
        if let Some(child) = &moved {
            put(child, to, new_name);
        }
        match other {
            Some(child) if exchange => put(&child, self, name),
            Some(child) => child.unlinked.store(true, Ordering::Relaxed),
            None => {}
        }
    }

    /// Is `self` the same as `ancestor`, or below it?
    pub fn is_below(self: &Arc<Dentry>, ancestor: &Arc<Dentry>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, ancestor) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// Leaves the parent's table, and gives the parent back.
    fn detach(&mut self) -> Option<Arc<Dentry>> {
        let place = self.place.get_mut();
        let parent = place.parent.take()?;
        let mut children = parent.children.lock();
        // Another entry may have the name by now; a dead one is ours.
        if children.map.get(&place.name).is_some_and(|weak| weak.strong_count() == 0) {
            children.map.remove(&place.name);
        }
        drop(children);
        Some(parent)
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        // In a loop, not by recursion: a guest can make trees deeper than our stack.
        let mut parent = self.detach();
        while let Some(mut dentry) = parent.and_then(Arc::into_inner) {
            parent = dentry.detach();
        }
    }
}
