//! epoll(7).
//!
//! Each watched file has an `Item`. The item's waker sits in the file's wait queue and puts the
//! item on the instance's ready list, so that collecting events looks only at files that had some.
//!
//! Who holds whom: the instance holds its items; an item knows its file and its instance weakly;
//! the waker in the file's queue knows the item weakly. So nothing here keeps a file open, and
//! there are no cycles. An item whose file is closed is dead; it is taken out when it is met, or
//! when enough of them may have gathered.
//!
//! Lock order: `NESTING`, an instance's `scan`, its `items`; an item's `interest` and an instance's
//! `ready` are leaves, and the only locks a waker takes. Files are polled with `scan` held, which is
//! where nested instances take their own: that cannot go round, as there are no loops of instances.

mod item;
mod nesting;

use abi::file::PollEvents;
use abi::{Errno, SysResult};
use item::{Item, Key};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// EPOLL_CTL_ADD.
pub const EPOLL_CTL_ADD: i32 = 1;
/// EPOLL_CTL_DEL.
pub const EPOLL_CTL_DEL: i32 = 2;
/// EPOLL_CTL_MOD.
pub const EPOLL_CTL_MOD: i32 = 3;

/// EPOLLEXCLUSIVE: taken; all waiters are woken, which it allows.
pub const EPOLLEXCLUSIVE: u32 = 1 << 28;
/// EPOLLWAKEUP: ignored, as Linux does without CAP_BLOCK_SUSPEND.
pub const EPOLLWAKEUP: u32 = 1 << 29;
/// EPOLLONESHOT.
pub const EPOLLONESHOT: u32 = 1 << 30;
/// EPOLLET.
pub const EPOLLET: u32 = 1 << 31;

/// The most items of all instances: what /proc/sys/fs/epoll/max_user_watches limits.
const MAX_WATCHES: usize = 1 << 20;
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// What is asked for and what is reported: `struct epoll_event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpollEvent {
    /// Events, and for epoll_ctl(2) the flags.
    pub events: u32,
    /// The user's.
    pub data: u64,
}

/// An epoll instance.
pub struct Epoll(Arc<Instance>);

struct Instance {
    /// Held while events are collected and interests change: a second collector must not miss the
    /// items that the first has in hand, nor a change be undone by a collection begun before it.
    scan: Mutex<()>,
    items: Mutex<Items>,
    ready: Mutex<Ready>,
    queue: WaitQueue,
    /// Instances that watch this one.
    parents: Mutex<Vec<Weak<Instance>>>,
}

#[derive(Default)]
struct Items {
    map: HashMap<Key, Arc<Item>>,
    /// At this many items, look for dead ones.
    sweep_at: usize,
}

/// Items that may have events, in the order they became ready: by a number that only grows, so that
/// one can be taken out without a search.
#[derive(Default)]
struct Ready {
    next: u64,
    list: BTreeMap<u64, Arc<Item>>,
}

impl Ready {
    fn push(&mut self, item: &Arc<Item>) {
        if item.ready_at.load(Ordering::Relaxed) == 0 {
            self.next += 1;
            item.ready_at.store(self.next, Ordering::Relaxed);
            self.list.insert(self.next, item.clone());
        }
    }

    fn remove(&mut self, item: &Item) {
        let at = item.ready_at.swap(0, Ordering::Relaxed);
        self.list.remove(&at);
    }

    /// The first, if it was there before the number `end`.
    fn pop_before(&mut self, end: u64) -> Option<Arc<Item>> {
        let first = self.list.first_entry().filter(|entry| *entry.key() <= end)?;
        let item = first.remove();
        item.ready_at.store(0, Ordering::Relaxed);
        Some(item)
    }
}

impl Epoll {
    /// An instance without items. The name for /proc/PID/fd is `[eventpoll]`: see
    /// [`crate::anon::open_file`].
    pub fn new() -> Arc<Epoll> {
        Arc::new(Epoll(Arc::new(Instance {
            scan: Mutex::new(()),
            items: Mutex::default(),
            ready: Mutex::default(),
            queue: WaitQueue::new(),
            parents: Mutex::default(),
        })))
    }

