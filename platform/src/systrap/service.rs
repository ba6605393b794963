//! The processes of the platform: the launcher, which makes stubs, and the thread that is parent
//! of all and sees them end.
//!
//! Lock order: the launcher's lock, then the table's, then a process's own.

use super::layout::*;
use super::pipes::Pipes;
use super::process::{Memory, Process, RawOrder, gone};
use super::shared::Blocks;
use super::thread::HostThread;
use super::{filter, launcher};
use crate::PAGE_SIZE;
use crate::stubs::placement::Placement;
use crate::stubs::threads;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;

/// How many address spaces there can be at once; Linux's default pid_max.
const MAX_SPACES: usize = 32768;
/// How many guest threads there can be at once, or have been in address spaces that are left.
const MAX_AREAS: usize = 32768;
/// How many stubs wait ready-made. Making one takes several turns across CPUs; a shell that forks
/// needs one at a time.
const POOL: usize = 2;
/// The threads need little.
const STACK_LEN: usize = 256 * 1024;

/// What the reaper and others share.
struct Table {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: HashMap<i32, Arc<Process>>,
    /// Ended before they were entered above.
    early: HashSet<i32>,
}

impl Table {
    fn enter(&self, process: &Arc<Process>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.early.remove(&process.pid) {
            return Err(gone());
        }
        state.live.insert(process.pid, process.clone());
        Ok(())
    }

    /// A child has ended: reaps it, and tells who waits.
    fn ended(&self, pid: i32) {
        let reap = || {
            // SAFETY: a child of this thread that has ended; its status is not wanted.
            unsafe { libc::syscall(libc::SYS_wait4, pid, 0, libc::__WALL, 0) };
        };
        let mut state = self.state.lock();
        let Some(process) = state.live.remove(&pid) else {
            reap();
            state.early.insert(pid);
            return;
        };
        drop(state);
        process.ended(reap);
    }

    /// Waits for children of the calling thread to end, until there are none.
    fn reap_all(&self) {
        loop {
            // SAFETY: siginfo_t is plain data, for which zero is a value.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let options = libc::WEXITED | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
            // SAFETY: the kernel writes one siginfo_t. WNOWAIT: the id stays taken until `ended`.
            if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) } == 0 {
                // SAFETY: waitid has filled in the members for SIGCHLD.
                self.ended(unsafe { info.si_pid() });
            } else if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                // ECHILD: all have ended, the launcher too.
                return;
            }
        }
    }
}

/// How stubs are made.
struct Maker {
    table: Arc<Table>,
    memory: Arc<Memory>,
    /// Locked while the launcher has an order.
    launcher: Mutex<Arc<Process>>,
    pool: Mutex<VecDeque<HostThread>>,
}

impl Maker {
    /// A new stub process, with nothing mapped but the stub.
    fn new_process(&self) -> io::Result<Arc<Process>> {
        // It reads as zeros, which are no orders.
        let page = self.memory.orders.take()?;
        let order = RawOrder {
            nr: libc::SYS_clone,
            args: [filter::PROCESS_FLAGS as u64, 0, 0, 0, 0, page.offset()],
            kind: CLONE_PROCESS,
        };
        let launcher = self.launcher.lock();
        let pid = launcher.carry_out(&[order])?;
        let process = Arc::new(Process::new(pid, page, self.memory.clone()));
        self.table.enter(&process)?;
        Ok(process)
    }

    /// The first host thread of a new stub process.
    fn new_stub(&self) -> io::Result<HostThread> {
        let process = self.new_process()?;
        let thread = self
            .memory
            .areas
            .take()
            .and_then(|area| HostThread::new(&process, Vec::new(), Arc::new(area), 0, false));
        if thread.is_err() {
            process.kill();
        }
        thread
    }

    fn refill(&self) {
        while self.pool.lock().len() < POOL {
            match self.new_stub() {
                Ok(stub) => self.pool.lock().push_back(stub),
                Err(error) => {
                    // Whoever needs a stub gets this error when asking for it.
                    tracing::debug!(%error, "cannot make a stub in advance");
                    return;
                }
            }
        }
    }
}

/// The handle of it all. Dropping it ends the launcher, idle stubs and the threads; every address
/// space holds one, so that there are no other stubs then.
pub(super) struct Service {
    maker: Arc<Maker>,
    /// Each message: the pool is to be filled up.
    refills: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    /// The host thread id of the maker's thread, and the CPU it is pinned to.
    maker_tid: i32,
    maker_cpu: AtomicUsize,
    placement: Arc<Placement>,
}

impl Service {
    /// Starts the launcher and the threads.
    pub(super) fn start() -> io::Result<Arc<Service>> {
        let memory = Arc::new(Memory {
            orders: Blocks::new(c"stub-orders", PAGE_SIZE as usize, MAX_SPACES)?,
            areas: Blocks::new(c"stub-areas", AREA_LEN, MAX_AREAS)?,
            pipes: Pipes::new()?,
        });
        let table = Arc::new(Table { state: Mutex::default() });
        // The first page, which the launcher maps.
        let page = memory.orders.take()?;
        page.block().set64(ORDERS_FD, memory.orders.fd() as u64);
        page.block().set64(SENTRY, u64::from(std::process::id()));
        let (ready, started) = sync_channel(1);
        let thread =
            |name: &str| std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_LEN);
        let reaper = thread("stub-reaper").spawn({
            let (table, memory) = (table.clone(), memory.clone());
            move || {
                let pid = launcher::start(memory.orders.fd());
                let entered = pid.and_then(|pid| {
                    let launcher = Arc::new(Process::new(pid, page, memory));
                    table.enter(&launcher).map(|()| launcher)
                });
                let _ = ready.send(entered);
                table.reap_all();
            }
        })?;
        let launcher = started.recv().map_err(|_| gone())??;
        let maker = Arc::new(Maker {
            table,
            memory,
            launcher: Mutex::new(launcher),
            pool: Mutex::default(),
        });
        let (refills, inbox) = channel();
        // Made before what can fail, so that all is ended in any case.
        let mut service = Service {
            maker: maker.clone(),
            refills: Some(refills),
            threads: vec![reaper],
            maker_tid: 0,
            maker_cpu: AtomicUsize::new(usize::MAX),
            placement: Arc::new(Placement::new()),
        };
        let (ready, started) = sync_channel(1);
        service.threads.push(thread("stub-maker").spawn(move || {
            let _ = ready.send(threads::current_thread());
            while inbox.recv().is_ok() {
                maker.refill();
            }
        })?);
        service.maker_tid = started.recv().map_err(|_| gone())?;
        Ok(Arc::new(service))
    }

    /// Which CPU has how much to do.
    pub(super) fn placement(&self) -> &Arc<Placement> {
        &self.placement
    }

    /// The first host thread of a new stub process, from the pool where there is one.
    pub(super) fn new_stub(&self) -> io::Result<HostThread> {
        let ready = self.maker.pool.lock().pop_front();
        // Another is made where that disturbs least.
        if let Some(cpu) = self.placement.idlest()
            && self.maker_cpu.swap(cpu, Relaxed) != cpu
        {
            threads::set_affinity(self.maker_tid, cpu);
        }
        let _ = self.refills.as_ref().ok_or_else(gone)?.send(());
        match ready {
            Some(stub) => Ok(stub),
            None => self.maker.new_stub(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The maker first, so that it makes no more.
        self.refills = None;
        if self.threads.len() > 1
            && let Some(thread) = self.threads.pop()
        {
            let _ = thread.join();
        }
        for stub in self.maker.pool.lock().drain(..) {
            stub.process().kill();
        }
        self.maker.launcher.lock().kill();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
