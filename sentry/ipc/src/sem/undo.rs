//! SEM_UNDO: what a process takes back when it ends.

use super::SemSet;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// The adjustments of a process (of those who share them with CLONE_SYSVSEM). The numbers are in
/// the sets; this says in which, and is their name there.
pub struct UndoList {
    id: u64,
    sets: Mutex<Vec<Weak<SemSet>>>,
}

impl UndoList {
    /// One without adjustments.
    #[allow(clippy::new_without_default)] // two of them are never the same
    pub fn new() -> UndoList {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        UndoList { id: NEXT.fetch_add(1, Ordering::Relaxed), sets: Mutex::default() }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The set has adjustments of this list, or may have.
    pub(super) fn note(&self, set: &Arc<SemSet>) {
        let mut sets = self.sets.lock();
        if !sets.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(set))) {
            // Before it grows, forget those that are gone.
            if sets.len() == sets.capacity() {
                sets.retain(|known| known.strong_count() > 0);
            }
            sets.push(Arc::downgrade(set));
        }
    }

    /// One of those who share it has ended: the last one makes the adjustments. `pid` is its
    /// process, for GETPID.
    pub fn release(self: Arc<UndoList>, pid: i32) {
        let Some(list) = Arc::into_inner(self) else { return };
        for set in list.sets.into_inner() {
            if let Some(set) = set.upgrade() {
                set.undo(list.id, pid);
            }
        }
    }
}
