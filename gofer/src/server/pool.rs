//! The threads of the server.
//!
//! One thread receives a request, handles it, answers it, and receives the next: no hand-over, so
//! a request costs two context switches. Another thread is needed only when a request stalls, on a
//! slow disk or a network file system. To notice that costs nothing while the gofer is idle: the
//! first request after a pause wakes a **spare** thread (made then, if there is none), which looks
//! once per [`TICK`] whether requests move. If one has not, and nobody is receiving, the spare
//! takes over receiving; if there is nothing to do, it goes back to sleep. A thread that finishes
//! its request and finds another one receiving becomes a spare.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno as HostErrno;

use super::Server;
use super::dispatch::Answer;
use crate::errno::Errno;
use crate::protocol::{MAX_MESSAGE, encode_response};
use crate::transport;

/// For how long a request may take before another thread receives in its stead.
const TICK: Duration = Duration::from_millis(2);

/// Enough for a few kilobytes of buffers and paths; message buffers are on the heap.
const STACK: usize = 256 * 1024;

struct Pool {
    server: Arc<Server>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Threads that wait for a request.
    receiving: usize,
    /// Threads that wait to be needed.
    spares: usize,
    /// Whether one of them has been told to look at the clock, and has not begun to.
    alerted: bool,
    /// Whether one of them is looking at the clock.
    watching: bool,
    /// Requests answered.
    handled: u64,
    /// Set when the conversation has ended, to how.
    ended: Option<Result<(), HostErrno>>,
}

/// Serves until the socket closes. Threads that are stuck in a host call then are left behind: the
/// process is about to exit.
pub(super) fn run(server: Arc<Server>) -> io::Result<()> {
    let state = State { threads: 1, ..State::default() };
    let pool = Arc::new(Pool { server, state: Mutex::new(state), changed: Condvar::new() });
    pool.work(pool.state());
    match pool.state().ended {
        Some(Err(errno)) => Err(errno.into()),
        _ => Ok(()),
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives and answers, until the conversation ends.
    fn work(self: &Arc<Pool>, mut state: MutexGuard<'_, State>) {
        state.receiving += 1;
        drop(state);
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let received = transport::receive_bytes(&self.server.socket, &mut buffer);
            let mut state = self.state();
            state.receiving -= 1;
            let message = match received {
                Ok(length) if length > 0 => buffer.get(..length).unwrap_or_default(),
                // The sentry sends no empty messages: this is its end of the conversation.
                Ok(_) | Err(HostErrno::CONNRESET) => return self.end(state, Ok(())),
                Err(errno) => return self.end(state, Err(errno)),
            };
            if state.receiving == 0 && !state.watching && !state.alerted {
                self.alert(&mut state);
            }
            drop(state);
            if let Some(answer) = self.server.answer(message)
                && let Err(errno) = respond(&self.server.socket, answer)
            {
                let result = if errno == HostErrno::PIPE { Ok(()) } else { Err(errno) };
                return self.end(self.state(), result);
            }
            let mut state = self.state();
            state.handled = state.handled.wrapping_add(1);
            if state.receiving > 0 {
                state.spares += 1;
                let Some(needed) = self.be_spare(state) else { return };
                state = needed;
            }
            state.receiving += 1;
        }
    }

    fn end(&self, mut state: MutexGuard<'_, State>, result: Result<(), HostErrno>) {
        state.ended.get_or_insert(result);
        self.changed.notify_all();
    }

    /// Has a spare thread watch the clock.
    fn alert(self: &Arc<Pool>, state: &mut State) {
        if state.spares > 0 {
            state.alerted = true;
            self.changed.notify_one();
        } else if state.threads < self.server.threads {
            let pool = Arc::clone(self);
            let spawned = std::thread::Builder::new().stack_size(STACK).spawn(move || {
                if let Some(state) = pool.be_spare(pool.state()) {
                    pool.work(state);
                }
            });
            // Without it the server is slower, not wrong.
            if spawned.is_ok() {
                state.threads += 1;
                state.spares += 1;
                state.alerted = true;
            }
        }
    }

    /// Waits until a receiver is missing. `None` if the conversation has ended. The caller has
    /// counted itself among the spares.
    fn be_spare<'a>(&self, mut state: MutexGuard<'a, State>) -> Option<MutexGuard<'a, State>> {
        let mut stalled = false;
        while state.ended.is_none() && !stalled {
            if !state.alerted {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.alerted = false;
            state.watching = true;
            (state, stalled) = self.watch(state);
            state.watching = false;
        }
        state.spares -= 1;
        if state.ended.is_some() { None } else { Some(state) }
    }

    /// Looks at the clock while requests move. True if one stalls with nobody receiving; false if
    /// there is nothing to do.
    fn watch<'a>(&self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        loop {
            let before = state.handled;
            (state, _) =
                self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
            if state.ended.is_some() {
                return (state, false);
            }
            if state.handled == before {
                let stalled = state.receiving == 0;
                return (state, stalled);
            }
        }
    }
}

/// Sends an answer; one that cannot be sent as it is becomes an error.
fn respond(socket: &OwnedFd, answer: Answer) -> Result<(), HostErrno> {
    let Answer { id, result, fd } = answer;
    let Ok(message) = encode_response(id, &result) else {
        return respond_error(socket, id, Errno::ERANGE);
    };
    match transport::send(socket, &message, fd.as_ref().map(|fd| fd.as_fd())) {
        // The fd could not be passed on: too many on their way, or no room for it.
        Err(HostErrno::TOOMANYREFS | HostErrno::MFILE | HostErrno::NFILE) if fd.is_some() => {
            respond_error(socket, id, Errno::ENFILE)
        }
        Err(HostErrno::MSGSIZE | HostErrno::NOBUFS | HostErrno::NOMEM) => {
            respond_error(socket, id, Errno::EIO)
        }
        result => result,
    }
}

fn respond_error(socket: &OwnedFd, id: u64, errno: Errno) -> Result<(), HostErrno> {
    match encode_response(id, &Err(errno)) {
        Ok(message) => transport::send(socket, &message, None),
        Err(_) => Err(HostErrno::PROTO),
    }
}
