//! What is known of a directory's entries.

use super::inode::GoferInode;
use abi::file::FileType;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use vfs::Attr;

/// A listing longer than this is dropped rather than changed, or a directory that grows by many
/// files would be moved about in memory for each.
const LARGEST_CHANGED: usize = 4096;
/// Names that are known not to exist, per directory.
const MAX_MISSING: usize = 1024;
/// After so many lookups that had to be asked, the whole directory is.
const LOOKUPS_BEFORE_LISTING: u32 = 4;

/// An entry, as the host listed it.
#[derive(Clone)]
pub(super) struct ListEntry {
    pub name: Box<[u8]>,
    pub ino: u64,
    pub kind: FileType,
    /// None where the host refused them, or where they have changed since.
    pub attr: Option<Attr>,
    pub target: Option<Vec<u8>>,
}

/// A whole directory. Open directories keep the one they started with, so their positions stay
/// good.
#[derive(Clone, Default)]
pub(super) struct Listing {
    /// Sorted by name.
    entries: Vec<Arc<ListEntry>>,
    /// Indices of `entries` in the order of the host's listing, which programs that archive or
    /// copy trees show in their results. What was added since comes last.
    order: Vec<u32>,
}

impl Listing {
    /// `entries` as the host listed them.
    pub fn new(entries: Vec<Arc<ListEntry>>) -> Listing {
        let mut placed: Vec<(usize, Arc<ListEntry>)> = entries.into_iter().enumerate().collect();
        placed.sort_unstable_by(|a, b| a.1.name.cmp(&b.1.name));
        let mut order = vec![0; placed.len()];
        for (index, (place, _)) in placed.iter().enumerate() {
            order[*place] = index as u32;
        }
        Listing { entries: placed.into_iter().map(|(_, entry)| entry).collect(), order }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries from place `first` on, in the host's order.
    pub fn places_from(&self, first: usize) -> impl Iterator<Item = &Arc<ListEntry>> {
        let rest = self.order.get(first..).unwrap_or_default();
        rest.iter().filter_map(|index| self.entries.get(*index as usize))
    }

    fn put(&mut self, at: Result<usize, usize>, entry: Arc<ListEntry>) {
        match at {
            Ok(at) => self.entries[at] = entry,
            Err(at) => {
                self.order.iter_mut().filter(|index| **index as usize >= at).for_each(|i| *i += 1);
                self.order.push(at as u32);
                self.entries.insert(at, entry);
            }
        }
    }

    fn take(&mut self, at: usize) {
        self.entries.remove(at);
        self.order.retain(|index| *index as usize != at);
        self.order.iter_mut().filter(|index| **index as usize > at).for_each(|i| *i -= 1);
    }

    fn find(&self, name: &[u8]) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.name).cmp(name))
    }

    fn get(&self, name: &[u8]) -> Option<&Arc<ListEntry>> {
        self.find(name).ok().and_then(|at| self.entries.get(at))
    }
}

/// What the cache says of a name.
pub(super) enum Known {
    /// Somebody holds it.
    Inode(Arc<GoferInode>),
    /// It was listed.
    Listed(Arc<ListEntry>),
    /// It does not exist.
    Missing,
    /// Ask for the name.
    Unknown,
    /// Ask for the whole directory.
    WorthListing,
}

#[derive(Default)]
pub(super) struct Directory {
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    /// Counts changes, so that an answer which raced with one is not kept.
    generation: u64,
    listing: Option<Arc<Listing>>,
    children: HashMap<Box<[u8]>, Weak<GoferInode>>,
    /// When `children` should be rid of the dead.
    purge_at: usize,
    missing: HashSet<Box<[u8]>>,
    asked: u32,
}

impl Directory {
    pub fn generation(&self) -> u64 {
        self.cache.lock().generation
    }

    /// What is known of `name`; counts the question if that is nothing.
    pub fn ask(&self, name: &[u8]) -> Known {
        let mut cache = self.cache.lock();
        if let Some(inode) = cache.children.get(name).and_then(Weak::upgrade) {
            return Known::Inode(inode);
        }
        if let Some(listing) = &cache.listing {
            return match listing.get(name) {
                Some(entry) => Known::Listed(entry.clone()),
                None => Known::Missing,
            };
        }
        if cache.missing.contains(name) {
            return Known::Missing;
        }
        cache.asked += 1;
        if cache.asked > LOOKUPS_BEFORE_LISTING { Known::WorthListing } else { Known::Unknown }
    }

