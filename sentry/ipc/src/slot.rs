//! Where one who waits finds its result.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wait::WaitQueue;

/// A place for one value, given once by whoever makes it available.
pub struct Slot<T> {
    value: Mutex<Option<T>>,
    queue: WaitQueue,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Arc<Slot<T>> {
        Arc::new(Slot { value: Mutex::new(None), queue: WaitQueue::new() })
    }

    pub(crate) fn give(&self, value: T) {
        *self.value.lock() = Some(value);
        self.queue.notify(1);
    }

    /// The value, if it has come.
    pub fn take(&self) -> Option<T> {
        self.value.lock().take()
    }

    /// Notified (1) when it comes.
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }
}

/// How much memory of the sentry's own the messages of a namespace may take. Linux counts it
/// against the memory of the senders.
#[derive(Clone)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Budget {
        Budget { used: Arc::default(), limit }
    }

    /// None where it does not fit.
    pub fn charge(&self, amount: usize) -> Option<Charge> {
        let add = |used: usize| used.checked_add(amount).filter(|&sum| sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Charge { used: self.used.clone(), amount })
    }
}

/// A part of a [`Budget`], until dropped.
pub(crate) struct Charge {
    used: Arc<AtomicUsize>,
    amount: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept() {
        let budget = Budget::new(10);
        let six = budget.charge(6).unwrap();
        assert!(budget.charge(5).is_none());
        assert!(budget.charge(usize::MAX).is_none());
        drop(six);
        assert!(budget.charge(10).is_some());
    }
}
