//! A process: what its threads share.

use crate::exit::WaitStatus;
use crate::limits::Limits;
use crate::process::Pid;
use crate::signal::{PendingQueue, SignalActions};
use crate::time::ProcessTimers;
use crate::usage::GroupUsage;
use abi::file::PollEvents;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use wait::WaitQueue;

/// A process. Its place among others (parent, children, process group, session) and its threads
/// are in the process table.
pub struct ThreadGroup {
    pid: Pid,
    /// Handlers; shared with another process after clone(CLONE_SIGHAND) without CLONE_THREAD.
    actions: RwLock<Arc<SignalActions>>,
    pub(crate) signals: Mutex<GroupSignals>,
    limits: Limits,
    /// A child changed state, or a signal came that signalfd may want.
    pub(crate) child_events: WaitQueue,
    /// Notified with POLLIN when the process has ended, and with POLLHUP when it has been waited
    /// for: pidfds wait here.
    pub exit_events: WaitQueue,
    /// How far gone it is: one of [`ALIVE`], [`ENDED`], [`REAPED`].
    lifetime: AtomicU8,
    /// The commands of membarrier(2) that the process registered for.
    pub(crate) membarrier: AtomicU32,
    /// Notified when a signal is queued, for signalfd(2).
    pub signal_events: WaitQueue,
    pub(crate) timers: ProcessTimers,
    /// When it was made.
    pub start: Instant,
    /// PR_SET_DUMPABLE.
    pub dumpable: AtomicI32,
    /// personality(2).
    pub personality: AtomicU64,
    /// PR_SET_CHILD_SUBREAPER.
    pub child_subreaper: AtomicBool,
    /// What ended threads and children have used.
    pub(crate) usage: Mutex<GroupUsage>,
    /// oom_score_adj.
    pub oom_score_adj: AtomicI32,
    /// Has called execve(2) since it was forked: setpgid(2) by the parent is then EACCES.
    pub(crate) did_exec: AtomicBool,
    /// The executable, as /proc/PID/exe shows it.
    exe: RwLock<Option<vfs::Path>>,
}

/// The states of [`ThreadGroup`] `lifetime`.
const ALIVE: u8 = 0;
const ENDED: u8 = 1;
const REAPED: u8 = 2;

/// Signals to the process as a whole, and the states that signals cause.
#[derive(Default)]
pub(crate) struct GroupSignals {
    pub pending: PendingQueue,
    /// How the process ends: set once, then all its threads go.
    pub exit: Option<WaitStatus>,
    /// The tid of the thread that calls execve(2) and waits for the others to go.
    pub exec_by: Option<Pid>,
    /// Stopped (or about to be: threads are on their way) by this signal.
    pub stop: Option<abi::signal::Signal>,
    /// How many threads have arrived at the stop.
    pub stopped_threads: usize,
}

impl ThreadGroup {
    pub(crate) fn new(pid: Pid, actions: Arc<SignalActions>, limits: Limits) -> Arc<ThreadGroup> {
        Arc::new(ThreadGroup {
            pid,
            actions: RwLock::new(actions),
            signals: Mutex::default(),
            limits,
            child_events: WaitQueue::new(),
            exit_events: WaitQueue::new(),
            lifetime: AtomicU8::new(ALIVE),
            membarrier: AtomicU32::new(0),
            signal_events: WaitQueue::new(),
            timers: ProcessTimers::default(),
            start: Instant::now(),
            dumpable: AtomicI32::new(1),
            personality: AtomicU64::new(0),
            child_subreaper: AtomicBool::new(false),
            usage: Mutex::default(),
            oom_score_adj: AtomicI32::new(0),
            did_exec: AtomicBool::new(false),
            exe: RwLock::new(None),
        })
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Resource limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The signal handlers.
    pub fn actions(&self) -> Arc<SignalActions> {
        self.actions.read().clone()
    }

    pub(crate) fn set_actions(&self, actions: Arc<SignalActions>) {
        *self.actions.write() = actions;
    }

    /// The executable.
    pub fn exe(&self) -> Option<vfs::Path> {
        self.exe.read().clone()
    }

    pub(crate) fn set_exe(&self, exe: Option<vfs::Path>) {
        let old = std::mem::replace(&mut *self.exe.write(), exe);
        drop(old);
    }

    /// What exec undoes.
    pub(crate) fn is_exiting(&self) -> bool {
        self.signals.lock().exit.is_some()
    }

    /// Is the process stopped by job control, as /proc/PID/stat shows it?
    pub fn is_stopped(&self) -> bool {
        self.signals.lock().stop.is_some()
    }

    /// All its threads have ended, and the process table says so.
    pub(crate) fn set_ended(&self) {
        self.lifetime.store(ENDED, Ordering::SeqCst);
        self.exit_events.notify((PollEvents::IN | PollEvents::RDNORM).bits());
    }

    /// It is gone from the process table.
    pub(crate) fn set_reaped(&self) {
        self.lifetime.store(REAPED, Ordering::SeqCst);
        let events = PollEvents::IN | PollEvents::RDNORM | PollEvents::HUP;
        self.exit_events.notify(events.bits());
    }

    /// Have all its threads ended?
    pub fn has_ended(&self) -> bool {
        self.lifetime.load(Ordering::SeqCst) != ALIVE
    }

    /// Has it been waited for, so that its id may be another's by now?
    pub fn is_reaped(&self) -> bool {
        self.lifetime.load(Ordering::SeqCst) == REAPED
    }

    /// Changes in the state of children: wait4(2) waits here.
    pub fn child_events(&self) -> &WaitQueue {
        &self.child_events
    }
}
