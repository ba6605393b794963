//! POSIX timers: timer_create(2) and its family.
//!
//! As in Linux, a timer's signal is queued at most once: an interval timer stands still from the
//! moment it fires until its signal is taken, and what it missed meanwhile is counted as overruns.
//! So a guest that does not take the signals of a fast timer keeps nobody busy.
//!
//! Lock order: a process's timers come after the process table and its CPU timers; no lock but the
//! timer service's is taken below.

use crate::group::ThreadGroup;
use crate::kernel::Kernel;
use crate::limits::Resource;
use crate::signal::{Queued, Target, queue_signal};
use crate::task::Task;
use crate::time::{boottime, deadline_in, monotonic, realtime};
use abi::signal::{SigInfo, Signal};
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use wait::timer::TimerHandle;

/// Which setting of which timer of a process a signal came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerRef {
    /// The timer's id.
    pub id: i32,
    /// Changes with each setting: a signal of an older one is stale.
    pub generation: u64,
}

/// What part of CPU time a clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuKind {
    /// User time.
    User,
    /// User and system time.
    Total,
}

impl CpuKind {
    pub(crate) fn of(self, (user, system): (u64, u64)) -> u64 {
        match self {
            CpuKind::User => user,
            CpuKind::Total => user.saturating_add(system),
        }
    }
}

/// What a timer measures.
#[derive(Clone, Debug)]
pub enum TimerClock {
    /// CLOCK_REALTIME, CLOCK_TAI.
    Realtime,
    /// CLOCK_MONOTONIC.
    Monotonic,
    /// CLOCK_BOOTTIME.
    Boottime,
    /// CPU time of the timer's own process.
    Process(CpuKind),
    /// CPU time of a thread of it.
    Thread(Weak<Task>, CpuKind),
}

impl TimerClock {
    fn is_cpu(&self) -> bool {
        matches!(self, TimerClock::Process(_) | TimerClock::Thread(..))
    }

    /// Now, in ns: of CPU time, or of CLOCK_MONOTONIC for all clocks that run by themselves. None:
    /// the thread is gone. Takes the lock of the process table.
    fn now(&self, kernel: &Kernel, group: &ThreadGroup) -> Option<u64> {
        match self {
            TimerClock::Process(kind) => Some(kind.of(kernel.process_times(group))),
            TimerClock::Thread(task, kind) => Some(kind.of(task.upgrade()?.clock.times())),
            _ => Some(nanos(monotonic())),
        }
    }

    /// How far this clock is from the one that [`TimerClock::now`] shows.
    fn absolute(&self, value: u64, now: u64) -> u64 {
        let own = match self {
            TimerClock::Realtime => realtime(),
            TimerClock::Boottime => boottime(),
            _ => return value,
        };
        now.saturating_add(value.saturating_sub(nanos(own)))
    }
}

fn nanos(time: abi::time::Timespec) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(0)
}

/// What happens when a timer fires.
#[derive(Clone, Debug)]
pub enum Notify {
    /// SIGEV_NONE: nothing.
    Nothing,
    /// SIGEV_SIGNAL: a signal to the process.
    Process(Signal),
    /// SIGEV_THREAD_ID: a signal to this thread.
    Thread(Weak<Task>, Signal),
}

/// The setting of a timer, in ns: what is left (0: not armed), and the interval (0: fires once).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerSetting {
    /// What is left, or the moment with TIMER_ABSTIME.
    pub value: u64,
    /// The interval.
    pub interval: u64,
}

struct PosixTimer {
    clock: TimerClock,
    notify: Notify,
    /// sigev_value; None: the id.
    value: Option<u64>,
    interval: u64,
    /// When it fires or, while its signal is queued, when it did; by [`TimerClock::now`].
    next: Option<u64>,
    generation: u64,
    /// Its signal waits to be taken.
    queued: bool,
    /// Expirations since the last signal was taken, less the one that it is for.
    overrun: i64,
    /// The overruns of the signal taken last.
    last_overrun: i32,
    /// Keeps the service's timer alive.
    handle: Option<TimerHandle>,
    _counted: Counted,
}

