//! The same inode for the same thing, as long as anybody holds it.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};
use vfs::{Inode, InodeRef};

/// Inodes that somebody holds, by what they show.
pub(crate) struct Interned<K>(Mutex<Table<K>>);

struct Table<K> {
    map: HashMap<K, Weak<dyn Inode>>,
    /// Dead entries are swept out when there are more entries than this.
    sweep_at: usize,
}

const SWEEP_MIN: usize = 64;

impl<K> Default for Interned<K> {
    fn default() -> Self {
        Interned(Mutex::new(Table { map: HashMap::new(), sweep_at: SWEEP_MIN }))
    }
}

impl<K: Eq + Hash> Interned<K> {
    /// The inode for `key`; `make` makes it where nobody holds one.
    pub fn get(&self, key: K, make: impl FnOnce() -> InodeRef) -> InodeRef {
        let mut table = self.0.lock();
        if let Some(inode) = table.map.get(&key).and_then(Weak::upgrade) {
            return inode;
        }
        let inode = make();
        table.map.insert(key, Arc::downgrade(&inode));
        if table.map.len() > table.sweep_at {
            table.map.retain(|_, weak| weak.strong_count() != 0);
            table.sweep_at = (2 * table.map.len()).max(SWEEP_MIN);
        }
        inode
    }
}
