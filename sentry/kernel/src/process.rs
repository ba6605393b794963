//! The process table: who exists, and who is whose parent, process group and session.
//!
//! One lock for all of it, as the kernel's tasklist_lock. What needs several processes at once
//! (exit, wait4, setsid, kill of a group) happens under it, without blocking.

use crate::exit::WaitStatus;
use crate::group::ThreadGroup;
use crate::task::Task;
use crate::terminal::Terminal;
use abi::{Errno, SysResult};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A process, thread, process group or session id.
pub type Pid = i32;

/// The built-in init: adopts orphans and reaps them at once. It has no task.
pub const INIT: Pid = 1;

/// kernel.pid_max.
pub const PID_MAX: Pid = 32_768;

/// After the first round, ids below this are not used again, as in Linux.
const RESERVED: Pid = 300;

/// A process as the table knows it.
pub struct Process {
    /// What its threads share.
    pub group: Arc<ThreadGroup>,
    /// Its live threads, the leader first while it lives.
    pub tasks: Vec<Arc<Task>>,
    /// The parent; 0 for [`INIT`].
    pub parent: Pid,
    /// The parent's thread that made it; its end sends the parent death signal.
    pub parent_tid: Pid,
    /// Children that exist, zombies included.
    pub children: Vec<Pid>,
    /// Process group.
    pub pgid: Pid,
    /// Session.
    pub sid: Pid,
    /// Sent to the parent at the end; 0 is none, SIGCHLD the rule.
    pub exit_signal: i32,
    /// Set when all threads have ended.
    pub zombie: Option<WaitStatus>,
    /// How the leader ended, if it did while other threads live: the process's status then.
    pub leader_status: Option<WaitStatus>,
    /// Stopped by this signal, and no wait has seen it yet.
    pub stop_unseen: Option<abi::signal::Signal>,
    /// Continued, and no wait has seen it yet.
    pub continued_unseen: bool,
    /// The controlling terminal.
    pub tty: Option<Arc<Terminal>>,
    /// For a session leader whose terminal was hung up: the foreground group then; 0 is none.
    pub tty_old_pgrp: Pid,
    /// Who it was, for zombies.
    pub uid: u32,
    /// The leader's name, for zombies.
    pub comm: crate::task::Comm,
}

/// The table.
#[derive(Default)]
pub struct Table {
    processes: BTreeMap<Pid, Process>,
    tasks: BTreeMap<Pid, Arc<Task>>,
    last_pid: Pid,
    /// Set when the sandbox ends: nothing new may start.
    closed: bool,
}

/// The table behind its lock.
#[derive(Default)]
pub struct Processes(Mutex<Table>);

impl Processes {
    /// Locks the table.
    pub fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock()
    }
}

