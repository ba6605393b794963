//! Identifiers of System V objects: an index, and above it a sequence number that tells an object
//! from those that had the index before.

use crate::perm::PRIVATE;
use abi::{Errno, SysResult};
use std::collections::{BTreeMap, HashMap};

/// IPCMNI_SHIFT: bits of the index.
const SHIFT: u32 = 15;
/// Sequence numbers begin again here, so that identifiers are never negative.
const SEQUENCES: u32 = 1 << (31 - SHIFT);
/// ipc_min_cycle: at least so many indices are used in turn before one is used again.
const MIN_CYCLE: usize = 64;

/// The sequence number in an identifier.
pub(crate) fn sequence(id: i32) -> u32 {
    id as u32 >> SHIFT
}

fn index(id: i32) -> usize {
    id as usize & ((1 << SHIFT) - 1)
}

/// Objects by identifier and by key.
pub(crate) struct Table<T> {
    objects: BTreeMap<usize, (i32, T)>,
    keys: HashMap<i32, usize>,
    limit: usize,
    sequence: u32,
    last: Option<usize>,
}

impl<T> Table<T> {
    /// At most `limit` objects.
    pub fn new(limit: usize) -> Table<T> {
        let (objects, keys) = (BTreeMap::new(), HashMap::new());
        Table { objects, keys, limit: limit.min(1 << SHIFT), sequence: 0, last: None }
    }

    /// Adds what `make` makes of its identifier. ENOSPC at the limit.
    pub fn insert(&mut self, key: i32, make: impl FnOnce(i32) -> T) -> SysResult<i32> {
        let at = self.free_index().ok_or(Errno::ENOSPC)?;
        if self.last.is_some_and(|last| at <= last) {
            self.sequence = (self.sequence + 1) % SEQUENCES;
        }
        self.last = Some(at);
        let id = (self.sequence << SHIFT) as i32 | at as i32;
        self.objects.insert(at, (id, make(id)));
        if key != PRIVATE {
            self.keys.insert(key, at);
        }
        Ok(id)
    }

    /// The next free index after the last one, going round as Linux does.
    fn free_index(&self) -> Option<usize> {
        let count = self.objects.len();
        if count >= self.limit {
            return None;
        }
        let end = (count * 3 / 2).max(MIN_CYCLE).min(self.limit);
        let start = self.last.map_or(0, |last| last + 1);
        let free = |at: &usize| !self.objects.contains_key(at);
        (start..end).chain(0..self.limit).find(free)
    }

    /// The object with this key.
    pub fn by_key(&self, key: i32) -> Option<&T> {
        self.keys.get(&key).and_then(|at| self.objects.get(at)).map(|(_, object)| object)
    }

    /// The object with this identifier. EINVAL where there is none, EIDRM where its place is
    /// another's now.
    pub fn by_id(&self, id: i32) -> SysResult<&T> {
        if id < 0 {
            return Err(Errno::EINVAL);
        }
        let (found, object) = self.objects.get(&index(id)).ok_or(Errno::EINVAL)?;
        if *found == id { Ok(object) } else { Err(Errno::EIDRM) }
    }

    /// The same, to change it.
    pub fn by_id_mut(&mut self, id: i32) -> SysResult<&mut T> {
        self.by_id(id)?;
        self.objects.get_mut(&index(id)).map(|(_, object)| object).ok_or(Errno::EINVAL)
    }

    /// For SHM_STAT and its kin: the object at an index.
    pub fn by_index(&self, at: i32) -> SysResult<&T> {
        let at = usize::try_from(at).map_err(|_| Errno::EINVAL)?;
        let masked = at & ((1 << SHIFT) - 1);
        self.objects.get(&masked).map(|(_, object)| object).ok_or(Errno::EINVAL)
    }

    /// The object cannot be found by its key any more.
    pub fn forget_key(&mut self, id: i32) {
        self.keys.retain(|_, at| *at != index(id));
    }

    /// Takes it out.
    pub fn remove(&mut self, id: i32) -> SysResult<T> {
        self.by_id(id)?;
        self.forget_key(id);
        self.objects.remove(&index(id)).map(|(_, object)| object).ok_or(Errno::EINVAL)
    }

    /// Keeps those that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.objects.retain(|_, (_, object)| keep(object));
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// The highest index in use; 0 where there is none.
    pub fn max_index(&self) -> usize {
        self.objects.last_key_value().map_or(0, |(at, _)| *at)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.objects.values().map(|(_, object)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_not_used_again_soon() {
        let mut table = Table::new(100);
        let first = table.insert(5, |id| id).unwrap();
        assert_eq!((first, table.by_key(5)), (0, Some(&0)));
        table.remove(first).unwrap();
        assert_eq!(table.by_key(5), None);
        assert_eq!(table.insert(PRIVATE, |id| id), Ok(1));
        assert_eq!(table.by_id(0), Err(Errno::EINVAL));
        for _ in 0..63 {
            let id = table.insert(PRIVATE, |id| id).unwrap();
            table.remove(id).unwrap();
        }
        // Round once: index 0 with the next sequence number.
        let id = table.insert(PRIVATE, |id| id).unwrap();
        assert_eq!(sequence(id), 1);
        assert_eq!(table.by_id(id & 0x7fff), Err(Errno::EIDRM));
        assert_eq!(table.by_id(-1), Err(Errno::EINVAL));
    }

    #[test]
    fn the_limit_is_kept() {
        let mut table = Table::new(3);
        let ids: Vec<i32> = (0..3).map(|_| table.insert(PRIVATE, |id| id).unwrap()).collect();
        assert_eq!(table.insert(PRIVATE, |id| id), Err(Errno::ENOSPC));
        table.remove(ids[1]).unwrap();
        assert!(table.insert(PRIVATE, |id| id).is_ok());
        assert_eq!((table.len(), table.max_index()), (3, 2));
    }
}
