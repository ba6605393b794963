//! The names of a directory, with positions that stay good while the directory changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The lowest cookie: positions 0 and 1 are "." and "..".
pub(crate) const FIRST_COOKIE: u64 = 2;

/// Names and what they lead to. Each entry has a cookie that is never used again, and listing goes
/// by cookies: whoever lists while others add and remove sees each entry that stays exactly once.
pub struct Entries<T> {
    by_name: HashMap<Arc<[u8]>, (u64, T)>,
    by_cookie: BTreeMap<u64, Arc<[u8]>>,
    next: u64,
}

impl<T> Default for Entries<T> {
    fn default() -> Entries<T> {
        Entries { by_name: HashMap::new(), by_cookie: BTreeMap::new(), next: FIRST_COOKIE }
    }
}

impl<T: Clone> Entries<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What `name` leads to.
    pub fn get(&self, name: &[u8]) -> Option<&T> {
        self.by_name.get(name).map(|(_, value)| value)
    }

    /// Is there such a name?
    pub fn contains(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    /// Adds an entry, or changes where a name leads; gives what it led to.
    pub fn insert(&mut self, name: &[u8], value: T) -> Option<T> {
        if let Some((_, old)) = self.by_name.get_mut(name) {
            return Some(std::mem::replace(old, value));
        }
        let name: Arc<[u8]> = name.into();
        self.by_cookie.insert(self.next, name.clone());
        self.by_name.insert(name, (self.next, value));
        self.next += 1;
        None
    }

    /// Removes an entry.
    pub fn remove(&mut self, name: &[u8]) -> Option<T> {
        let (cookie, value) = self.by_name.remove(name)?;
        self.by_cookie.remove(&cookie);
        Some(value)
    }

    /// Up to `count` entries with cookies from `from` on, in order.
    pub fn batch(&self, from: u64, count: usize) -> Vec<(u64, Arc<[u8]>, T)> {
        let names = self.by_cookie.range(from..).take(count);
        let entry = |(cookie, name): (&u64, &Arc<[u8]>)| {
            let value = self.get(name)?;
            Some((*cookie, name.clone(), value.clone()))
        };
        names.filter_map(entry).collect()
    }

    /// The values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.by_name.values().map(|(_, value)| value)
    }

    /// Removes all and gives the values.
    pub fn take(&mut self) -> Vec<T> {
        self.by_cookie.clear();
        self.by_name.drain().map(|(_, (_, value))| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_survives_changes() {
        let mut entries = Entries::default();
        for i in 0..10u8 {
            assert_eq!(entries.insert(&[i + 1], i), None);
        }
        let first = entries.batch(0, 4);
        assert_eq!(first.iter().map(|e| e.2).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let position = first[3].0 + 1;
        entries.remove(&[4]);
        entries.remove(&[6]);
        entries.insert(&[4], 40);
        let rest: Vec<u8> = entries.batch(position, 100).iter().map(|e| e.2).collect();
        assert_eq!(rest, [4, 6, 7, 8, 9, 40]);
    }
}