    /// epoll_ctl(2) on `target`, which is at descriptor `fd`. `event` is not looked at for
    /// EPOLL_CTL_DEL. That the event can be read at all (EFAULT) and the descriptors (EBADF) are
    /// the caller's business.
    pub fn ctl(
        &self,
        op: i32,
        fd: i32,
        target: &Arc<OpenFile>,
        mut event: EpollEvent,
    ) -> SysResult<()> {
        let Some(queue) = target.ops().wait_queue() else { return Err(Errno::EPERM) };
        let nested = target.ops_as::<Epoll>();
        if nested.is_some_and(|nested| Arc::ptr_eq(&nested.0, &self.0)) {
            return Err(Errno::EINVAL);
        }
        if op != EPOLL_CTL_DEL && event.events & EPOLLEXCLUSIVE != 0 {
            let allowed = PollEvents::IN | PollEvents::OUT | PollEvents::ERR | PollEvents::HUP;
            let allowed = allowed.bits() | EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLET;
            if op == EPOLL_CTL_MOD || nested.is_some() || event.events & !allowed != 0 {
                return Err(Errno::EINVAL);
            }
        }
        event.events &= !EPOLLWAKEUP;
        let key = Key::new(fd, target);
        match op {
            EPOLL_CTL_ADD => match nested {
                Some(nested) => {
                    let _nesting = nesting::check(&self.0, &nested.0)?;
                    self.add(key, target, queue, event)?;
                    nesting::adopt(&self.0, &nested.0);
                    Ok(())
                }
                None => self.add(key, target, queue, event),
            },
            EPOLL_CTL_MOD => self.modify(key, target, queue, event),
            EPOLL_CTL_DEL => {
                let _scan = self.0.scan.lock();
                let removed = self.0.items.lock().map.remove(&key);
                let item = removed.ok_or(Errno::ENOENT)?;
                self.0.forget(&item);
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn add(
        &self,
        key: Key,
        target: &Arc<OpenFile>,
        queue: &WaitQueue,
        event: EpollEvent,
    ) -> SysResult<()> {
        let _scan = self.0.scan.lock();
        let mut dead = Vec::new();
        let item = {
            let mut items = self.0.items.lock();
            if items.map.len() >= items.sweep_at {
                dead = items.sweep();
            }
            if items.map.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            let item = Item::new(key, target, &self.0, event)?;
            items.map.insert(key, item.clone());
            item
        };
        for item in &dead {
            self.0.forget(item);
        }
        item.watch(queue);
        self.check(&item, target);
        Ok(())
    }

    fn modify(
        &self,
        key: Key,
        target: &Arc<OpenFile>,
        queue: &WaitQueue,
        event: EpollEvent,
    ) -> SysResult<()> {
        let _scan = self.0.scan.lock();
        let item = self.0.items.lock().map.get(&key).cloned().ok_or(Errno::ENOENT)?;
        item.change(event)?;
        item.watch(queue);
        self.check(&item, target);
        Ok(())
    }

    /// After a change of interest: what is ready already makes no new event.
    fn check(&self, item: &Arc<Item>, target: &OpenFile) {
        if !(target.poll() & item.mask()).is_empty() {
            self.0.push(item);
        }
    }

    /// What epoll_wait(2) returns, without waiting: up to `max` events. An empty answer means: wait
    /// on the queue (for IN) and ask again.
    pub fn collect(&self, max: usize) -> Vec<EpollEvent> {
        self.0.collect(max)
    }

    /// The items, for /proc/PID/fdinfo: descriptor and interest.
    pub fn items(&self) -> Vec<(i32, EpollEvent)> {
        let items = self.0.items.lock();
        let alive = items.map.values().filter(|item| item.file.strong_count() != 0);
        alive.map(|item| (item.key.fd, item.interest())).collect()
    }
}

impl Items {
    /// Takes out the items whose files are closed. Called each time the number has doubled, so an
    /// addition pays for it a constant time on average.
    fn sweep(&mut self) -> Vec<Arc<Item>> {
        let mut dead = Vec::new();
        self.map.retain(|_, item| {
            let alive = item.file.strong_count() != 0;
            if !alive {
                dead.push(item.clone());
            }
            alive
        });
        self.sweep_at = (self.map.len() * 2).max(16);
        dead
    }
}

impl Instance {
    /// Puts an item on the ready list and tells who waits.
    fn push(&self, item: &Arc<Item>) {
        self.ready.lock().push(item);
        self.queue.notify((PollEvents::IN | PollEvents::RDNORM).bits());
    }

    /// An item has been removed from the table.
    fn forget(&self, item: &Item) {
        item.retire();
        self.ready.lock().remove(item);
    }

    fn collect(&self, max: usize) -> Vec<EpollEvent> {
        let _scan = self.scan.lock();
        let mut found = Vec::new();
        // Each item once: those that go back to the list get higher numbers.
        let end = self.ready.lock().next;
        while found.len() < max {
            let Some(item) = self.ready.lock().pop_before(end) else { break };
            if let Some((event, stays)) = self.look_at(&item) {
                item.reported();
                found.push(event);
                if stays {
                    self.ready.lock().push(&item);
                }
            }
        }
        found
    }

    /// What an item has to report, and whether it stays on the list (level-triggered).
    fn look_at(&self, item: &Arc<Item>) -> Option<(EpollEvent, bool)> {
        let Some(file) = item.file.upgrade() else {
            let removed = self.items.lock().map.remove(&item.key);
            if let Some(item) = removed {
                self.forget(&item);
            }
            return None;
        };
        let events = file.poll() & item.mask();
        if events.is_empty() {
            return None;
        }
        let interest = item.interest();
        let stays = interest.events & (EPOLLET | EPOLLONESHOT) == 0;
        Some((EpollEvent { events: events.bits(), data: interest.data }, stays))
    }

    /// Is there an item with events? Takes those without off the list.
    fn is_ready(&self) -> bool {
        let _scan = self.scan.lock();
        let end = self.ready.lock().next;
        loop {
            let Some(item) = self.ready.lock().pop_before(end) else { return false };
            if self.look_at(&item).is_some() {
                self.ready.lock().push(&item);
                return true;
            }
        }
    }
}

impl FileOps for Epoll {
    fn poll(&self, _file: &OpenFile) -> PollEvents {
        if self.0.is_ready() { PollEvents::IN | PollEvents::RDNORM } else { PollEvents::empty() }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