impl Table {
    /// A free id. EAGAIN where there is none. An id in use as a group or session is not free.
    pub fn allocate_pid(&mut self) -> SysResult<Pid> {
        if self.closed {
            return Err(Errno::EAGAIN);
        }
        for step in 0..PID_MAX {
            let mut pid = self.last_pid + 1 + step;
            if pid >= PID_MAX {
                pid = RESERVED + (pid - PID_MAX) % (PID_MAX - RESERVED);
            }
            let used = self.tasks.contains_key(&pid)
                || self.processes.contains_key(&pid)
                || self.processes.values().any(|p| p.pgid == pid || p.sid == pid);
            if !used {
                self.last_pid = pid;
                return Ok(pid);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Adds a process.
    pub fn add_process(&mut self, process: Process) {
        let pid = process.group.pid();
        self.last_pid = self.last_pid.max(pid);
        if let Some(parent) = self.processes.get_mut(&process.parent) {
            parent.children.push(pid);
        }
        self.processes.insert(pid, process);
    }

    /// Adds a thread to its process, which exists.
    pub fn add_task(&mut self, task: &Arc<Task>) {
        if let Some(process) = self.processes.get_mut(&task.group().pid()) {
            process.tasks.push(task.clone());
        }
        self.tasks.insert(task.tid(), task.clone());
    }

    /// Takes a thread out of the table.
    pub fn remove_task(&mut self, task: &Arc<Task>) {
        self.tasks.remove(&task.tid());
        if let Some(process) = self.processes.get_mut(&task.group().pid()) {
            process.tasks.retain(|other| !Arc::ptr_eq(other, task));
        }
    }

    /// exec from a thread: `task` takes over the id of its group's leader, who has ended.
    pub fn become_leader(&mut self, task: &Arc<Task>) {
        self.tasks.remove(&task.tid());
        task.set_tid(task.group().pid());
        self.tasks.insert(task.tid(), task.clone());
        if let Some(process) = self.processes.get_mut(&task.group().pid()) {
            process.leader_status = None;
        }
    }

    /// Takes a zombie out of the table.
    pub fn reap(&mut self, pid: Pid) -> Option<Process> {
        let process = self.processes.remove(&pid)?;
        if let Some(parent) = self.processes.get_mut(&process.parent) {
            parent.children.retain(|child| *child != pid);
        }
        process.group.set_reaped();
        Some(process)
    }

    /// The thread with this id.
    pub fn task(&self, tid: Pid) -> Option<&Arc<Task>> {
        self.tasks.get(&tid)
    }

    /// The process with this id, zombies included.
    pub fn process(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// The process with this id, zombies included.
    pub fn process_mut(&mut self, pid: Pid) -> Option<&mut Process> {
        self.processes.get_mut(&pid)
    }

    /// All processes, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// The number of threads.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// The last id given out, for /proc/loadavg.
    pub fn last_pid(&self) -> Pid {
        self.last_pid
    }

    /// The processes of a process group.
    pub fn members(&self, pgid: Pid) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(move |process| process.pgid == pgid)
    }

    /// No process starts any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// A process group is orphaned if no member has a parent in another group of the session.
    pub fn is_orphaned(&self, pgid: Pid) -> bool {
        !self.members(pgid).filter(|process| process.zombie.is_none()).any(|process| {
            self.processes.get(&process.parent).is_some_and(|parent| {
                parent.group.pid() != INIT && parent.pgid != pgid && parent.sid == process.sid
            })
        })
    }

    /// setsid(2). EPERM for the leader of a process group.
    pub fn set_session(&mut self, pid: Pid) -> SysResult<Pid> {
        if self.members(pid).next().is_some() {
            return Err(Errno::EPERM);
        }
        let process = self.processes.get_mut(&pid).ok_or(Errno::ESRCH)?;
        process.sid = pid;
        process.pgid = pid;
        process.tty = None;
        Ok(pid)
    }

    /// setpgid(2), `pid` and `pgid` as given (0: the caller, 0: the same as pid).
    pub fn set_process_group(&mut self, caller: Pid, pid: Pid, pgid: Pid) -> SysResult<()> {
        if pgid < 0 {
            return Err(Errno::EINVAL);
        }
        let pid = if pid == 0 { caller } else { pid };
        let pgid = if pgid == 0 { pid } else { pgid };
        let caller_sid = self.processes.get(&caller).ok_or(Errno::ESRCH)?.sid;
        let process = self.processes.get(&pid).ok_or(Errno::ESRCH)?;
        if pid != caller {
            if process.parent != caller {
                return Err(Errno::ESRCH);
            }
            if process.sid != caller_sid {
                return Err(Errno::EPERM);
            }
            if process.group.did_exec.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(Errno::EACCES);
            }
        }
        if process.sid == pid {
            return Err(Errno::EPERM);
        }
        if pgid != pid && !self.members(pgid).any(|member| member.sid == caller_sid) {
            return Err(Errno::EPERM);
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.pgid = pgid;
        }
        Ok(())
    }
}
