//! A guest thread.

use crate::FsContext;
use crate::exit::WaitStatus;
use crate::group::ThreadGroup;
use crate::kernel::Kernel;
use crate::process::Pid;
use crate::schedule::Scheduling;
use crate::signal::TaskSignals;
use crate::time::{CpuClock, RestartBlock};
use mm::MemoryManager;
use parking_lot::{Mutex, RwLock};
use platform::Interrupt;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use vfs::{Credentials, FdTable};
use wait::{Waiter, Wake};

/// A thread of a process.
pub struct Task {
    tid: AtomicI32,
    kernel: Arc<Kernel>,
    group: Arc<ThreadGroup>,
    pub(crate) waiter: Arc<Waiter>,
    pub(crate) interrupt: Arc<Interrupt>,
    mm: RwLock<Arc<MemoryManager>>,
    files: RwLock<Arc<FdTable>>,
    fs: RwLock<Arc<FsContext>>,
    cred: RwLock<Arc<Credentials>>,
    comm: Mutex<Comm>,
    pub(crate) signals: Mutex<TaskSignals>,
    /// There may be work before the next return to the guest. Set by whoever makes the work.
    pub(crate) attention: AtomicBool,
    /// Must end without going back to the guest: its group exits, or another thread calls exec.
    pub(crate) killed: AtomicBool,
    /// exit(2) of this thread alone: how.
    pub(crate) own_exit: Mutex<Option<WaitStatus>>,
    /// set_tid_address(2): zeroed and woken as a futex at exit.
    pub(crate) clear_child_tid: AtomicU64,
    /// set_robust_list(2): the head's address.
    pub(crate) robust_list: AtomicU64,
    /// PR_SET_PDEATHSIG.
    pub(crate) parent_death_signal: AtomicI32,
    /// The PI futexes that it owns.
    pub(crate) pi_owner: crate::futex::pi::PiOwner,
    /// What the parent in vfork(2) waits for.
    pub(crate) vfork_done: Mutex<Option<Arc<Completion>>>,
    pub(crate) restart_block: Mutex<Option<RestartBlock>>,
    /// What SEM_UNDO takes back at the end; made when first needed.
    pub(crate) sem_undo: Mutex<Option<Arc<ipc::sem::UndoList>>>,
    /// Which side of the border it is on, for membarrier(2).
    pub(crate) border: crate::membarrier::Border,
    /// CPU time.
    pub clock: CpuClock,
    pub(crate) scheduling: Mutex<Scheduling>,
}

