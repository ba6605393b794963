//! One watched file of an epoll instance.

use super::{EPOLLEXCLUSIVE, EPOLLONESHOT, EpollEvent, Instance, MAX_WATCHES, WATCHES};
use abi::file::PollEvents;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use vfs::OpenFile;
use wait::{Registration, WaitQueue, Wake};

/// What identifies an item: the descriptor's number and the open file description.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub fd: i32,
    /// Its address. The item's weak reference keeps it from being used again.
    file: usize,
}

impl Key {
    pub fn new(fd: i32, file: &Arc<OpenFile>) -> Key {
        Key { fd, file: Arc::as_ptr(file) as usize }
    }
}

/// A watched file.
pub(super) struct Item {
    pub key: Key,
    pub file: Weak<OpenFile>,
    instance: Weak<Instance>,
    interest: Mutex<Interest>,
    /// Its number on the ready list; 0: not there. Changed with the list's lock held.
    pub ready_at: AtomicU64,
}

struct Interest {
    event: EpollEvent,
    /// False after a oneshot event, and once removed.
    enabled: bool,
    retired: bool,
    registration: Option<Registration>,
}

impl Item {
    /// ENOSPC where there are too many.
    pub fn new(
        key: Key,
        file: &Arc<OpenFile>,
        instance: &Arc<Instance>,
        event: EpollEvent,
    ) -> SysResult<Arc<Item>> {
        if WATCHES.fetch_add(1, Ordering::Relaxed) >= MAX_WATCHES {
            WATCHES.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        let interest = Interest { event, enabled: true, retired: false, registration: None };
        Ok(Arc::new(Item {
            key,
            file: Arc::downgrade(file),
            instance: Arc::downgrade(instance),
            interest: Mutex::new(interest),
            ready_at: AtomicU64::new(0),
        }))
    }

    /// What the user asked for.
    pub fn interest(&self) -> EpollEvent {
        self.interest.lock().event
    }

    /// The events to report now; errors and hang-ups always, nothing while disabled.
    pub fn mask(&self) -> PollEvents {
        let interest = self.interest.lock();
        if !interest.enabled {
            return PollEvents::empty();
        }
        mask_of(interest.event)
    }

    /// EPOLL_CTL_MOD. EINVAL for one with EPOLLEXCLUSIVE.
    pub fn change(&self, event: EpollEvent) -> SysResult<()> {
        let mut interest = self.interest.lock();
        if interest.event.events & EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        interest.event = event;
        interest.enabled = !interest.retired;
        Ok(())
    }

    /// Listens in the file's queue for what is of interest now.
    pub fn watch(self: &Arc<Item>, queue: &WaitQueue) {
        let mask = mask_of(self.interest());
        let waker = Arc::new(ItemWaker(Arc::downgrade(self)));
        let registration = queue.register(mask.bits(), waker);
        let mut interest = self.interest.lock();
        let old = if interest.retired {
            Some(registration)
        } else {
            interest.registration.replace(registration)
        };
        drop(interest);
        drop(old);
    }

    /// An event of it is being reported.
    pub fn reported(&self) {
        let mut interest = self.interest.lock();
        if interest.event.events & EPOLLONESHOT != 0 {
            interest.enabled = false;
        }
    }

    /// It has been removed: no more events.
    pub fn retire(&self) {
        let mut interest = self.interest.lock();
        interest.enabled = false;
        interest.retired = true;
        let registration = interest.registration.take();
        drop(interest);
        drop(registration);
    }

    /// May it be put on the ready list?
    pub fn is_enabled(&self) -> bool {
        self.interest.lock().enabled
    }
}

fn mask_of(event: EpollEvent) -> PollEvents {
    PollEvents::from_bits_retain(event.events & 0xffff) | PollEvents::ERR | PollEvents::HUP
}

impl Drop for Item {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What sits in the file's queue.
struct ItemWaker(Weak<Item>);

impl Wake for ItemWaker {
    fn wake(&self, _events: u32) {
        let Some(item) = self.0.upgrade() else { return };
        if !item.is_enabled() {
            return;
        }
        if let Some(instance) = item.instance.upgrade() {
            instance.push(&item);
        }
    }
}
