//! timerfd_create(2): timers that are read.
//!
//! A timer with an interval is not armed again until its expirations are read, as on Linux: how
//! many there were is computed, so that a short interval costs nothing while nobody looks.
//!
//! Lock order: the timer's state, then the table of [`Timers`].

use abi::file::PollEvents;
use abi::time::{Itimerspec, Timespec};
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use vfs::{FileOps, OpenFile};
use wait::{TimerHandle, Timers, WaitQueue};

/// The clock of a timerfd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // clock_gettime(2) describes them
pub enum Clock {
    Realtime,
    Monotonic,
    Boottime,
}

impl Clock {
    /// From the number given to timerfd_create(2). EINVAL for a clock it does not take. The alarm
    /// clocks (8 and 9) are taken: that they need CAP_WAKE_ALARM is the caller's to check.
    pub fn from_id(id: i32) -> SysResult<Clock> {
        match id {
            0 | 8 => Ok(Clock::Realtime),
            1 => Ok(Clock::Monotonic),
            7 | 9 => Ok(Clock::Boottime),
            _ => Err(Errno::EINVAL),
        }
    }

    fn now(self) -> Duration {
        let time = clock_gettime(match self {
            Clock::Realtime => ClockId::Realtime,
            Clock::Monotonic => ClockId::Monotonic,
            Clock::Boottime => ClockId::Boottime,
        });
        Timespec { sec: time.tv_sec, nsec: time.tv_nsec }.to_duration().unwrap_or_default()
    }
}

/// TFD_TIMER_ABSTIME.
pub const TFD_TIMER_ABSTIME: u32 = 1;
/// TFD_TIMER_CANCEL_ON_SET: taken, without effect, as guests cannot set the clock.
pub const TFD_TIMER_CANCEL_ON_SET: u32 = 2;

/// Longest time to the next expiration; beyond it a timer is as good as never due, and `Instant`
/// arithmetic is safe.
const FAR: Duration = Duration::from_secs(1 << 33);

/// A timer that is read.
pub struct TimerFd {
    clock: Clock,
    timers: Timers,
    me: Weak<TimerFd>,
    state: Mutex<State>,
    queue: WaitQueue,
}

#[derive(Default)]
struct State {
    /// The next expiration, in the timer's clock; None: disarmed. In the past once it has expired.
    next: Option<Duration>,
    interval: Duration,
    /// It has expired at least once since the last read.
    expired: bool,
    handle: Option<TimerHandle>,
}

impl State {
    /// Expirations up to `now`, and moves `next` past it (to None without an interval).
    fn take_expirations(&mut self, now: Duration) -> u64 {
        let Some(next) = self.next.filter(|next| *next <= now) else { return 0 };
        if self.interval.is_zero() {
            self.next = None;
            return 1;
        }
        let periods = (now - next).as_nanos() / self.interval.as_nanos() + 1;
        let periods = u64::try_from(periods).unwrap_or(u64::MAX);
        self.next = Some(after(now, next, self.interval));
        periods
    }
}

/// The first time after `now` that is `next` plus a multiple of `interval`.
fn after(now: Duration, next: Duration, interval: Duration) -> Duration {
    let into_period = (now - next).as_nanos() % interval.as_nanos();
    let into_period = u64::try_from(into_period).map_or(Duration::ZERO, Duration::from_nanos);
    now.saturating_add(interval.saturating_sub(into_period))
}

impl TimerFd {
    /// A disarmed timer. The name for /proc/PID/fd is `[timerfd]`.
    pub fn new(clock: Clock, timers: &Timers) -> Arc<TimerFd> {
        Arc::new_cyclic(|me| TimerFd {
            clock,
            timers: timers.clone(),
            me: me.clone(),
            state: Mutex::default(),
            queue: WaitQueue::new(),
        })
    }

    /// timerfd_settime(2): arms or, with a zero `value`, disarms; returns the old setting. EINVAL
    /// for flags or times that make no sense.
    pub fn set_time(&self, flags: u32, new: Itimerspec) -> SysResult<Itimerspec> {
        if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
            return Err(Errno::EINVAL);
        }
        let value = new.value.to_duration().ok_or(Errno::EINVAL)?;
        let interval = new.interval.to_duration().ok_or(Errno::EINVAL)?;
        let now = self.clock.now();
        let mut state = self.state.lock();
        let old = setting(&mut state, now);
        let next = if value.is_zero() {
            None
        } else if flags & TFD_TIMER_ABSTIME != 0 {
            Some(value)
        } else {
            Some(now.saturating_add(value))
        };
        let old_handle = state.handle.take();
        *state = State { next, interval, expired: false, handle: None };
        self.arm(&mut state, now);
        drop(state);
        drop(old_handle);
        Ok(old)
    }

    /// timerfd_gettime(2).
    pub fn time(&self) -> Itimerspec {
        setting(&mut self.state.lock(), self.clock.now())
    }

    fn arm(&self, state: &mut State, now: Duration) {
        state.handle = state.next.and_then(|next| {
            let wait = next.saturating_sub(now).min(FAR);
            let at = Instant::now().checked_add(wait)?;
            let me = self.me.clone();
            let callback = move || {
                if let Some(timer) = me.upgrade() {
                    timer.expire();
                }
            };
            Some(self.timers.schedule(at, Arc::new(callback)))
        });
    }

    /// Called by the timer thread.
    fn expire(&self) {
        let mut state = self.state.lock();
        let now = self.clock.now();
        match state.next {
            Some(next) if next <= now => state.expired = true,
            // Set anew meanwhile, or the clock was stepped back: that is another wait.
            Some(_) => {
                self.arm(&mut state, now);
                return;
            }
            None => return,
        }
        drop(state);
        self.queue.notify((PollEvents::IN | PollEvents::RDNORM).bits());
    }

    /// Takes the number of expirations. EAGAIN where there was none.
    pub fn take(&self) -> SysResult<u64> {
        let mut state = self.state.lock();
        if !state.expired {
            return Err(Errno::EAGAIN);
        }
        let now = self.clock.now();
        let count = state.take_expirations(now).max(1);
        state.expired = false;
        self.arm(&mut state, now);
        Ok(count)
    }
}

