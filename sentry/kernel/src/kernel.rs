//! The kernel: what there is one of in a sandbox.

use crate::context::SyscallTable;
use crate::exit::WaitStatus;
use crate::futex::Futexes;
use crate::limits::Limits;
use crate::process::{INIT, Process, Processes};
use crate::signal::SignalActions;
use crate::terminal::Terminal;
use crate::{ThreadGroup, task::Comm};
use mm::MemoryFile;
use parking_lot::{Condvar, Mutex, RwLock};
use platform::Platform;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use wait::timer::Timers;

/// What a kernel is made of.
pub struct KernelConfig {
    /// Runs the guests.
    pub platform: Arc<dyn Platform>,
    /// Holds their memory.
    pub memory_file: Arc<MemoryFile>,
    /// The host name that guests see first.
    pub hostname: String,
    /// The system calls.
    pub table: &'static dyn SyscallTable,
    /// Print each call to the log.
    pub strace: bool,
    /// Bytes of memory that guests may use; what /proc/meminfo shows as the total.
    pub memory_limit: u64,
    /// CPUs that guests see.
    pub cpus: u32,
}

/// One kernel: one sandbox.
pub struct Kernel {
    config: KernelConfig,
    /// The process table.
    pub processes: Processes,
    /// Those who wait on futexes.
    pub futexes: Futexes,
    /// Where membarrier(2) waits for other threads.
    pub(crate) barriers: wait::WaitQueue,
    /// The timer service.
    pub timers: Timers,
    /// uname(2)'s nodename and domainname.
    pub uts: RwLock<Uts>,
    /// System V IPC and POSIX message queues.
    pub ipc: ipc::IpcNamespace,
    /// When it was made: the guests' boot.
    pub boot: Instant,
    /// The sandbox's console, if it has one.
    pub console: Arc<Terminal>,
    /// What the auxiliary vector says of the processor.
    pub(crate) processor: Processor,
    /// Processes made since boot, for /proc/stat.
    pub forks: AtomicU64,
    /// How many POSIX timers there are.
    pub(crate) posix_timers: Arc<AtomicUsize>,
    end: Mutex<Option<WaitStatus>>,
    ended: Condvar,
}

/// What guests' auxiliary vectors say of the processor: the host's own values. Asked for once, at
/// the start: later the sentry may not look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    /// AT_HWCAP and AT_HWCAP2.
    pub hwcap: (usize, usize),
    /// AT_MINSIGSTKSZ.
    pub min_signal_stack: usize,
}

/// What sethostname(2) and setdomainname(2) change.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Uts {
    pub nodename: Vec<u8>,
    pub domainname: Vec<u8>,
}

impl Kernel {
    /// A kernel with no process but the built-in init.
    pub fn new(config: KernelConfig) -> Arc<Kernel> {
        let uts = Uts { nodename: config.hostname.clone().into(), domainname: b"(none)".to_vec() };
        let caller = || crate::current().map_or(0, |task| task.group().pid());
        let ipc = ipc::IpcNamespace::new(&config.memory_file, config.memory_limit, caller);
        let kernel = Kernel {
            config,
            ipc,
            processes: Processes::default(),
            futexes: Futexes::default(),
            barriers: wait::WaitQueue::new(),
            timers: Timers::new(),
            uts: RwLock::new(uts),
            boot: Instant::now(),
            console: Terminal::new(abi::stat::makedev(5, 1)),
            processor: Processor {
                hwcap: rustix::param::linux_hwcap(),
                min_signal_stack: rustix::param::linux_minsigstksz(),
            },
            forks: AtomicU64::new(0),
            posix_timers: Arc::default(),
            end: Mutex::new(None),
            ended: Condvar::new(),
        };
        let init = ThreadGroup::new(INIT, SignalActions::new(), Limits::default());
        kernel.processes.lock().add_process(Process {
            group: init,
            tasks: Vec::new(),
            parent: 0,
            parent_tid: 0,
            children: Vec::new(),
            pgid: 0,
            sid: 0,
            exit_signal: 0,
            zombie: None,
            leader_status: None,
            stop_unseen: None,
            continued_unseen: false,
            tty: None,
            tty_old_pgrp: 0,
            uid: 0,
            comm: Comm::new(b"init"),
        });
        Arc::new(kernel)
    }

    /// The platform.
    pub fn platform(&self) -> &Arc<dyn Platform> {
        &self.config.platform
    }

    /// Guest memory.
    pub fn memory_file(&self) -> &Arc<MemoryFile> {
        &self.config.memory_file
    }

    /// The system calls.
    pub fn table(&self) -> &'static dyn SyscallTable {
        self.config.table
    }

    /// Print each call?
    pub fn strace(&self) -> bool {
        self.config.strace
    }

    /// Bytes of memory guests may use.
    pub fn memory_limit(&self) -> u64 {
        self.config.memory_limit
    }

    /// CPUs guests see.
    pub fn cpus(&self) -> u32 {
        self.config.cpus.max(1)
    }

    pub(crate) fn count_fork(&self) {
        self.forks.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the sandbox: the first process has ended so, or something went wrong.
    pub(crate) fn finish(&self, status: WaitStatus) {
        let mut end = self.end.lock();
        if end.is_none() {
            *end = Some(status);
        }
        drop(end);
        self.ended.notify_all();
    }

    /// Blocks until the first process has ended, and says how. All other processes are dead or
    /// about to be: the caller ends the sandbox.
    pub fn wait_init(&self) -> WaitStatus {
        let mut end = self.end.lock();
        loop {
            match *end {
                Some(status) => return status,
                None => self.ended.wait(&mut end),
            }
        }
    }
}
