//! The one thread that waits for host descriptors.
//!
//! A descriptor is in its epoll set only from the first time that somebody waits for it, and armed
//! for one event at a time: nobody waiting means no wake-ups.
//!
//! Lock order: a [`Watch`]'s state, then the table; both are released before anybody is woken.

use super::host_error;
use abi::SysResult;
use abi::file::PollEvents;
use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use wait::WaitQueue;

/// Feeds the readiness of host descriptors into wait queues.
pub struct HostPoller {
    epoll: OwnedFd,
    watched: Mutex<HashMap<u64, Arc<Watched>>>,
}

/// What the thread needs of a watched descriptor.
struct Watched {
    queue: WaitQueue,
    /// The events the epoll set is armed for; empty after it has fired.
    armed: Mutex<Armed>,
}

#[derive(Default)]
struct Armed {
    is_member: bool,
    events: PollEvents,
}

/// A descriptor's place in the poller. Dropping it is not enough: see [`Watch::remove`].
pub(super) struct Watch {
    token: u64,
    watched: Arc<Watched>,
}

static POLLER: OnceLock<HostPoller> = OnceLock::new();

impl HostPoller {
    /// The process's poller; made, with its thread, when first asked for.
    fn get() -> SysResult<&'static HostPoller> {
        static STARTING: Mutex<()> = Mutex::new(());
        if let Some(poller) = POLLER.get() {
            return Ok(poller);
        }
        let _starting = STARTING.lock();
        if let Some(poller) = POLLER.get() {
            return Ok(poller);
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(host_error)?;
        let poller = HostPoller { epoll, watched: Mutex::default() };
        let poller = POLLER.get_or_init(|| poller);
        std::thread::Builder::new().name("host-poller".into()).spawn(|| poller.run())?;
        Ok(poller)
    }

    /// Makes the thread now, where later would be too late (a seccomp filter without clone).
    pub fn start() -> SysResult<()> {
        HostPoller::get().map(|_| ())
    }

    fn run(&self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(32);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "epoll_wait failed: host descriptors are dead");
                    return;
                }
            }
            for event in &events {
                let (token, flags) = (event.data.u64(), event.flags);
                let Some(watched) = self.watched.lock().get(&token).cloned() else { continue };
                watched.armed.lock().events = PollEvents::empty();
                // The flags have poll(2)'s values; readiness for bands is not told apart.
                let mut ready = PollEvents::from_bits_retain(flags.bits());
                if ready.contains(PollEvents::IN) {
                    ready |= PollEvents::RDNORM;
                }
                if ready.contains(PollEvents::OUT) {
                    ready |= PollEvents::WRNORM;
                }
                watched.queue.notify(ready.bits());
            }
        }
    }
}

impl Watch {
    pub fn new(queue: WaitQueue) -> Watch {
        static NEXT_TOKEN: AtomicU64 = AtomicU64::new(0);
        let token = NEXT_TOKEN.fetch_add(1, Ordering::Relaxed);
        Watch { token, watched: Arc::new(Watched { queue, armed: Mutex::default() }) }
    }

    /// The next time one of `events` (or an error or hang-up) holds, the queue is notified; at once
    /// if it does now.
    pub fn arm(&self, fd: BorrowedFd<'_>, events: PollEvents) -> SysResult<()> {
        let mut armed = self.watched.armed.lock();
        if armed.is_member && armed.events.contains(events) {
            return Ok(());
        }
        let poller = HostPoller::get()?;
        let events = armed.events | events;
        let flags = EventFlags::from_bits_retain(events.bits()) | EventFlags::ONESHOT;
        let data = EventData::new_u64(self.token);
        // The poller takes `armed` only after it has let go of the table.
        poller.watched.lock().insert(self.token, self.watched.clone());
        if armed.is_member {
            epoll::modify(&poller.epoll, fd, data, flags).map_err(host_error)?;
        } else {
            epoll::add(&poller.epoll, fd, data, flags).map_err(host_error)?;
        }
        *armed = Armed { is_member: true, events };
        Ok(())
    }

    /// Leaves the set. To be called before the descriptor is closed: others may have the same
    /// description open, and would keep the membership alive.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        let mut armed = self.watched.armed.lock();
        if let Some(poller) = POLLER.get()
            && armed.is_member
        {
            poller.watched.lock().remove(&self.token);
            // Nothing to be done if it fails; the token leads nowhere any more.
            let _ = epoll::delete(&poller.epoll, fd);
            armed.is_member = false;
        }
    }
}
