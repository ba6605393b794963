//! The processes of the platform: the launcher, which makes stubs, and the thread that is parent
//! of all and sees them end.
//!
//! Lock order: the launcher's lock, then the table's, then a process's own.

use super::launcher;
use super::layout::*;
use super::pipes::Pipes;
use super::process::{Memory, Process, RawOrder, gone};
use super::shared::Blocks;
use super::{filter, layout};
use crate::PAGE_SIZE;
use crate::stubs::placement::Placement;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

/// How many address spaces there can be at once; Linux's default pid_max.
const MAX_SPACES: usize = 32768;
/// How many guest threads there can be at once, or have been in address spaces that are left.
const MAX_AREAS: usize = 32768;
/// The reaper needs little.
const STACK_LEN: usize = 256 * 1024;

/// Blocks that are free.
struct Free {
    returned: Vec<u32>,
    /// The first that was never used.
    unused: u32,
}

impl Free {
    fn take(&mut self, blocks: &Blocks) -> io::Result<u32> {
        if let Some(block) = self.returned.pop() {
            return Ok(block);
        }
        if self.unused == blocks.count() {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        self.unused += 1;
        Ok(self.unused - 1)
    }
}

/// What the reaper and others share.
struct Table {
    memory: Arc<Memory>,
    state: Mutex<State>,
}

struct State {
    live: HashMap<i32, Arc<Process>>,
    /// Ended before they were entered above.
    early: HashSet<i32>,
    pages: Free,
    areas: Free,
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

    /// A child has ended: reaps it, and takes back what it had.
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
        let areas = process.ended(reap);
        for area in &areas {
            // The next address space must not see what this one left there.
            self.memory.areas.clear(*area);
        }
        self.memory.orders.clear(process.page);
        let mut state = self.state.lock();
        state.areas.returned.extend(areas);
        state.pages.returned.push(process.page);
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

/// The handle of it all. Dropping it ends the launcher and the reaper; every address space holds
/// one, so that there are no stubs then.
pub(super) struct Service {
    table: Arc<Table>,
    /// Locked while the launcher has an order.
    launcher: Mutex<Arc<Process>>,
    reaper: Option<JoinHandle<()>>,
    placement: Arc<Placement>,
}

impl Service {
    /// Starts the launcher and the reaper.
    pub(super) fn start() -> io::Result<Arc<Service>> {
        let memory = Arc::new(Memory {
            orders: Blocks::new(c"stub-orders", PAGE_SIZE as usize, MAX_SPACES)?,
            areas: Blocks::new(c"stub-areas", AREA_LEN, MAX_AREAS)?,
            pipes: Pipes::new()?,
        });
        // The first page is the launcher's.
        let state = State {
            live: HashMap::new(),
            early: HashSet::new(),
            pages: Free { returned: Vec::new(), unused: 1 },
            areas: Free { returned: Vec::new(), unused: 0 },
        };
        let table = Arc::new(Table { memory: memory.clone(), state: Mutex::new(state) });
        let constants = memory.orders.block(0);
        constants.set64(ORDERS_FD, memory.orders.fd() as u64);
        constants.set64(SENTRY, u64::from(std::process::id()));
        let (ready, started) = sync_channel(1);
        let reaper = std::thread::Builder::new()
            .name("stub-reaper".into())
            .stack_size(STACK_LEN)
            .spawn({
            let table = table.clone();
            move || {
                let pid = launcher::start(table.memory.orders.fd());
                let entered = pid.and_then(|pid| {
                    let launcher = Arc::new(Process::new(pid, 0, table.memory.clone()));
                    table.enter(&launcher).map(|()| launcher)
                });
                let _ = ready.send(entered);
                table.reap_all();
            }
        })?;
        let launcher = started.recv().map_err(|_| gone())??;
        Ok(Arc::new(Service {
            table,
            launcher: Mutex::new(launcher),
            reaper: Some(reaper),
            placement: Arc::new(Placement::new()),
        }))
    }

    /// Which CPU has how much to do.
    pub(super) fn placement(&self) -> &Arc<Placement> {
        &self.placement
    }

    /// A new stub process, with nothing mapped but the stub and no guest thread.
    pub(super) fn new_stub(&self) -> io::Result<Arc<Process>> {
        let memory = &self.table.memory;
        let page = self.table.state.lock().pages.take(&memory.orders)?;
        // Where the file's page was given back it reads as zeros, which are no orders.
        let order = RawOrder {
            nr: libc::SYS_clone,
            args: [filter::PROCESS_FLAGS as u64, 0, 0, 0, 0, memory.orders.offset(page)],
            kind: layout::CLONE_PROCESS,
        };
        let launcher = self.launcher.lock();
        let made = launcher.carry_out(&[order]).and_then(|pid| {
            let process = Arc::new(Process::new(pid, page, memory.clone()));
            self.table.enter(&process).map(|()| process)
        });
        drop(launcher);
        if made.is_err() {
            self.table.state.lock().pages.returned.push(page);
        }
        made
    }

    /// A free area, for a process that will have it until its end.
    pub(super) fn take_area(&self) -> io::Result<u32> {
        self.table.state.lock().areas.take(&self.table.memory.areas)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.launcher.lock().kill();
        if let Some(reaper) = self.reaper.take() {
            let _ = reaper.join();
        }
    }
}
