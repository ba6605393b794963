//! Whom a file is about.

use super::access;
use crate::proc::Proc;
use abi::time::Timespec;
use abi::{Errno, SysResult};
use kernel::process::Process;
use kernel::{Kernel, Pid, Task, Terminal, ThreadGroup, WaitStatus};
use mm::MemoryManager;
use std::sync::{Arc, Weak};
use vfs::Attr;

/// A process or a thread, by name: it may have ended.
#[derive(Clone)]
pub(crate) struct Subject {
    pub proc: Arc<Proc>,
    group: Weak<ThreadGroup>,
    tid: Pid,
    whole: bool,
}

/// A process or a thread as it is at one moment.
pub(crate) struct Live {
    pub kernel: Arc<Kernel>,
    pub group: Arc<ThreadGroup>,
    /// None where the thread has ended, but is still to be waited for.
    pub task: Option<Arc<Task>>,
    pub tid: Pid,
    /// The file shows the process, not the thread alone.
    pub whole: bool,
    pub parent: Pid,
    pub pgid: Pid,
    pub sid: Pid,
    pub tty: Option<Arc<Terminal>>,
    pub exit_signal: i32,
    pub threads: usize,
    /// How it ended.
    pub ended: Option<WaitStatus>,
    /// Real user of one that has ended.
    uid: u32,
    /// Name of one that has ended.
    comm: Vec<u8>,
}

/// The states of a task, as proc(5) names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Sleeping,
    Stopped,
    Zombie,
}

impl State {
    /// The letter in `stat`.
    pub fn letter(self) -> char {
        match self {
            State::Running => 'R',
            State::Sleeping => 'S',
            State::Stopped => 'T',
            State::Zombie => 'Z',
        }
    }

    /// The word in `status`.
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Sleeping => "sleeping",
            State::Stopped => "stopped",
            State::Zombie => "zombie",
        }
    }
}

/// The state of a thread that has not ended.
pub(crate) fn task_state(task: &Arc<Task>) -> State {
    if kernel::current().is_some_and(|current| Arc::ptr_eq(&current, task)) {
        State::Running
    } else if task.group().is_stopped() {
        State::Stopped
    } else if task.clock.is_blocked() {
        State::Sleeping
    } else {
        State::Running
    }
}

impl Subject {
    /// The thread `tid` of `group`; `whole`: as the process.
    pub fn new(proc: &Arc<Proc>, group: &Arc<ThreadGroup>, tid: Pid, whole: bool) -> Subject {
        Subject { proc: proc.clone(), group: Arc::downgrade(group), tid, whole }
    }

    pub fn tid(&self) -> Pid {
        self.tid
    }

    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// What it is now. ESRCH where it has ended and been waited for.
    pub fn live(&self) -> SysResult<Live> {
        let kernel = self.proc.kernel()?;
        let group = self.group.upgrade().ok_or(Errno::ESRCH)?;
        let table = kernel.processes.lock();
        let process = table.process(group.pid()).filter(|p| Arc::ptr_eq(&p.group, &group));
        let live = process.and_then(|process| self.snapshot(&kernel, process));
        drop(table);
        live.ok_or(Errno::ESRCH)
    }

    fn snapshot(&self, kernel: &Arc<Kernel>, process: &Process) -> Option<Live> {
        let task = process.tasks.iter().find(|task| task.tid() == self.tid).cloned();
        if task.is_none() && self.tid != process.group.pid() {
            return None;
        }
        let ended = match task {
            Some(_) => None,
            None => process.zombie.or(process.leader_status),
        };
        Some(Live {
            kernel: kernel.clone(),
            group: process.group.clone(),
            task,
            tid: self.tid,
            whole: self.whole,
            parent: process.parent,
            pgid: process.pgid,
            sid: process.sid,
            tty: process.tty.clone(),
            exit_signal: process.exit_signal,
            threads: process.tasks.len().max(1),
            ended,
            uid: process.uid,
            comm: process.comm.as_bytes().to_vec(),
        })
    }

    /// The thread, which has not ended: ENOENT, as the links of /proc/PID say.
    pub fn task(&self) -> SysResult<Arc<Task>> {
        self.live().ok().and_then(|live| live.task).ok_or(Errno::ENOENT)
    }

    /// As [`Subject::task`], but EACCES unless the current task may look into it.
    pub fn task_to_inspect(&self) -> SysResult<Arc<Task>> {
        let live = self.live().map_err(|_| Errno::ENOENT)?;
        access::check(&live)?;
        live.task.ok_or(Errno::ENOENT)
    }

    /// Attributes of a file of it: `attr` with its owner and times. ENOENT where it is gone.
    pub fn attr(&self, attr: Attr) -> SysResult<Attr> {
        let live = self.live().map_err(|_| Errno::ENOENT)?;
        let (uid, gid) = live.owner(attr.mode);
        let time = live.start_time();
        Ok(Attr { uid, gid, atime: time, mtime: time, ctime: time, ..attr })
    }
}

impl Live {
    /// Its state.
    pub fn state(&self) -> State {
        self.task.as_ref().map_or(State::Zombie, task_state)
    }

    /// Its name.
    pub fn comm(&self) -> Vec<u8> {
        self.task.as_ref().map_or_else(|| self.comm.clone(), |t| t.comm().as_bytes().to_vec())
    }

    /// Its memory; None where it has ended.
    pub fn mm(&self) -> Option<Arc<MemoryManager>> {
        self.task.as_ref().map(|task| task.mm())
    }

    /// Who its files belong to: its effective ids; root where others, who may have the same ids,
    /// shall not look into it (as task_dump_owner in the kernel).
    pub fn owner(&self, mode: u32) -> (u32, u32) {
        let is_public_dir = mode & 0o170_777 == 0o040_555;
        let Some(task) = &self.task else {
            return if is_public_dir { (self.uid, self.uid) } else { (0, 0) };
        };
        if !is_public_dir && !access::is_dumpable(&self.group) {
            return (0, 0);
        }
        let cred = task.cred();
        (cred.euid, cred.egid)
    }

    /// Real user.
    pub fn uid(&self) -> u32 {
        self.task.as_ref().map_or(self.uid, |task| task.cred().uid)
    }

    /// When it was made, in ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        let since_boot = self.group.start.saturating_duration_since(self.kernel.boot);
        (since_boot.as_nanos() / u128::from(kernel::time::NANOS_PER_TICK)) as u64
    }

    fn start_time(&self) -> Timespec {
        let age = self.group.start.elapsed().as_nanos() as i64;
        Timespec::from_nanos(kernel::time::realtime().as_nanos().saturating_sub(age))
    }

    /// What the process, or the thread, has used.
    pub fn resources(&self) -> kernel::ResourceUsage {
        match &self.task {
            Some(task) if !self.whole => task.usage(),
            _ => self.kernel.process_usage(&self.group),
        }
    }

    /// User and system time in ns: of the process, or of the thread.
    pub fn times(&self) -> (u64, u64) {
        match &self.task {
            Some(task) if !self.whole => task.clock.times(),
            _ => self.kernel.process_times(&self.group),
        }
    }
}