/// The next expiration after `now` of a timer that fires at `next` and each `interval` after, and
/// how many lie before it.
fn forward(next: u64, interval: u64, now: u64) -> (u64, u64) {
    match now.checked_sub(next) {
        Some(late) if interval != 0 => {
            let steps = late / interval + 1;
            (next.saturating_add(steps.saturating_mul(interval)), steps)
        }
        _ => (next, 0),
    }
}

impl PosixTimer {
    fn left(&self, now: u64) -> TimerSetting {
        let Some(next) = self.next else {
            return TimerSetting { value: 0, interval: self.interval };
        };
        let silent = matches!(self.notify, Notify::Nothing);
        let next = if silent || self.queued { forward(next, self.interval, now).0 } else { next };
        // Armed and due is not yet fired: never 0, which says that it is not armed.
        let least = u64::from(!silent);
        TimerSetting { value: next.saturating_sub(now).max(least), interval: self.interval }
    }

    /// Is it to fire, some time?
    fn is_pending(&self) -> bool {
        self.next.is_some() && !self.queued && !matches!(self.notify, Notify::Nothing)
    }

    /// Fires if it is due; the caller sends the signal.
    fn expire(&mut self, now: u64) -> bool {
        if !self.is_pending() || self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.queued = true;
        if self.interval == 0 {
            self.next = None;
        }
        true
    }

    /// Its signal is gone from the queue: the timer goes on.
    fn rearm(&mut self, now: u64) {
        self.queued = false;
        if let Some(next) = self.next {
            let (next, steps) = forward(next, self.interval, now);
            self.overrun = self.overrun.saturating_add_unsigned(steps);
            self.next = Some(next);
        }
    }

    /// Its signal was taken: the overruns that go with it.
    fn deliver(&mut self, now: u64) -> i32 {
        self.rearm(now);
        self.last_overrun = self.overrun.clamp(0, i64::from(i32::MAX)) as i32;
        self.overrun = -1;
        self.last_overrun
    }

    fn set(&mut self, setting: TimerSetting, absolute: bool, now: u64) {
        self.interval = setting.interval;
        self.next = match setting.value {
            0 => None,
            value if absolute => Some(self.clock.absolute(value, now)),
            value => Some(now.saturating_add(value)),
        };
        self.queued = false;
        self.overrun = -1;
        self.last_overrun = 0;
    }
}

/// The timers of a process.
#[derive(Default)]
pub(crate) struct PosixTimers(Mutex<Timers>);

#[derive(Default)]
struct Timers {
    next_id: i32,
    last_generation: u64,
    by_id: BTreeMap<i32, PosixTimer>,
}

impl Timers {
    fn get(&mut self, id: i32) -> SysResult<&mut PosixTimer> {
        self.by_id.get_mut(&id).ok_or(Errno::EINVAL)
    }

    fn current(&mut self, timer: TimerRef) -> Option<&mut PosixTimer> {
        self.by_id.get_mut(&timer.id).filter(|found| found.generation == timer.generation)
    }