/// The remaining time and the interval. An expired timer without an interval shows zero; with one,
/// the time to the next.
fn setting(state: &mut State, now: Duration) -> Itimerspec {
    let remaining = match state.next {
        None => Duration::ZERO,
        Some(next) if next > now => next - now,
        Some(_) if state.interval.is_zero() && state.expired => Duration::ZERO,
        // Due, but the timer thread has not come round to it.
        Some(_) if state.interval.is_zero() => Duration::from_nanos(1),
        Some(next) => after(now, next, state.interval) - now,
    };
    Itimerspec { interval: state.interval.into(), value: remaining.into() }
}

impl FileOps for TimerFd {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        let Some(out) = buf.first_chunk_mut() else { return Err(Errno::EINVAL) };
        *out = self.take()?.to_ne_bytes();
        Ok(8)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        if self.state.lock().expired {
            PollEvents::IN | PollEvents::RDNORM
        } else {
            PollEvents::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::file::OpenFlags;
    use wait::Waiter;

    const MS: Duration = Duration::from_millis(1);

    fn spec(value: Duration, interval: Duration) -> Itimerspec {
        Itimerspec { value: value.into(), interval: interval.into() }
    }

    fn open(timer: &Arc<TimerFd>) -> Arc<OpenFile> {
        crate::anon::open_file("timerfd", timer.clone(), OpenFlags::RDWR)
    }

    fn wait_for(timer: &TimerFd) -> u64 {
        let waiter = Waiter::new();
        let _registration = timer.queue.register(PollEvents::IN.bits(), waiter.clone());
        loop {
            match timer.take() {
                Ok(count) => return count,
                Err(_) => waiter.wait(None),
            };
        }
    }

    #[test]
    fn once_and_not_before() {
        let timer = TimerFd::new(Clock::Monotonic, &Timers::new());
        let file = open(&timer);
        let start = Instant::now();
        timer.set_time(0, spec(10 * MS, Duration::ZERO)).unwrap();
        assert_eq!(file.read(&mut [0; 8]), Err(Errno::EAGAIN));
        assert_eq!(file.read(&mut [0; 7]), Err(Errno::EINVAL));
        assert_eq!(wait_for(&timer), 1);
        assert!(start.elapsed() >= 10 * MS);
        assert_eq!(file.poll(), PollEvents::empty());
        assert_eq!(timer.time().value, Timespec::default());
    }

    #[test]
    fn an_interval_counts_without_being_armed() {
        let timers = Timers::new();
        let timer = TimerFd::new(Clock::Monotonic, &timers);
        timer.set_time(0, spec(MS, MS)).unwrap();
        let start = Instant::now();
        let mut total = 0;
        while total < 10 {
            total += wait_for(&timer);
        }
        assert!(start.elapsed() >= 8 * MS);
        assert_eq!(timer.time().interval, MS.into());
        assert!(timer.time().value.as_nanos() <= 1_000_000);
    }

    #[test]
    fn absolute_times_in_the_past_are_due() {
        for clock in [Clock::Realtime, Clock::Monotonic, Clock::Boottime] {
            let timer = TimerFd::new(clock, &Timers::new());
            let past = Duration::from_nanos(1);
            timer.set_time(TFD_TIMER_ABSTIME, spec(past, Duration::ZERO)).unwrap();
            assert_eq!(wait_for(&timer), 1);
        }
    }

    #[test]
    fn settings_are_checked_and_the_old_one_returned() {
        let timer = TimerFd::new(Clock::Monotonic, &Timers::new());
        let bad = Timespec { sec: 0, nsec: 1_000_000_000 };
        let setting = Itimerspec { value: bad, ..Itimerspec::default() };
        assert_eq!(timer.set_time(0, setting).err(), Some(Errno::EINVAL));
        assert_eq!(timer.set_time(8, spec(MS, MS)).err(), Some(Errno::EINVAL));
        assert_eq!(Clock::from_id(2), Err(Errno::EINVAL));
        let hour = Duration::from_secs(3600);
        timer.set_time(0, spec(hour, 2 * hour)).unwrap();
        let old = timer.set_time(TFD_TIMER_CANCEL_ON_SET, Itimerspec::default()).unwrap();
        assert!(old.value.to_duration().is_some_and(|left| left <= hour && left > hour / 2));
        assert_eq!(old.interval, (2 * hour).into());
        assert_eq!(timer.time().value, Timespec::default());
    }

    #[test]
    fn absurd_times_are_harmless() {
        let timer = TimerFd::new(Clock::Realtime, &Timers::new());
        let far = Duration::new(i64::MAX as u64, 999_999_999);
        timer.set_time(0, spec(far, far)).unwrap();
        timer.time();
        timer.set_time(TFD_TIMER_ABSTIME, spec(Duration::from_nanos(1), far)).unwrap();
        assert_eq!(wait_for(&timer), 1);
        timer.time();
        let tiny = Duration::from_nanos(1);
        timer.set_time(TFD_TIMER_ABSTIME, spec(tiny, tiny)).unwrap();
        assert!(wait_for(&timer) > 1_000_000);
    }
}
