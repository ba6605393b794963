//! The end of tasks and processes: exit(2), exit_group(2), and what a parent learns of it.

use crate::kernel::Kernel;
use crate::process::{INIT, Pid, Table};
use crate::signal::Target;
use crate::task::Task;
use abi::UserAddr;
use abi::signal::{SIG_IGN, SigInfo, Signal};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// exit(2) with this code (0 to 255).
    Exited(i32),
    /// By this signal.
    Signaled {
        /// Which.
        signal: Signal,
        /// Said to have dumped core.
        core: bool,
    },
    /// The platform lost it; only the sandbox's own status.
    Lost,
}

impl WaitStatus {
    /// The `int` that wait4(2) stores.
    pub fn to_user(self) -> i32 {
        match self {
            WaitStatus::Exited(code) => (code & 0xff) << 8,
            WaitStatus::Signaled { signal, core } => signal.number() | if core { 0x80 } else { 0 },
            WaitStatus::Lost => libc::SIGKILL,
        }
    }

    /// `si_code` and `si_status` of SIGCHLD and waitid(2).
    pub fn to_siginfo(self) -> (i32, i32) {
        match self {
            WaitStatus::Exited(code) => (libc::CLD_EXITED, code & 0xff),
            WaitStatus::Signaled { signal, core: true } => (libc::CLD_DUMPED, signal.number()),
            WaitStatus::Signaled { signal, core: false } => (libc::CLD_KILLED, signal.number()),
            WaitStatus::Lost => (libc::CLD_KILLED, libc::SIGKILL),
        }
    }
}

impl Task {
    /// exit(2): this thread ends at its next return to the guest.
    pub fn exit_thread(self: &Arc<Task>, code: i32) -> WaitStatus {
        let status = WaitStatus::Exited(code & 0xff);
        *self.own_exit.lock() = Some(status);
        self.kill();
        status
    }

    /// exit_group(2), and the end by a signal: all threads end at their next chance. Returns how
    /// the process really ends: the first who says so decides.
    pub fn exit_group(self: &Arc<Task>, status: WaitStatus) -> WaitStatus {
        let table = self.kernel().processes.lock();
        let decided = {
            let mut group = self.group().signals.lock();
            group.stop = None;
            *group.exit.get_or_insert(status)
        };
        if let Some(process) = table.process(self.group().pid()) {
            process.tasks.iter().for_each(|task| task.kill());
        }
        decided
    }

    /// reboot(2) from inside: the first process ends by `signal`, and everything with it.
    pub fn end_sandbox(self: &Arc<Task>, signal: Signal) {
        let first = {
            let table = self.kernel().processes.lock();
            table.process(crate::init::FIRST).and_then(|process| process.tasks.first().cloned())
        };
        let status = WaitStatus::Signaled { signal, core: false };
        match first {
            Some(first) => drop(first.exit_group(status)),
            // It is on its way out already.
            None => drop(self.exit_group(status)),
        }
    }

    /// Ends this task. `status` is how, should it be the last of its process.
    pub(crate) fn exit(self: &Arc<Task>, status: WaitStatus) {
        self.release_futexes(true);
        self.release_memory(true);
        self.release_sem_undo();
        // The last user of a table closes what is in it.
        drop(self.set_files(vfs::FdTable::new()));
        self.kernel().end_task(self, status);
    }

    /// Lets go of the memory, for exit and exec: the vfork parent goes on, the joiner is woken.
    pub(crate) fn release_memory(self: &Arc<Task>, ends: bool) {
        let mm = self.mm();
        let clear = self.clear_child_tid.swap(0, Ordering::Relaxed);
        // As Linux: only if somebody else can see it.
        if clear != 0 && Arc::strong_count(&mm) > 2 && mm.write(UserAddr(clear), &0u32).is_ok() {
            self.kernel().futexes.wake_at(&mm, UserAddr(clear));
        }
        let done = self.vfork_done.lock().take();
        if let Some(done) = done {
            done.complete();
        }
        if ends {
            self.kernel().release_mm(self, mm);
        }
    }
}

impl Kernel {
    /// The task does not use this memory any more: free it if nobody else does.
    pub(crate) fn release_mm(&self, task: &Arc<Task>, mm: Arc<mm::MemoryManager>) {
        let table = self.processes.lock();
        let uses = |other: &Arc<Task>| !Arc::ptr_eq(other, task) && Arc::ptr_eq(&other.mm(), &mm);
        let used = table.iter().flat_map(|process| &process.tasks).any(uses);
        drop(table);
        if !used {
            task.group().note_resident(&mm);
            self.ipc.shm.note_exit(&mm, task.group().pid());
            mm.clear();
        }
    }

    fn end_task(&self, task: &Arc<Task>, status: WaitStatus) {
        let group = task.group();
        let pid = group.pid();
        let mut table = self.processes.lock();
        group.usage.lock().ended.add(&task.clock.usage());
        table.remove_task(task);
        signal_orphans_of_thread(&mut table, task);
        let Some(process) = table.process_mut(pid) else { return };
        if task.is_leader() {
            process.leader_status = Some(status);
            process.comm = task.comm();
        }
        process.uid = task.cred().uid;
        let left = process.tasks.len();
        {
            let mut state = group.signals.lock();
            // The one who calls exec waits for the others to go.
            if state.exec_by.is_some() {
                group.child_events.notify(2);
            }
            if left > 0 {
                let all_stopped = state.stop.is_some() && state.stopped_threads == left;
                let signal = state.stop;
                drop(state);
                if let (true, Some(signal)) = (all_stopped, signal) {
                    process.stop_unseen = Some(signal);
                    crate::signal::notify_parent(
                        &mut table,
                        pid,
                        libc::CLD_STOPPED,
                        signal.number(),
                    );
                }
                return;
            }
            let own = process.leader_status.unwrap_or(status);
            let decided = *state.exit.get_or_insert(own);
            process.zombie = Some(decided);
        }
        group.timers.cancel();
        group.set_exe(None);
        group.set_ended();
        self.end_process(&mut table, pid);
    }

