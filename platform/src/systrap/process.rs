//! One stub process, or the launcher, as the sentry knows it: alive or dead, and how it is given
//! orders.

use super::layout::*;
use super::pipes::Pipes;
use super::shared::{Blocks, OwnedBlock, store_and_wake};
use crate::stubs::threads;
use parking_lot::Mutex;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32};

/// What all processes share.
pub(super) struct Memory {
    /// Pages of orders.
    pub(super) orders: Arc<Blocks>,
    /// Areas of threads.
    pub(super) areas: Arc<Blocks>,
    pub(super) pipes: Pipes,
}

/// See the module's comment.
pub(super) struct Process {
    pub(super) pid: i32,
    /// Its page of orders.
    page: OwnedBlock,
    memory: Arc<Memory>,
    alive: AtomicBool,
    /// Held while a signal is sent and while the process is reaped, so that no signal goes to
    /// another process of the same id.
    state: Mutex<State>,
    /// The CPU that its first thread is pinned to.
    cpu: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Areas that it has mapped; kept until its end.
    areas: Vec<Arc<OwnedBlock>>,
    /// Where somebody waits for a result.
    waiter: Option<RawFd>,
}

/// The error for a process that has vanished.
pub(super) fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "a stub process was killed")
}

/// One order: the number of a call, its arguments, and what comes after it.
#[derive(Clone, Copy)]
pub(super) struct RawOrder {
    pub(super) nr: i64,
    pub(super) args: [u64; 6],
    pub(super) kind: u64,
}

impl Process {
    pub(super) fn new(pid: i32, page: OwnedBlock, memory: Arc<Memory>) -> Process {
        Process {
            pid,
            page,
            memory,
            alive: AtomicBool::new(true),
            state: Mutex::default(),
            cpu: AtomicUsize::new(usize::MAX),
        }
    }

    /// Whether it has not been reaped. To be asked after a store of a state word and before the
    /// wait for its change: then the end of the process is never missed.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(SeqCst)
    }

    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Notes that an area is (about to be) mapped there.
    pub(super) fn add_area(&self, area: &Arc<OwnedBlock>) {
        self.state.lock().areas.push(area.clone());
    }

    /// Kills it. Its end comes later.
    pub(super) fn kill(&self) {
        let _alive = self.state.lock();
        if self.is_alive() {
            // SAFETY: two numbers; the id is of a child that is not reaped.
            unsafe { libc::syscall(libc::SYS_kill, self.pid, libc::SIGKILL) };
        }
    }

    /// Gets one of its threads out of guest code. False: there is no such thread.
    pub(super) fn kick(&self, tid: i32) -> bool {
        let _alive = self.state.lock();
        self.is_alive() && threads::kick(self.pid, tid)
    }

    /// The process has ended: `reap` reaps it. Wakes all who wait.
    pub(super) fn ended(&self, reap: impl FnOnce()) {
        let mut state = self.state.lock();
        reap();
        self.alive.store(false, SeqCst);
        for area in state.areas.drain(..) {
            store_and_wake(area.block().word(STATE), 0);
        }
        if let Some(fd) = state.waiter.take() {
            self.memory.pipes.write(fd);
        }
    }

    /// Brings the first thread to the CPU of the caller, which is about to wait for it.
    fn come_here(&self) {
        if let Some(cpu) = threads::current_cpu()
            && self.cpu.swap(cpu, Relaxed) != cpu
        {
            threads::set_affinity(self.pid, cpu);
        }
    }

    /// Has the first thread carry out any number of orders, of which only the last may be a clone.
    pub(super) fn carry_out_all(&self, orders: &[RawOrder]) -> io::Result<i32> {
        orders.chunks(MAX_ORDERS).try_fold(0, |_, chunk| self.carry_out(chunk))
    }

    /// Has the first thread carry out orders, at most [`MAX_ORDERS`], of which only the last may
    /// be a clone; the id that this gives, or 0. Nobody else may give it orders at the same time.
    pub(super) fn carry_out(&self, orders: &[RawOrder]) -> io::Result<i32> {
        let pipe = self.memory.pipes.take();
        {
            let mut state = self.state.lock();
            if !self.is_alive() {
                return Err(gone());
            }
            state.waiter = Some(pipe.write_fd());
        }
        let page = self.page.block();
        for (index, order) in orders.iter().enumerate() {
            let at = FIRST_ORDER + index * ORDER_LEN;
            page.set64(at, order.nr as u64);
            for (index, arg) in order.args.iter().enumerate() {
                page.set64(at + 8 + index * 8, *arg);
            }
            page.set64(at + 56, order.kind);
        }
        page.word(COUNT).store(orders.len() as u32, Relaxed);
        page.set64(REPLY, pipe.write_fd() as u64);
        self.come_here();
        let sequence: &AtomicU32 = page.word(SEQUENCE);
        store_and_wake(sequence, sequence.load(Relaxed).wrapping_add(1));
        let cloned = orders.last().is_some_and(|order| order.kind != PLAIN);
        let answer = self.answer(&pipe, cloned);
        self.state.lock().waiter = None;
        if !self.is_alive() {
            // It may have told something, and its end may have been told too: nothing more comes.
            pipe.drain();
        }
        answer
    }

    /// Receives the result of orders.
    fn answer(&self, pipe: &super::pipes::Pipe<'_>, cloned: bool) -> io::Result<i32> {
        let next = || {
            let len = pipe.read()?;
            if self.is_alive() { Ok(len as i32) } else { Err(gone()) }
        };
        match next()? {
            1 if cloned => {
                let low = next()? - 1;
                let high = next()? - 1;
                Ok(low | high << 12)
            }
            1 => Ok(0),
            error => Err(io::Error::from_raw_os_error(error - 1)),
        }
    }
}
