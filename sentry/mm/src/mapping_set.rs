//! Which address spaces map a file.

use crate::MemoryManager;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Weak};

/// The address spaces that map one file: embedded in every [`crate::Mappable`].
///
/// An address space is listed once however often it maps the file, and taken off the list when an
/// invalidation finds that it no longer does.
#[derive(Default)]
pub struct MappingSet {
    managers: Mutex<HashMap<u64, Weak<MemoryManager>>>,
}

impl MappingSet {
    /// An empty set.
    pub fn new() -> MappingSet {
        MappingSet::default()
    }

    /// Nobody maps the file?
    pub fn is_empty(&self) -> bool {
        self.managers.lock().is_empty()
    }

    /// Unmaps the file's pages in this range of offsets everywhere, private copies included, as
    /// truncation does. Partial pages at the ends stay. The next access asks
    /// [`crate::Mappable::translate`] again. Call without the file system's own locks.
    pub fn invalidate(&self, range: Range<u64>) {
        self.each(range, true);
    }

    /// The same, but private copies stay: for hole punching, and for pages that moved.
    pub fn invalidate_shared(&self, range: Range<u64>) {
        self.each(range, false);
    }

    /// How many areas of all address spaces map the file: what Linux counts as attachments of a
    /// shared memory segment. Call without the file system's own locks.
    pub fn areas(&self) -> usize {
        let managers: Vec<Arc<MemoryManager>> = {
            let managers = self.managers.lock();
            managers.values().filter_map(Weak::upgrade).collect()
        };
        managers.iter().map(|manager| manager.count_areas(self)).sum()
    }

    /// Does this address space map the file?
    pub fn contains(&self, manager: &MemoryManager) -> bool {
        let known = self.managers.lock().contains_key(&manager.id());
        known && manager.count_areas(self) > 0
    }

    fn each(&self, range: Range<u64>, private_copies: bool) {
        let mut seen = HashSet::new();
        // Again until nobody new is found: an address space that was being forked when we asked
        // lists its child before it lets us in.
        loop {
            let found: Vec<Arc<MemoryManager>> = {
                let mut managers = self.managers.lock();
                managers.retain(|_, manager| manager.strong_count() > 0);
                let new = managers.iter().filter(|(id, _)| !seen.contains(*id));
                new.filter_map(|(_, manager)| manager.upgrade()).collect()
            };
            if found.is_empty() {
                return;
            }
            for manager in found {
                seen.insert(manager.id());
                manager.invalidate(self, range.clone(), private_copies);
            }
        }
    }

    /// Called with the lock of `manager` held.
    pub(crate) fn add(&self, id: u64, manager: &Weak<MemoryManager>) {
        let mut managers = self.managers.lock();
        // Now and then, before the table grows, forget those that are gone.
        if managers.len() == managers.capacity() {
            managers.retain(|_, manager| manager.strong_count() > 0);
        }
        managers.entry(id).or_insert_with(|| manager.clone());
    }

    /// Called with the lock of `manager` held.
    pub(crate) fn remove(&self, id: u64) {
        self.managers.lock().remove(&id);
    }
}