    /// A lookup's answer; not kept if the directory has changed since `generation`.
    pub fn learn(&self, generation: u64, name: &[u8], inode: Option<&Arc<GoferInode>>) {
        let mut cache = self.cache.lock();
        if cache.generation != generation {
            return;
        }
        match inode {
            Some(inode) => cache.add_child(name, inode),
            None => {
                if cache.missing.len() >= MAX_MISSING {
                    cache.missing.clear();
                }
                cache.missing.insert(name.into());
            }
        }
    }

    /// The inode is being dropped.
    pub fn forget_child(&self, name: &[u8], inode: &Weak<GoferInode>) {
        let mut cache = self.cache.lock();
        if cache.children.get(name).is_some_and(|child| Weak::ptr_eq(child, inode)) {
            cache.children.remove(name);
        }
    }

    pub fn listing(&self) -> Option<Arc<Listing>> {
        self.cache.lock().listing.clone()
    }

    /// A fetched listing; false if it came too late to be kept. With `changing`, attributes of
    /// files that somebody holds are not kept in it: those may change.
    pub fn learn_listing(
        &self,
        generation: u64,
        mut listing: Listing,
        changing: bool,
    ) -> (Arc<Listing>, bool) {
        let mut cache = self.cache.lock();
        if changing {
            for entry in &mut listing.entries {
                if cache.children.get(&entry.name).is_some_and(|c| c.strong_count() > 0) {
                    Arc::make_mut(entry).attr = None;
                }
            }
        }
        let listing = Arc::new(listing);
        let kept = cache.generation == generation;
        if kept {
            cache.listing = Some(listing.clone());
            cache.missing.clear();
        }
        (listing, kept)
    }

    pub fn forget_listing(&self) {
        let mut cache = self.cache.lock();
        let listing = cache.listing.take();
        cache.asked = 0;
        drop(cache);
        drop(listing);
    }

    /// The file's attributes are not what was listed any more.
    pub fn forget_attr_of(&self, name: &[u8]) {
        let mut cache = self.cache.lock();
        if let Some(listing) = &mut cache.listing
            && let Ok(at) = listing.find(name)
            && let Some(entry) = listing.entries.get(at)
            && entry.attr.is_some()
        {
            let entry = Arc::new(ListEntry { attr: None, ..ListEntry::clone(entry) });
            Arc::make_mut(listing).put(Ok(at), entry);
        }
    }

    /// `name` now leads to `inode`.
    pub fn added(&self, name: &[u8], inode: &Arc<GoferInode>, kind: FileType) {
        let mut cache = self.cache.lock();
        cache.generation += 1;
        cache.missing.remove(name);
        cache.add_child(name, inode);
        let ino = inode.key.1;
        let entry = ListEntry { name: name.into(), ino, kind, attr: None, target: None };
        cache.change_listing(|listing, found| listing.put(found, Arc::new(entry)), name);
    }

    /// `name` now leads nowhere. Gives what it led to, if somebody holds that.
    pub fn removed(&self, name: &[u8]) -> Option<Arc<GoferInode>> {
        let mut cache = self.cache.lock();
        cache.generation += 1;
        let child = cache.children.remove(name);
        cache.change_listing(
            |listing, found| {
                if let Ok(at) = found {
                    listing.take(at);
                }
            },
            name,
        );
        child.and_then(|child| child.upgrade())
    }
}

impl Cache {
    fn add_child(&mut self, name: &[u8], inode: &Arc<GoferInode>) {
        if self.children.len() >= self.purge_at.max(64) {
            // A dead reference keeps its memory.
            self.children.retain(|_, child| child.strong_count() > 0);
            self.purge_at = self.children.len() * 2;
        }
        self.children.insert(name.into(), Arc::downgrade(inode));
    }

    fn change_listing(
        &mut self,
        change: impl FnOnce(&mut Listing, Result<usize, usize>),
        name: &[u8],
    ) {
        let Some(listing) = &mut self.listing else { return };
        if listing.entries.len() > LARGEST_CHANGED {
            self.listing = None;
            self.asked = 0;
            return;
        }
        let found = listing.find(name);
        // Copied if an open directory holds it.
        change(Arc::make_mut(listing), found);
    }
}