    /// All threads of the process have ended: children get a new parent, the old parent a signal.
    fn end_process(&self, table: &mut Table, pid: Pid) {
        reparent_children(table, pid);
        let Some(process) = table.process(pid) else { return };
        let (parent, pgid, exit_signal) = (process.parent, process.pgid, process.exit_signal);
        let Some(status) = process.zombie else { return };
        let group = process.group.clone();
        self.orphan_stopped_groups(table, pid, pgid);
        crate::terminal::disassociate(table, pid, true);
        if pid == crate::init::FIRST {
            // The first process is gone: so is the sandbox.
            table.close();
            let all: Vec<Arc<Task>> = table.iter().flat_map(|p| p.tasks.clone()).collect();
            all.iter().for_each(|task| task.kill());
            self.finish(status);
        }
        if parent == INIT || table.process(parent).is_none() {
            table.reap(pid);
            return;
        }
        let Some(parent_group) = table.process(parent).map(|p| p.group.clone()) else { return };
        let action = parent_group.actions().get(Signal::SIGCHLD);
        let unwanted = action.handler == SIG_IGN || action.flags & libc::SA_NOCLDWAIT as u64 != 0;
        if let Ok(signal) = Signal::new(exit_signal) {
            let (code, value) = status.to_siginfo();
            let uid = table.process(pid).map_or(0, |p| p.uid);
            let (user, system) = group.cpu_times();
            let ticks = |nanos: u64| nanos / crate::time::NANOS_PER_TICK;
            let mut info = SigInfo::child(code, pid, uid, value, ticks(user), ticks(system));
            info.signo = exit_signal;
            if signal != Signal::SIGCHLD || action.handler != SIG_IGN {
                let _ = crate::signal::send_locked(table, Target::Group(&parent_group), info);
            }
        }
        if unwanted && exit_signal == libc::SIGCHLD {
            table.reap(pid);
        }
        parent_group.child_events.notify(1);
    }

    /// A process group that becomes orphaned by this exit, with stopped members, is woken up.
    fn orphan_stopped_groups(&self, table: &mut Table, pid: Pid, pgid: Pid) {
        let mut candidates = vec![pgid];
        let children = table.process(pid).map(|p| p.children.clone()).unwrap_or_default();
        candidates.extend(children.iter().filter_map(|c| table.process(*c)).map(|p| p.pgid));
        candidates.sort_unstable();
        candidates.dedup();
        for pgid in candidates {
            let stopped = table.members(pgid).any(|p| p.group.signals.lock().stop.is_some());
            if !stopped || !table.is_orphaned(pgid) {
                continue;
            }
            let groups: Vec<_> = table.members(pgid).map(|p| p.group.clone()).collect();
            for group in groups {
                for signal in [Signal::SIGHUP, Signal::SIGCONT] {
                    let info = SigInfo::new(signal, libc::SI_KERNEL);
                    let _ = crate::signal::send_locked(table, Target::Group(&group), info);
                }
            }
        }
    }
}

/// PR_SET_PDEATHSIG of the children that this thread made.
fn signal_orphans_of_thread(table: &mut Table, task: &Arc<Task>) {
    let tid = task.tid();
    let children =
        table.process(task.group().pid()).map(|p| p.children.clone()).unwrap_or_default();
    for child in children {
        let Some(process) = table.process(child) else { continue };
        if process.parent_tid != tid {
            continue;
        }
        let group = process.group.clone();
        let wanted =
            process.tasks.iter().find_map(|task| Signal::new(task.parent_death_signal()).ok());
        if let Some(signal) = wanted {
            let info = SigInfo::new(signal, libc::SI_USER);
            let _ = crate::signal::send_locked(table, Target::Group(&group), info);
        }
    }
}

/// Children go to the nearest subreaper above, or to init.
fn reparent_children(table: &mut Table, pid: Pid) {
    let Some(process) = table.process_mut(pid) else { return };
    let children = std::mem::take(&mut process.children);
    let mut ancestor = process.parent;
    let new_parent = loop {
        let Some(candidate) = table.process(ancestor) else { break INIT };
        let alive = candidate.zombie.is_none() && ancestor != INIT;
        if ancestor == INIT || alive && candidate.group.child_subreaper.load(Ordering::Relaxed) {
            break ancestor;
        }
        ancestor = candidate.parent;
    };
    for child in children {
        let Some(process) = table.process_mut(child) else { continue };
        process.parent = new_parent;
        process.parent_tid = new_parent;
        process.exit_signal = libc::SIGCHLD;
        let is_zombie = process.zombie.is_some();
        if let Some(parent) = table.process_mut(new_parent) {
            parent.children.push(child);
        }
        match (is_zombie, new_parent) {
            (true, INIT) => drop(table.reap(child)),
            (true, _) => {
                if let Some(parent) = table.process(new_parent) {
                    parent.group.child_events.notify(1);
                }
            }
            _ => {}
        }
    }
}
