//! Clocks, CPU time and the timers of a process.

use crate::cpu_timer::CpuTimers;
use crate::group::ThreadGroup;
use crate::kernel::Kernel;
use crate::posix_timer::PosixTimers;
use crate::signal::Target;
use crate::usage::ResourceUsage;
use abi::UserAddr;
use abi::signal::{SigInfo, Signal};
use abi::time::Timespec;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wait::timer::TimerHandle;

/// A tick of times(2) and /proc: USER_HZ is 100.
pub const NANOS_PER_TICK: u64 = 10_000_000;

/// CLOCK_REALTIME now.
pub fn realtime() -> Timespec {
    host_clock(rustix::time::ClockId::Realtime)
}

/// CLOCK_MONOTONIC now.
pub fn monotonic() -> Timespec {
    host_clock(rustix::time::ClockId::Monotonic)
}

/// CLOCK_BOOTTIME now.
pub fn boottime() -> Timespec {
    host_clock(rustix::time::ClockId::Boottime)
}

fn host_clock(clock: rustix::time::ClockId) -> Timespec {
    let now = rustix::time::clock_gettime(clock);
    Timespec { sec: now.tv_sec, nsec: now.tv_nsec }
}

/// The moment that is `duration` from now; None is never (so far away that it does not matter).
pub fn deadline_in(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}

/// The moment at which `clock` (now at `now`) will show `at`.
pub fn deadline_at(now: Timespec, at: Timespec) -> Option<Instant> {
    let left = at.as_nanos().saturating_sub(now.as_nanos()).max(0);
    deadline_in(Duration::from_nanos(left as u64))
}

/// What is left until `deadline`.
pub fn remaining(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
}

/// What restart_syscall(2) does.
#[derive(Clone, Copy, Debug)]
pub enum RestartBlock {
    /// nanosleep(2) and relative clock_nanosleep(2): until then; the rest goes to this address.
    Sleep {
        /// When it ends.
        deadline: Option<Instant>,
        /// Where the remaining time goes; may be null.
        remaining: UserAddr,
    },
    /// poll(2): the same descriptors until the same moment.
    Poll {
        /// The array.
        fds: UserAddr,
        /// Its length.
        count: u32,
        /// When it ends.
        deadline: Option<Instant>,
    },
    /// futex(2) FUTEX_WAIT with a relative timeout.
    FutexWait {
        /// The word.
        addr: UserAddr,
        /// What it must hold.
        value: u32,
        /// Whom it listens to.
        bitset: u32,
        /// FUTEX_PRIVATE_FLAG.
        private: bool,
        /// When it ends.
        deadline: Option<Instant>,
    },
}

impl crate::Task {
    /// Remembers how restart_syscall(2) goes on.
    pub fn set_restart_block(&self, block: RestartBlock) {
        *self.restart_block.lock() = Some(block);
    }

    /// What restart_syscall(2) goes on with; None: nothing was interrupted.
    pub fn take_restart_block(&self) -> Option<RestartBlock> {
        self.restart_block.lock().take()
    }
}

/// CPU time of a thread: guest code is user time, the kernel's work for it system time. Time blocked
/// is counted as neither.
#[derive(Default)]
pub struct CpuClock {
    user: AtomicU64,
    system: AtomicU64,
    /// When the thread last changed sides, in ns of the monotonic clock; 0: not yet.
    mark: AtomicU64,
    /// What the time since `mark` is: one of the constants below.
    side: AtomicU8,
    /// Page faults dealt with.
    faults: AtomicU64,
    /// How often it blocked.
    waits: AtomicU64,
}

/// The sides of [`CpuClock`]: neither (not started, or blocked), guest code, the kernel.
const NEW: u8 = 0;
const USER: u8 = 1;
const KERNEL: u8 = 2;
const BLOCKED: u8 = 3;

fn now_nanos() -> u64 {
    monotonic().as_nanos() as u64
}

impl CpuClock {
    pub(crate) fn enter_kernel(&self) {
        self.turn(&self.user, KERNEL);
    }

    pub(crate) fn leave_kernel(&self) {
        self.turn(&self.system, USER);
    }

    /// What has passed since the last turn belongs to `counter`; what follows is `side`.
    fn turn(&self, counter: &AtomicU64, side: u8) {
        let now = now_nanos();
        let mark = self.mark.swap(now, Ordering::Relaxed);
        if mark != 0 {
            counter.fetch_add(now.saturating_sub(mark), Ordering::Relaxed);
        }
        self.side.store(side, Ordering::Relaxed);
    }

