//! Many threads, one socket, and no thread that does nothing but read.
//!
//! A caller sends its request and then waits. If nobody is reading the socket, it reads: answers to
//! others are put down for them and they are woken; its own ends its turn, and it wakes one of
//! those who sleep to read in its place. So a caller that is alone makes two host calls and no
//! futex call, and a slow answer holds up only the one who asked.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno as HostErrno;

use crate::errno::Errno;
use crate::protocol::{MAX_MESSAGE, Malformed, Reply, Request, decode_response};
use crate::transport;

/// An answer, and the fd that came with it.
type Answer = Result<(Reply, Option<OwnedFd>), Errno>;

type Action = Box<dyn FnOnce() + Send>;

pub(super) struct Connection {
    socket: OwnedFd,
    calls: Mutex<Calls>,
    dead: AtomicBool,
    on_death: Mutex<Vec<Action>>,
}

struct Calls {
    next_id: u64,
    waiting: BTreeMap<u64, Call>,
    /// The buffer to receive into; whoever has taken it is the reader.
    buffer: Option<Box<[u8]>>,
}

#[derive(Default)]
struct Call {
    answer: Option<Answer>,
    /// Set while its thread sleeps: only then can it be asked to read.
    sleeper: Option<Arc<Condvar>>,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Connection {
        let buffer = vec![0; MAX_MESSAGE].into_boxed_slice();
        let calls = Calls { next_id: 1, waiting: BTreeMap::new(), buffer: Some(buffer) };
        Connection {
            socket,
            calls: Mutex::new(calls),
            dead: AtomicBool::new(false),
            on_death: Mutex::default(),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    pub(super) fn on_death(&self, action: Action) {
        self.on_death.lock().unwrap_or_else(PoisonError::into_inner).push(action);
        if self.is_dead() {
            self.run_actions();
        }
    }

    fn run_actions(&self) {
        let actions =
            std::mem::take(&mut *self.on_death.lock().unwrap_or_else(PoisonError::into_inner));
        actions.into_iter().for_each(|action| action());
    }

    /// The gofer is dead or does not keep to the protocol: all calls fail from here on.
    pub(super) fn give_up(&self) {
        if self.dead.swap(true, Ordering::AcqRel) {
            return;
        }
        // Under the lock, so that nobody is between looking at `dead` and going to sleep.
        for call in self.calls().waiting.values() {
            call.wake();
        }
        self.run_actions();
    }

    /// Sends a request that has no answer.
    pub(super) fn tell(&self, request: &Request<'_>) {
        if self.is_dead() {
            return;
        }
        // Lost for want of memory, it leaves the gofer with nodes it could have dropped.
        let _ = self.send(request, 0);
    }

    fn send(&self, request: &Request<'_>, id: u64) -> Result<(), Errno> {
        let message = request.encode(id).map_err(|Malformed(_)| Errno::EINVAL)?;
        match transport::send(&self.socket, &message, None) {
            Ok(()) => Ok(()),
            // The host is short of memory: this request fails, the gofer lives.
            Err(errno @ (HostErrno::NOBUFS | HostErrno::NOMEM)) => Err(errno.into()),
            Err(_) => {
                self.give_up();
                Err(Errno::EIO)
            }
        }
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(&self, request: &Request<'_>) -> Answer {
        if self.is_dead() {
            return Err(Errno::EIO);
        }
        let id = {
            let mut calls = self.calls();
            let id = calls.next_id;
            calls.next_id += 1;
            calls.waiting.insert(id, Call::default());
            id
        };
        if let Err(errno) = self.send(request, id) {
            self.calls().waiting.remove(&id);
            return Err(errno);
        }
        self.wait_for(id)
    }

    fn wait_for(&self, id: u64) -> Answer {
        let mut calls = self.calls();
        loop {
            let Some(call) = calls.waiting.get_mut(&id) else { return Err(Errno::EIO) };
            if let Some(answer) = call.answer.take() {
                calls.waiting.remove(&id);
                // Perhaps this thread was woken both for its answer and to read.
                calls.appoint_reader();
                return answer;
            }
            if self.is_dead() {
                calls.waiting.remove(&id);
                return Err(Errno::EIO);
            }
            if let Some(buffer) = calls.buffer.take() {
                drop(calls);
                calls = self.read(buffer);
                continue;
            }
            let sleeper = Arc::new(Condvar::new());
            calls.set_sleeper(id, Some(Arc::clone(&sleeper)));
            calls = sleeper.wait(calls).unwrap_or_else(PoisonError::into_inner);
            calls.set_sleeper(id, None);
        }
    }

    /// Receives one answer and gives it to whoever waits for it.
    fn read(&self, mut buffer: Box<[u8]>) -> MutexGuard<'_, Calls> {
        let received = transport::receive(&self.socket, &mut buffer);
        let answer = match received {
            Ok(received) if received.length > 0 => {
                let message = buffer.get(..received.length).unwrap_or_default();
                decode_response(message).ok().map(|(id, result)| {
                    let fd = received.fd;
                    (
                        id,
                        result
                            .map(|reply| if reply.has_fd() { (reply, fd) } else { (reply, None) }),
                    )
                })
            }
            _ => None,
        };
        if answer.is_none() {
            self.give_up();
        }
        let mut calls = self.calls();
        calls.buffer = Some(buffer);
        if let Some((id, answer)) = answer {
            match calls.waiting.get_mut(&id) {
                Some(call) if call.answer.is_none() => {
                    call.answer = Some(answer);
                    call.wake();
                }
                // An answer that nobody asked for.
                _ => {
                    drop(calls);
                    self.give_up();
                    calls = self.calls();
                }
            }
        }
        calls
    }
}

impl Calls {
    fn set_sleeper(&mut self, id: u64, sleeper: Option<Arc<Condvar>>) {
        if let Some(call) = self.waiting.get_mut(&id) {
            call.sleeper = sleeper;
        }
    }

    /// If nobody reads, and somebody sleeps, has him read.
    fn appoint_reader(&self) {
        if self.buffer.is_some() {
            let sleeping = |call: &&Call| call.sleeper.is_some() && call.answer.is_none();
            if let Some(call) = self.waiting.values().find(sleeping) {
                call.wake();
            }
        }
    }
}

impl Call {
    fn wake(&self) {
        if let Some(sleeper) = &self.sleeper {
            sleeper.notify_one();
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
