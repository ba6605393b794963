//! Timers of CPU time: ITIMER_VIRTUAL, ITIMER_PROF, RLIMIT_CPU, and POSIX timers of CPU clocks.
//!
//! Nothing counts CPU time in ticks here. Instead, while a process has something that may expire, a
//! check is scheduled for the earliest moment at which it could: the CPU time that is left, divided
//! by the number of threads. The check fires what is due and schedules the next one. While all
//! threads are blocked no CPU time passes, so none is scheduled: the first thread that goes on does
//! that. A process with nothing armed has no checks at all.
//!
//! Lock order: the process table, then the state here, then the POSIX timers.

use crate::group::ThreadGroup;
use crate::kernel::Kernel;
use crate::limits::CpuLimit;
use crate::posix_timer::{CpuKind, TimerSetting};
use crate::signal::Target;
use abi::signal::{SigInfo, Signal};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};
use wait::timer::TimerHandle;

/// Two checks are at least so far apart: the granularity of these timers, as a tick is Linux's.
const GRANULARITY: Duration = Duration::from_millis(1);

/// ITIMER_VIRTUAL or ITIMER_PROF; in ns of CPU time.
#[derive(Clone, Copy, Debug, Default)]
struct CpuTimer {
    next: Option<u64>,
    interval: u64,
}

impl CpuTimer {
    fn setting(&self, now: u64) -> TimerSetting {
        // Due and not yet checked is not disarmed.
        let value = self.next.map_or(0, |next| next.saturating_sub(now).max(1000));
        TimerSetting { value, interval: self.interval }
    }

    fn set(&mut self, setting: TimerSetting, now: u64) {
        self.next = (setting.value != 0).then(|| now.saturating_add(setting.value));
        self.interval = setting.interval;
    }

    /// Fires if it is due: one signal, however many intervals have passed.
    fn expire(&mut self, now: u64) -> bool {
        let Some(next) = self.next.filter(|next| *next <= now) else { return false };
        self.next = (self.interval != 0).then(|| {
            let steps = (now - next) / self.interval + 1;
            next.saturating_add(steps.saturating_mul(self.interval))
        });
        true
    }

    fn left(&self, now: u64) -> Option<u64> {
        self.next.map(|next| next.saturating_sub(now))
    }
}

/// What a process has of them.
#[derive(Default)]
pub(crate) struct CpuTimers {
    state: Mutex<State>,
    /// Something is armed, and all threads were blocked: whoever goes on has to check.
    dormant: AtomicBool,
}

#[derive(Default)]
struct State {
    user: CpuTimer,
    total: CpuTimer,
    /// The next check.
    handle: Option<TimerHandle>,
}

impl State {
    fn timer(&mut self, kind: CpuKind) -> &mut CpuTimer {
        match kind {
            CpuKind::User => &mut self.user,
            CpuKind::Total => &mut self.total,
        }
    }
}

impl CpuTimers {
    /// The process ends.
    pub fn cancel(&self) {
        let old = std::mem::take(&mut *self.state.lock());
        self.dormant.store(false, Ordering::Relaxed);
        drop(old);
    }
}

/// After so much CPU time `left`, at the earliest, there is something to do for so many threads.
fn check_after(left: u64, threads: usize) -> Duration {
    Duration::from_nanos(left / threads.max(1) as u64).max(GRANULARITY)
}

impl Kernel {
    /// getitimer(2) for ITIMER_VIRTUAL (user time) and ITIMER_PROF (all).
    pub fn cpu_timer(&self, group: &ThreadGroup, kind: CpuKind) -> TimerSetting {
        let now = kind.of(self.process_times(group));
        group.timers.cpu.state.lock().timer(kind).setting(now)
    }

    /// setitimer(2) for them: SIGVTALRM or SIGPROF. Returns the old setting.
    pub fn set_cpu_timer(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        kind: CpuKind,
        setting: TimerSetting,
    ) -> TimerSetting {
        let now = kind.of(self.process_times(group));
        let old = {
            let mut state = group.timers.cpu.state.lock();
            let timer = state.timer(kind);
            let old = timer.setting(now);
            timer.set(setting, now);
            old
        };
        self.check_cpu_timers(group);
        old
    }