    /// The thread blocks: the time until [`CpuClock::resume`] does not count.
    pub fn pause(&self) {
        self.turn(&self.system, BLOCKED);
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    /// The thread goes on.
    pub fn resume(&self) {
        self.mark.store(now_nanos(), Ordering::Relaxed);
        self.side.store(KERNEL, Ordering::Relaxed);
    }

    /// Is the thread blocked, as /proc/PID/stat shows it?
    pub fn is_blocked(&self) -> bool {
        self.side.load(Ordering::Relaxed) == BLOCKED
    }

    /// User and system time until now, in ns.
    pub fn times(&self) -> (u64, u64) {
        let (user, system) =
            (self.user.load(Ordering::Relaxed), self.system.load(Ordering::Relaxed));
        let (side, mark) = (self.side.load(Ordering::Relaxed), self.mark.load(Ordering::Relaxed));
        let running = match side {
            NEW | BLOCKED => 0,
            _ => now_nanos().saturating_sub(mark),
        };
        if side == USER { (user + running, system) } else { (user, system + running) }
    }

    /// A page fault was dealt with.
    pub(crate) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// What the thread has used until now, but for memory.
    pub(crate) fn usage(&self) -> ResourceUsage {
        let (user, system) = self.times();
        ResourceUsage {
            user,
            system,
            max_resident: 0,
            faults: self.faults.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
        }
    }
}

/// The timers that belong to a process.
#[derive(Default)]
pub(crate) struct ProcessTimers {
    real: Arc<Mutex<RealTimer>>,
    pub cpu: CpuTimers,
    pub posix: PosixTimers,
}

/// ITIMER_REAL, which alarm(2) uses too.
#[derive(Default)]
struct RealTimer {
    deadline: Option<Instant>,
    interval: Duration,
    /// Keeps the service's timer alive.
    handle: Option<TimerHandle>,
}

impl ProcessTimers {
    /// The process ends.
    pub fn cancel(&self) {
        let old = std::mem::take(&mut *self.real.lock());
        drop(old);
        self.cpu.cancel();
        self.posix.cancel();
    }
}

impl ThreadGroup {
    /// What is left of ITIMER_REAL, and its interval.
    pub fn real_timer(&self) -> (Duration, Duration) {
        let timer = self.timers.real.lock();
        (timer.deadline.map_or(Duration::ZERO, |at| remaining(Some(at))), timer.interval)
    }
}

impl Kernel {
    /// setitimer(2) for ITIMER_REAL: SIGALRM after `value`, then every `interval`; zero `value`
    /// disarms, zero `interval` is once. Returns what was left, and the old interval.
    pub fn set_real_timer(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        value: Duration,
        interval: Duration,
    ) -> (Duration, Duration) {
        let old = group.real_timer();
        // Scheduled with the lock held: the callback finds its own deadline in place.
        let mut timer = group.timers.real.lock();
        let deadline = (!value.is_zero()).then(|| deadline_in(value)).flatten();
        let handle = deadline.map(|at| schedule_alarm(self, group, at));
        let replaced = std::mem::replace(&mut *timer, RealTimer { deadline, interval, handle });
        drop(timer);
        drop(replaced);
        old
    }
}

/// The shortest interval that is kept: a guest must not keep the timer thread busy.
const MIN_INTERVAL: Duration = Duration::from_micros(100);

fn schedule_alarm(kernel: &Arc<Kernel>, group: &Arc<ThreadGroup>, at: Instant) -> TimerHandle {
    let weak_kernel = Arc::downgrade(kernel);
    let weak_group = Arc::downgrade(group);
    let fire = move || {
        let (Some(kernel), Some(group)) = (weak_kernel.upgrade(), weak_group.upgrade()) else {
            return;
        };
        let mut timer = group.timers.real.lock();
        if timer.deadline != Some(at) {
            return; // set anew meanwhile
        }
        let mut old = None;
        if timer.interval.is_zero() {
            timer.deadline = None;
        } else {
            let next = Instant::now().max(at + timer.interval.max(MIN_INTERVAL));
            timer.deadline = Some(next);
            let handle = schedule_alarm(&kernel, &group, next);
            old = timer.handle.replace(handle);
        }
        drop(timer);
        drop(old);
        let info = SigInfo::new(Signal::SIGALRM, libc::SI_KERNEL);
        let _ = kernel.send_signal(Target::Group(&group), info);
    };
    kernel.timers.schedule(at, Arc::new(fire))
}