    /// Ids are used in turn, so that a stale one is rarely somebody else's.
    fn free_id(&mut self) -> i32 {
        loop {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(0);
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

impl PosixTimers {
    /// The process ends.
    pub fn cancel(&self) {
        let old = std::mem::take(&mut self.0.lock().by_id);
        drop(old);
    }

    /// CPU-time timers that are due: fires them. Also what is left until the next one, if any.
    pub fn expire_cpu(&self, times: (u64, u64), due: &mut Vec<TimerRef>) -> Option<u64> {
        let mut timers = self.0.lock();
        let mut least = None;
        for (id, timer) in &mut timers.by_id {
            let now = match &timer.clock {
                TimerClock::Process(kind) => kind.of(times),
                TimerClock::Thread(task, kind) => match task.upgrade() {
                    Some(task) => kind.of(task.clock.times()),
                    None => continue,
                },
                _ => continue,
            };
            if timer.expire(now) {
                due.push(TimerRef { id: *id, generation: timer.generation });
            } else if let (true, Some(next)) = (timer.is_pending(), timer.next) {
                let left = next.saturating_sub(now);
                least = Some(least.map_or(left, |least: u64| least.min(left)));
            }
        }
        least
    }
}

/// Timers of all processes together, so that they are bounded even where limits are not.
const TIMERS_MAX: usize = 65_536;

/// A timer, as it is counted.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> SysResult<Counted> {
        if count.fetch_add(1, Ordering::Relaxed) >= TIMERS_MAX {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::EAGAIN);
        }
        Ok(Counted(count.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A timer whose signals are ignored fires no more often than this: it only keeps count.
const IGNORED_INTERVAL: Duration = Duration::from_millis(10);

impl Kernel {
    /// timer_create(2). `value` is what handlers get; None: the timer's id. EAGAIN beyond
    /// RLIMIT_SIGPENDING, since a signal is set aside for each timer.
    pub fn create_timer(
        &self,
        group: &ThreadGroup,
        clock: TimerClock,
        notify: Notify,
        value: Option<u64>,
    ) -> SysResult<i32> {
        let limit = group.limits().get(Resource::Sigpending).cur;
        let mut timers = group.timers.posix.0.lock();
        if timers.by_id.len() as u64 >= limit {
            return Err(Errno::EAGAIN);
        }
        let timer = PosixTimer {
            clock,
            notify,
            value,
            interval: 0,
            next: None,
            generation: 0,
            queued: false,
            overrun: -1,
            last_overrun: 0,
            handle: None,
            _counted: Counted::new(&self.posix_timers)?,
        };
        let id = timers.free_id();
        timers.by_id.insert(id, timer);
        Ok(id)
    }

    /// timer_settime(2). Returns the old setting. EINVAL: no such timer; ESRCH: it measures a
    /// thread that has ended.
    pub fn set_timer(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        id: i32,
        setting: TimerSetting,
        absolute: bool,
    ) -> SysResult<TimerSetting> {
        let clock = group.timers.posix.0.lock().get(id)?.clock.clone();
        let now = clock.now(self, group).ok_or(Errno::ESRCH)?;
        let (old, was_queued, notify, handle) = {
            let mut timers = group.timers.posix.0.lock();
            timers.last_generation += 1;
            let generation = timers.last_generation;
            let timer = timers.get(id)?;
            let (old, was_queued) = (timer.left(now), timer.queued);
            timer.generation = generation;
            timer.set(setting, absolute, now);
            let handle = timer.handle.take();
            self.schedule_timer(group, id, timer, now, Duration::ZERO);
            (old, was_queued, timer.notify.clone(), handle)
        };
        drop(handle);
        if was_queued {
            forget_signals(group, &notify, |timer| timer.id == id);
        }
        if clock.is_cpu() {
            self.check_cpu_timers(group);
        }
        Ok(old)
    }

    /// timer_gettime(2). EINVAL: no such timer.
    pub fn timer_setting(&self, group: &ThreadGroup, id: i32) -> SysResult<TimerSetting> {
        let clock = group.timers.posix.0.lock().get(id)?.clock.clone();
        let Some(now) = clock.now(self, group) else { return Ok(TimerSetting::default()) };
        Ok(group.timers.posix.0.lock().get(id)?.left(now))
    }

    /// Lets the timer service call when the timer is due, but not before `at_least` has passed.
    /// CPU-time timers are found by the check of CPU time instead.
    fn schedule_timer(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        id: i32,
        timer: &mut PosixTimer,
        now: u64,
        at_least: Duration,
    ) {
        let Some(next) = timer.next.filter(|_| timer.is_pending() && !timer.clock.is_cpu()) else {
            return;
        };
        let left = Duration::from_nanos(next.saturating_sub(now)).max(at_least);
        let Some(at) = deadline_in(left) else { return };
        let (weak_kernel, weak_group) = (Arc::downgrade(self), Arc::downgrade(group));
        let due = TimerRef { id, generation: timer.generation };
        let fire = move || {
            if let (Some(kernel), Some(group)) = (weak_kernel.upgrade(), weak_group.upgrade()) {
                kernel.expire_timer(&group, due);
            }
        };
        timer.handle = Some(self.timers.schedule(at, Arc::new(fire)));
    }

    /// The timer service's call.
    fn expire_timer(self: &Arc<Kernel>, group: &Arc<ThreadGroup>, due: TimerRef) {
        let fired = {
            let now = nanos(monotonic());
            let mut timers = group.timers.posix.0.lock();
            let Some(timer) = timers.current(due) else { return };
            let fired = timer.expire(now);
            if !fired {
                self.schedule_timer(group, due.id, timer, now, Duration::ZERO);
            }
            fired
        };
        if fired {
            self.send_timer_signal(group, due);
        }
    }

    /// Sends the signal of a timer that has just fired.
    pub(crate) fn send_timer_signal(self: &Arc<Kernel>, group: &Arc<ThreadGroup>, due: TimerRef) {
        let (notify, value) = {
            let mut timers = group.timers.posix.0.lock();
            let Some(timer) = timers.current(due) else { return };
            (timer.notify.clone(), timer.value.unwrap_or(due.id as u64))
        };
        let (thread, signal) = match &notify {
            Notify::Nothing => return,
            Notify::Process(signal) => (None, *signal),
            // A thread that has ended gets nothing, and nobody in its place.
            Notify::Thread(task, signal) => match task.upgrade() {
                Some(task) => (Some(task), *signal),
                None => return,
            },
        };
        let mut info = SigInfo::new(signal, libc::SI_TIMER).with_value(value);
        info.fields[0] = u64::from(due.id as u32);
        let target = thread.as_ref().map_or(Target::Group(group), Target::Task);
        let queued = Queued { info, timer: Some(due) };
        let wanted = queue_signal(&mut self.processes.lock(), target, queued);
        if !matches!(wanted, Ok(true)) {
            self.timer_ignored(group, due);
        }
    }

    /// A timer's signal was taken from the queue: the timer goes on. Returns the signal with its
    /// overruns; None where it is stale.
    pub(crate) fn timer_delivered(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        taken: TimerRef,
        mut info: SigInfo,
    ) -> Option<SigInfo> {
        let overrun = self.go_on(group, taken, Duration::ZERO, PosixTimer::deliver)?;
        info.fields[0] |= u64::from(overrun as u32) << 32;
        Some(info)
    }

    /// A timer's signal was ignored: the timer goes on, and keeps count.
    pub(crate) fn timer_ignored(self: &Arc<Kernel>, group: &Arc<ThreadGroup>, timer: TimerRef) {
        self.go_on(group, timer, IGNORED_INTERVAL, PosixTimer::rearm);
    }

    fn go_on<R>(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        which: TimerRef,
        at_least: Duration,
        change: impl FnOnce(&mut PosixTimer, u64) -> R,
    ) -> Option<R> {
        let clock = group.timers.posix.0.lock().current(which)?.clock.clone();
        // Of a thread that has ended, nothing more is measured.
        let now = clock.now(self, group).unwrap_or(0);
        let (result, handle) = {
            let mut timers = group.timers.posix.0.lock();
            let timer = timers.current(which)?;
            let result = change(timer, now);
            let handle = timer.handle.take();
            self.schedule_timer(group, which.id, timer, now, at_least);
            (result, handle)
        };
        drop(handle);
        if clock.is_cpu() {
            self.arm_cpu_check(group);
        }
        Some(result)
    }

    /// execve(2): the timers go, with the signals they have sent.
    pub(crate) fn delete_timers(&self, group: &ThreadGroup, task: &Task) {
        group.timers.posix.cancel();
        group.signals.lock().pending.remove_timers(|_| true);
        task.signals.lock().pending.remove_timers(|_| true);
    }
}

/// Takes signals of timers out of the queue that they are in.
fn forget_signals(group: &ThreadGroup, notify: &Notify, which: impl Fn(&TimerRef) -> bool) {
    match notify {
        Notify::Nothing => {}
        Notify::Process(_) => group.signals.lock().pending.remove_timers(which),
        Notify::Thread(task, _) => {
            if let Some(task) = task.upgrade() {
                task.signals.lock().pending.remove_timers(which);
            }
        }
    }
}

impl ThreadGroup {
    /// timer_getoverrun(2). EINVAL: no such timer.
    pub fn timer_overrun(&self, id: i32) -> SysResult<i32> {
        Ok(self.timers.posix.0.lock().get(id)?.last_overrun)
    }

    /// timer_delete(2). EINVAL: no such timer.
    pub fn delete_timer(&self, id: i32) -> SysResult<()> {
        let timer = self.timers.posix.0.lock().by_id.remove(&id).ok_or(Errno::EINVAL)?;
        forget_signals(self, &timer.notify, |other| other.id == id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(notify: Notify) -> PosixTimer {
        PosixTimer {
            clock: TimerClock::Monotonic,
            notify,
            value: None,
            interval: 0,
            next: None,
            generation: 0,
            queued: false,
            overrun: -1,
            last_overrun: 0,
            handle: None,
            _counted: Counted::new(&Arc::default()).unwrap(),
        }
    }

    #[test]
    fn intervals_are_skipped_in_one_step() {
        assert_eq!(forward(100, 10, 99), (100, 0));
        assert_eq!(forward(100, 10, 100), (110, 1));
        assert_eq!(forward(100, 10, 129), (130, 3));
        assert_eq!(forward(100, 0, 200), (100, 0));
        assert_eq!(forward(0, 1, u64::MAX - 1), (u64::MAX, u64::MAX));
    }

    #[test]
    fn a_timer_fires_once_and_is_disarmed() {
        let mut timer = timer(Notify::Process(Signal::SIGALRM));
        timer.set(TimerSetting { value: 50, interval: 0 }, false, 1000);
        assert_eq!(timer.left(1020), TimerSetting { value: 30, interval: 0 });
        assert!(!timer.expire(1049));
        // Due, and the service has not yet called.
        assert_eq!(timer.left(1060).value, 1);
        assert!(timer.expire(1060) && !timer.expire(1070));
        assert_eq!(timer.left(1070).value, 0);
        assert_eq!(timer.deliver(2000), 0);
        assert!(!timer.is_pending());
    }

    #[test]
    fn an_interval_timer_waits_for_its_signal_and_counts() {
        let mut timer = timer(Notify::Process(Signal::SIGALRM));
        timer.set(TimerSetting { value: 100, interval: 10 }, true, 50);
        assert!(timer.expire(101));
        // It stands still, but time goes on.
        assert!(!timer.expire(125));
        assert_eq!(timer.left(125).value, 5);
        // Those at 110 and 120 were missed.
        assert_eq!(timer.deliver(125), 2);
        assert_eq!(timer.left(125).value, 5);
        assert!(timer.expire(130));
        assert_eq!(timer.deliver(131), 0);
        // One signal is ignored: it and those missed with it count for the next.
        assert!(timer.expire(140));
        timer.rearm(155);
        assert!(timer.expire(160));
        assert_eq!(timer.deliver(165), 2);
        assert_eq!(timer.last_overrun, 2);
    }

    #[test]
    fn a_silent_timer_only_shows_the_time() {
        let mut timer = timer(Notify::Nothing);
        timer.set(TimerSetting { value: 10, interval: 0 }, false, 0);
        assert!(!timer.expire(20));
        assert_eq!(timer.left(20).value, 0);
        timer.set(TimerSetting { value: 10, interval: 4 }, false, 0);
        assert_eq!(timer.left(20).value, 2);
        timer.set(TimerSetting::default(), false, 20);
        assert_eq!(timer.left(30), TimerSetting::default());
    }

    #[test]
    fn all_timers_together_are_bounded() {
        let count = Arc::new(AtomicUsize::new(TIMERS_MAX - 1));
        let last = Counted::new(&count).unwrap();
        assert!(Counted::new(&count).is_err());
        drop(last);
        assert!(Counted::new(&count).is_ok());
    }
}