/// A thread's name: up to 15 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    /// The first 15 bytes of `name`.
    pub fn new(name: &[u8]) -> Comm {
        let mut comm = [0; 16];
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        let len = name.len().min(15);
        comm[..len].copy_from_slice(&name[..len]);
        Comm(comm)
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|b| *b == 0).next().unwrap_or_default()
    }

    /// With the padding, as PR_GET_NAME gives it.
    pub fn padded(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a new task starts with.
pub(crate) struct NewTask {
    pub tid: Pid,
    pub group: Arc<ThreadGroup>,
    pub mm: Arc<MemoryManager>,
    pub files: Arc<FdTable>,
    pub fs: Arc<FsContext>,
    pub cred: Arc<Credentials>,
    pub comm: Comm,
    pub signals: TaskSignals,
    pub scheduling: Scheduling,
}

impl Task {
    pub(crate) fn new(kernel: &Arc<Kernel>, new: NewTask) -> Arc<Task> {
        Arc::new(Task {
            tid: AtomicI32::new(new.tid),
            kernel: kernel.clone(),
            group: new.group,
            waiter: Waiter::new(),
            interrupt: Arc::default(),
            mm: RwLock::new(new.mm),
            files: RwLock::new(new.files),
            fs: RwLock::new(new.fs),
            cred: RwLock::new(new.cred),
            comm: Mutex::new(new.comm),
            signals: Mutex::new(new.signals),
            attention: AtomicBool::new(true),
            killed: AtomicBool::new(false),
            own_exit: Mutex::new(None),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            parent_death_signal: AtomicI32::new(0),
            pi_owner: Default::default(),
            vfork_done: Mutex::new(None),
            restart_block: Mutex::new(None),
            sem_undo: Mutex::new(None),
            border: Default::default(),
            clock: CpuClock::default(),
            scheduling: Mutex::new(new.scheduling),
        })
    }

    /// The thread id.
    pub fn tid(&self) -> Pid {
        self.tid.load(Ordering::Relaxed)
    }

    /// exec from a thread: it takes over the leader's id.
    pub(crate) fn set_tid(&self, tid: Pid) {
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// The kernel.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// The process.
    pub fn group(&self) -> &Arc<ThreadGroup> {
        &self.group
    }

    /// The memory.
    pub fn mm(&self) -> Arc<MemoryManager> {
        self.mm.read().clone()
    }

    pub(crate) fn set_mm(&self, mm: Arc<MemoryManager>) -> Arc<MemoryManager> {
        std::mem::replace(&mut *self.mm.write(), mm)
    }

    /// The descriptors.
    pub fn files(&self) -> Arc<FdTable> {
        self.files.read().clone()
    }

    /// unshare(2), exec, exit: other descriptors from now on. Returns the old table.
    pub fn set_files(&self, files: Arc<FdTable>) -> Arc<FdTable> {
        std::mem::replace(&mut *self.files.write(), files)
    }

    /// Root, working directory, umask.
    pub fn fs(&self) -> Arc<FsContext> {
        self.fs.read().clone()
    }

    /// unshare(2), setns(2).
    pub fn set_fs(&self, fs: Arc<FsContext>) {
        let old = std::mem::replace(&mut *self.fs.write(), fs);
        drop(old);
    }

    /// The credentials.
    pub fn cred(&self) -> Arc<Credentials> {
        self.cred.read().clone()
    }

    /// Changes the credentials of this thread (each thread has its own, as in Linux).
    pub fn set_cred(&self, cred: Credentials) {
        *self.cred.write() = Arc::new(cred);
    }

    /// The name.
    pub fn comm(&self) -> Comm {
        *self.comm.lock()
    }

    /// PR_SET_NAME, exec.
    pub fn set_comm(&self, comm: Comm) {
        *self.comm.lock() = comm;
    }

    /// set_tid_address(2).
    pub fn set_clear_child_tid(&self, addr: u64) {
        self.clear_child_tid.store(addr, Ordering::Relaxed);
    }

    /// set_robust_list(2).
    pub fn set_robust_list(&self, head: u64) {
        self.robust_list.store(head, Ordering::Relaxed);
    }

    /// get_robust_list(2).
    pub fn robust_list(&self) -> u64 {
        self.robust_list.load(Ordering::Relaxed)
    }

    /// PR_GET_PDEATHSIG; 0 is none.
    pub fn parent_death_signal(&self) -> i32 {
        self.parent_death_signal.load(Ordering::Relaxed)
    }

    /// PR_SET_PDEATHSIG.
    pub fn set_parent_death_signal(&self, signal: i32) {
        self.parent_death_signal.store(signal, Ordering::Relaxed);
    }

    /// The adjustments that SEM_UNDO makes when the task ends.
    pub fn sem_undo(&self) -> Arc<ipc::sem::UndoList> {
        self.sem_undo.lock().get_or_insert_with(|| Arc::new(ipc::sem::UndoList::new())).clone()
    }

    /// The task ends, or unshares (CLONE_SYSVSEM) what it has: makes its adjustments, unless
    /// others share them.
    pub fn release_sem_undo(&self) {
        let list = self.sem_undo.lock().take();
        if let Some(list) = list {
            list.release(self.group.pid());
        }
    }

    /// The thread group leader?
    pub fn is_leader(&self) -> bool {
        self.tid() == self.group.pid()
    }

    /// Makes the task look at its signals and its fate soon, wherever it is.
    pub(crate) fn kick(&self) {
        self.attention.store(true, Ordering::SeqCst);
        self.waiter.wake(0);
        self.interrupt.interrupt();
    }

    /// Must end before it returns to the guest.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// SIGKILL without the signal: the task ends at its next chance.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
        self.kick();
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task {}/{}", self.group.pid(), self.tid())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) };
}

/// The task whose event this host thread handles. For file systems that show the caller
/// (`/proc/self`); handlers have it in their context.
pub fn current() -> Option<Arc<Task>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs `f` with `task` as the current one.
pub(crate) fn with_current<R>(task: &Arc<Task>, f: impl FnOnce() -> R) -> R {
    // A platform may run several tasks on one host thread in turn: set it anew where it differs.
    CURRENT.with_borrow_mut(|current| {
        if !current.as_ref().is_some_and(|old| Arc::ptr_eq(old, task)) {
            *current = Some(task.clone());
        }
    });
    f()
}

/// The task has ended: forget it, so that nothing keeps it alive.
pub(crate) fn clear_current() {
    let old = CURRENT.with_borrow_mut(Option::take);
    drop(old);
}

/// Something that happens once, and that one task waits for (vfork).
#[derive(Default)]
pub(crate) struct Completion {
    done: AtomicBool,
    queue: wait::WaitQueue,
}

impl Completion {
    pub fn complete(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.queue.notify(1);
    }

    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    pub fn queue(&self) -> &wait::WaitQueue {
        &self.queue
    }
}