    /// Fires what is due, and schedules the next check if there is anything left to wait for. To be
    /// called whenever something is armed.
    pub fn check_cpu_timers(self: &Arc<Kernel>, group: &Arc<ThreadGroup>) {
        let times = self.process_times(group);
        let tasks = {
            let table = self.processes.lock();
            table.process(group.pid()).map(|process| process.tasks.clone()).unwrap_or_default()
        };
        if tasks.is_empty() {
            return group.timers.cpu.cancel();
        }
        let total = CpuKind::Total.of(times);
        let mut signals = Vec::new();
        let mut due = Vec::new();
        let old = {
            let mut state = group.timers.cpu.state.lock();
            if state.user.expire(times.0) {
                signals.push(Signal::SIGVTALRM);
            }
            if state.total.expire(total) {
                signals.push(Signal::SIGPROF);
            }
            let limit = match group.limits().check_cpu(total) {
                CpuLimit::None => None,
                CpuLimit::Left(left) => Some(left),
                CpuLimit::Soft(left) => {
                    signals.push(Signal::SIGXCPU);
                    Some(left)
                }
                CpuLimit::Hard => {
                    signals.push(Signal::SIGKILL);
                    None
                }
            };
            let posix = group.timers.posix.expire_cpu(times, &mut due);
            let all = [state.user.left(times.0), state.total.left(total), limit, posix];
            let after = all.into_iter().flatten().min().map(|left| check_after(left, tasks.len()));
            // Said before looking who is blocked: a thread that goes on after that look sees it.
            group.timers.cpu.dormant.store(after.is_some(), Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let runs = tasks.iter().any(|task| !task.clock.is_blocked());
            let handle = after.filter(|_| runs).map(|after| {
                group.timers.cpu.dormant.store(false, Ordering::Relaxed);
                self.schedule_cpu_check(group, after)
            });
            std::mem::replace(&mut state.handle, handle)
        };
        drop(old);
        for signal in signals {
            let info = SigInfo::new(signal, libc::SI_KERNEL);
            let _ = self.send_signal(Target::Group(group), info);
        }
        for timer in due {
            self.send_timer_signal(group, timer);
        }
    }

    fn schedule_cpu_check(
        self: &Arc<Kernel>,
        group: &Arc<ThreadGroup>,
        after: Duration,
    ) -> TimerHandle {
        let (weak_kernel, weak_group) = (Arc::downgrade(self), Arc::downgrade(group));
        let check = move || {
            if let (Some(kernel), Some(group)) = (weak_kernel.upgrade(), weak_group.upgrade()) {
                kernel.check_cpu_timers(&group);
            }
        };
        // Further away than an Instant can say: look again in a day.
        let at = Instant::now();
        let at = at.checked_add(after).unwrap_or(at + Duration::from_secs(86_400));
        self.timers.schedule(at, Arc::new(check))
    }

    /// A CPU-time timer goes on: checks soon, but not here.
    pub(crate) fn arm_cpu_check(self: &Arc<Kernel>, group: &Arc<ThreadGroup>) {
        let mut state = group.timers.cpu.state.lock();
        let soon = Instant::now() + GRANULARITY;
        if state.handle.as_ref().is_some_and(|handle| handle.deadline() <= soon) {
            return;
        }
        let handle = self.schedule_cpu_check(group, GRANULARITY);
        let old = state.handle.replace(handle);
        drop(state);
        drop(old);
    }

    /// A thread of the process goes on after it was blocked.
    pub(crate) fn cpu_time_goes_on(self: &Arc<Kernel>, group: &Arc<ThreadGroup>) {
        // Pairs with the one in the check: either this sees that nothing is scheduled, or the check
        // sees that this thread runs.
        fence(Ordering::SeqCst);
        if group.timers.cpu.dormant.load(Ordering::Relaxed)
            && group.timers.cpu.dormant.swap(false, Ordering::Relaxed)
        {
            self.check_cpu_timers(group);
        }
    }

    /// The process is new, or has one more thread, so that CPU time may pass faster.
    pub(crate) fn cpu_threads_added(self: &Arc<Kernel>, group: &Arc<ThreadGroup>) {
        let armed = group.timers.cpu.state.lock().handle.is_some();
        if armed || group.limits().limits_cpu() {
            self.check_cpu_timers(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_a_check_and_keeps_its_beat() {
        let mut timer = CpuTimer::default();
        assert!(!timer.expire(u64::MAX));
        timer.set(TimerSetting { value: 100, interval: 10 }, 1000);
        assert_eq!(timer.left(1040), Some(60));
        assert!(!timer.expire(1099));
        assert!(timer.expire(1125));
        assert_eq!(timer.next, Some(1130));
        timer.set(TimerSetting { value: 5, interval: 0 }, 2000);
        assert!(timer.expire(2005) && !timer.expire(3000));
        assert_eq!(timer.setting(3000), TimerSetting::default());
    }

    #[test]
    fn checks_are_as_late_as_can_be() {
        assert_eq!(check_after(8_000_000, 2), Duration::from_millis(4));
        assert_eq!(check_after(8_000_000, 0), Duration::from_millis(8));
        assert_eq!(check_after(5, 1), GRANULARITY);
    }
}
