//! Timers: calls at a given instant, made by one thread.
//!
//! The thread sleeps until the next timer is due, or for ever if there is none: an idle sandbox has
//! no wake-ups. A cancelled timer is gone at once, so arming and cancelling in a loop needs no
//! memory.
//!
//! Lock order: the table's lock is a leaf; callbacks run, and are dropped, without it.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// What is called when a timer is due. It must be short and never block: all timers share a thread.
pub type TimerCallback = Arc<dyn Fn() + Send + Sync>;

/// A service that calls back at given instants (of CLOCK_MONOTONIC). Clones share the thread, which
/// ends with the last of them.
#[derive(Clone)]
pub struct Timers(Arc<Owner>);

/// Ends the thread when the last [`Timers`] goes.
struct Owner(Arc<Shared>);

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    next_id: u64,
    /// By time; the number tells apart those of the same instant, in order of arrival.
    due: BTreeMap<(Instant, u64), TimerCallback>,
    has_thread: bool,
    stopped: bool,
}

impl Timers {
    /// A service without timers, and without a thread yet.
    pub fn new() -> Timers {
        Timers(Arc::new(Owner(Arc::default())))
    }

    /// Makes the thread now, where later would be too late (a seccomp filter without clone).
    /// Otherwise the first timer makes it.
    pub fn start(&self) -> io::Result<()> {
        let mut table = self.0.0.table.lock();
        self.ensure_thread(&mut table)
    }

    fn ensure_thread(&self, table: &mut Table) -> io::Result<()> {
        if !table.has_thread {
            let shared = self.0.0.clone();
            std::thread::Builder::new().name("timers".into()).spawn(move || shared.run())?;
            table.has_thread = true;
        }
        Ok(())
    }

    /// Calls `callback` once, at `at` or as soon after as can be, unless the handle is dropped
    /// before. An instant in the past is due at once, still on the timer thread.
    ///
    /// Cancelling does not wait: a callback that has already begun may still be running when the
    /// handle's drop returns. Whoever needs more checks its own state in the callback.
    #[must_use]
    pub fn schedule(&self, at: Instant, callback: TimerCallback) -> TimerHandle {
        let shared = &self.0.0;
        let mut table = shared.table.lock();
        // Without a thread (the host refused one) the timer stays in the table, and the next one
        // tries again.
        let _ = self.ensure_thread(&mut table);
        let key = (at, table.next_id);
        table.next_id += 1;
        let is_first = table.due.first_key_value().is_none_or(|(first, _)| key < *first);
        table.due.insert(key, callback);
        drop(table);
        if is_first {
            shared.changed.notify_one();
        }
        TimerHandle { shared: shared.clone(), key }
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::new()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.table.lock().stopped = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut table = self.table.lock();
        while !table.stopped {
            let Some(first) = table.due.first_entry() else {
                self.changed.wait(&mut table);
                continue;
            };
            let at = first.key().0;
            if Instant::now() < at {
                self.changed.wait_until(&mut table, at);
                continue;
            }
            let callback = first.remove();
            drop(table);
            callback();
            // It may own a TimerHandle, whose drop takes the lock.
            drop(callback);
            table = self.table.lock();
        }
    }
}

/// A timer that is under way; dropping it cancels it.
pub struct TimerHandle {
    shared: Arc<Shared>,
    key: (Instant, u64),
}

impl TimerHandle {
    /// When it is (or was) due.
    pub fn deadline(&self) -> Instant {
        self.key.0
    }
}

impl Drop for TimerHandle {
    fn drop(&mut self) {
        let callback = self.shared.table.lock().due.remove(&self.key);
        // Outside of the lock: it may own another handle.
        drop(callback);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn sender<T: Clone + Send + Sync + 'static>(tx: &mpsc::Sender<T>, value: T) -> TimerCallback {
        let tx = tx.clone();
        Arc::new(move || tx.send(value.clone()).unwrap())
    }

    #[test]
    fn in_order_and_not_before() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        let start = Instant::now();
        let late = Duration::from_millis(20);
        let _b = timers.schedule(start + late, sender(&tx, "b"));
        let _a = timers.schedule(start + Duration::from_millis(5), sender(&tx, "a"));
        let _past = timers.schedule(start, sender(&tx, "past"));
        assert_eq!(rx.recv().unwrap(), "past");
        assert_eq!(rx.recv().unwrap(), "a");
        assert_eq!(rx.recv().unwrap(), "b");
        assert!(start.elapsed() >= late);
    }

    #[test]
    fn cancelled_ones_are_forgotten_and_not_called() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        let now = Instant::now();
        let cancelled = timers.schedule(now + Duration::from_millis(10), sender(&tx, 1));
        let _kept = timers.schedule(now + Duration::from_millis(20), sender(&tx, 2));
        drop(cancelled);
        assert_eq!(rx.recv().unwrap(), 2);
        for _ in 0..1000 {
            drop(timers.schedule(now + Duration::from_secs(1000), sender(&tx, 3)));
        }
        assert!(timers.0.0.table.lock().due.is_empty());
    }

    #[test]
    fn a_callback_may_schedule_and_cancel() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        let slot = Arc::new(Mutex::new(None));
        let callback: TimerCallback = {
            let (timers, slot) = (timers.clone(), slot.clone());
            Arc::new(move || {
                let handle = timers.schedule(Instant::now(), sender(&tx, ()));
                *slot.lock() = Some(handle);
            })
        };
        let _first = timers.schedule(Instant::now(), callback);
        rx.recv().unwrap();
        slot.lock().take();
    }

    #[test]
    fn the_thread_ends_with_the_service() {
        let timers = Timers::new();
        timers.start().unwrap();
        let shared = timers.0.0.clone();
        drop(timers);
        // The thread holds the only other reference, and lets go of it.
        while Arc::strong_count(&shared) > 1 {
            std::thread::yield_now();
        }
    }
}
