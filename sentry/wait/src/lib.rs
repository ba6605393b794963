//! Waiting: the one primitive under every call that blocks.
//!
//! An object that can become ready has a [`WaitQueue`]; whoever waits registers a [`Wake`] with an
//! event mask, checks the object, and sleeps. The order matters: register first, check second, so
//! that no event falls between. Threads sleep on a [`Waiter`]; epoll registers a waker of its own.
//!
//! Lock order: a queue's lock is a leaf. Wakers are called without it held, and must neither block
//! nor call back into the object that notified.

#![forbid(unsafe_code)]

pub mod timer;

pub use timer::{TimerCallback, TimerHandle, Timers};

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Something that can be woken.
pub trait Wake: Send + Sync {
    /// The object has become ready for `events` (a mask in poll(2)'s terms).
    fn wake(&self, events: u32);
}

/// A list of those who wait for one object.
#[derive(Clone, Default)]
pub struct WaitQueue(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// How many entries there are: lets `notify` skip the lock when nobody waits.
    count: AtomicUsize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next_id: u64,
    list: Vec<Entry>,
}

struct Entry {
    id: u64,
    mask: u32,
    waker: Arc<dyn Wake>,
}

impl WaitQueue {
    /// An empty queue.
    pub fn new() -> WaitQueue {
        WaitQueue::default()
    }

    /// From now on until the registration is dropped, `waker` hears of events in `mask`.
    #[must_use]
    pub fn register(&self, mask: u32, waker: Arc<dyn Wake>) -> Registration {
        let mut entries = self.0.entries.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        entries.list.push(Entry { id, mask, waker });
        // SeqCst pairs with `notify`: whoever registers and then checks the object either sees
        // the change or is seen by the one who made it.
        self.0.count.store(entries.list.len(), Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        Registration { queue: self.0.clone(), id }
    }

    /// Wakes everybody whose mask has one of `events`. Call it after the change is visible.
    pub fn notify(&self, events: u32) {
        self.notify_some(events, usize::MAX);
    }

    /// Wakes at most `limit` of those whose mask has one of `events`, the longest waiting first.
    /// Returns how many.
    pub fn notify_some(&self, events: u32, limit: usize) -> usize {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.0.count.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        let wakers: Vec<Arc<dyn Wake>> = {
            let entries = self.0.entries.lock();
            let matching = entries.list.iter().filter(|e| e.mask & events != 0);
            matching.take(limit).map(|e| e.waker.clone()).collect()
        };
        for waker in &wakers {
            waker.wake(events);
        }
        wakers.len()
    }

    /// Is somebody waiting?
    pub fn has_waiters(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) != 0
    }
}

impl std::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitQueue({})", self.0.count.load(Ordering::Relaxed))
    }
}

/// Membership in a queue; ends when dropped.
pub struct Registration {
    queue: Arc<Inner>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.queue.entries.lock();
        let id = self.id;
        // Most waiters leave soon after they came: look from the end.
        if let Some(at) = entries.list.iter().rposition(|e| e.id == id) {
            entries.list.remove(at);
        }
        self.queue.count.store(entries.list.len(), Ordering::SeqCst);
    }
}

/// What one thread sleeps on. A wake is never lost: it is kept until the next [`Waiter::wait`].
#[derive(Default)]
pub struct Waiter {
    woken: Mutex<bool>,
    condition: Condvar,
}

impl Waiter {
    /// One that nobody has woken.
    pub fn new() -> Arc<Waiter> {
        Arc::new(Waiter::default())
    }

    /// Sleeps until woken (true) or until `deadline` (false). Takes the wake.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            match deadline {
                None => self.condition.wait(&mut woken),
                Some(at) => {
                    if self.condition.wait_until(&mut woken, at).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut woken)
    }
}

impl Wake for Waiter {
    fn wake(&self, _events: u32) {
        let mut woken = self.woken.lock();
        *woken = true;
        drop(woken);
        self.condition.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_before_wait_is_kept() {
        let waiter = Waiter::new();
        waiter.wake(1);
        assert!(waiter.wait(None));
        assert!(!waiter.wait(Some(Instant::now())));
    }

    #[test]
    fn only_matching_masks_are_woken() {
        let queue = WaitQueue::new();
        let (a, b) = (Waiter::new(), Waiter::new());
        let _a = queue.register(1, a.clone());
        let registration = queue.register(4, b.clone());
        assert_eq!(queue.notify_some(4, 8), 1);
        assert!(!a.wait(Some(Instant::now())));
        assert!(b.wait(Some(Instant::now())));
        drop(registration);
        assert_eq!(queue.notify_some(4, 8), 0);
    }

    #[test]
    fn the_limit_is_kept_and_the_first_comes_first() {
        let queue = WaitQueue::new();
        let (a, b) = (Waiter::new(), Waiter::new());
        let _a = queue.register(1, a.clone());
        let _b = queue.register(1, b.clone());
        assert_eq!(queue.notify_some(1, 1), 1);
        assert!(a.wait(Some(Instant::now())));
        assert!(!b.wait(Some(Instant::now())));
    }

    #[test]
    fn threads_meet() {
        let queue = WaitQueue::new();
        let ready = Arc::new(AtomicUsize::new(0));
        let thread = {
            let (queue, ready) = (queue.clone(), ready.clone());
            std::thread::spawn(move || {
                let waiter = Waiter::new();
                let _registration = queue.register(1, waiter.clone());
                while ready.load(Ordering::SeqCst) == 0 {
                    waiter.wait(None);
                }
            })
        };
        ready.store(1, Ordering::SeqCst);
        queue.notify(1);
        thread.join().unwrap();
    }
}
