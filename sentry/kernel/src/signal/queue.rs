//! Signals that wait for delivery.

use crate::posix_timer::TimerRef;
use abi::signal::{SigInfo, SigSet, Signal};
use std::collections::VecDeque;

/// Pending signals, of a task or of a process. A standard signal is pending once; real-time ones
/// queue, up to a limit.
#[derive(Clone, Default)]
pub struct PendingQueue {
    set: SigSet,
    infos: VecDeque<Queued>,
}

/// A signal in a queue.
#[derive(Clone, Copy, Debug)]
pub struct Queued {
    /// What the handler gets.
    pub info: SigInfo,
    /// The timer that sent it, which goes on when it is taken.
    pub timer: Option<TimerRef>,
}

impl PendingQueue {
    /// Which signals are pending.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// How many are queued.
    pub fn len(&self) -> usize {
        self.infos.len()
    }

    /// None pending?
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Adds one. Beyond `limit` the signal is pending still, but without its information (false).
    pub fn push(&mut self, signal: Signal, info: SigInfo, limit: u64) -> bool {
        if !signal.is_realtime() && self.set.contains(signal) {
            return true;
        }
        self.set.add(signal);
        if self.infos.len() as u64 >= limit && signal.is_realtime() {
            return false;
        }
        self.infos.push_back(Queued { info, timer: None });
        true
    }

    /// Adds a timer's signal. There is at most one of each timer, and the timers are limited: so it
    /// does not count against the limit, and does not merge with others.
    pub fn push_timer(&mut self, signal: Signal, info: SigInfo, timer: TimerRef) {
        self.set.add(signal);
        self.infos.push_back(Queued { info, timer: Some(timer) });
    }

    /// Forgets the signals of timers that `which` chooses.
    pub fn remove_timers(&mut self, which: impl Fn(&TimerRef) -> bool) {
        let mut removed = SigSet::EMPTY;
        self.infos.retain(|queued| {
            let goes = queued.timer.as_ref().is_some_and(&which);
            if let (true, Ok(signal)) = (goes, Signal::new(queued.info.signo)) {
                removed.add(signal);
            }
            !goes
        });
        self.set = self.set.without(removed);
        for queued in &self.infos {
            if let Ok(signal) = Signal::new(queued.info.signo) {
                self.set.add(signal);
            }
        }
    }

    /// Takes the next one in `allowed`: faults first, then by number, then by age.
    pub fn take(&mut self, allowed: SigSet) -> Option<Queued> {
        let ready = self.set.intersect(allowed);
        let signal = ready.intersect(SYNCHRONOUS).lowest().or_else(|| ready.lowest())?;
        let at = self.infos.iter().position(|queued| queued.info.signo == signal.number());
        let taken = match at.and_then(|at| self.infos.remove(at)) {
            Some(queued) => queued,
            // Its information did not fit the limit.
            None => Queued { info: SigInfo::new(signal, libc::SI_USER), timer: None },
        };
        if !self.infos.iter().any(|other| other.info.signo == signal.number()) {
            self.set.remove(signal);
        }
        Some(taken)
    }

    /// Forgets all in `which`. Returns the timers whose signals were among them.
    pub fn discard(&mut self, which: SigSet) -> Vec<TimerRef> {
        self.set = self.set.without(which);
        let mut timers = Vec::new();
        self.infos.retain(|queued| {
            let goes = Signal::new(queued.info.signo).is_ok_and(|signal| which.contains(signal));
            timers.extend(queued.timer.filter(|_| goes));
            !goes
        });
        timers
    }
}

/// Those that the kernel delivers before others, since they belong to an instruction.
const SYNCHRONOUS: SigSet = SigSet(
    1 << (libc::SIGSEGV - 1)
        | 1 << (libc::SIGBUS - 1)
        | 1 << (libc::SIGILL - 1)
        | 1 << (libc::SIGTRAP - 1)
        | 1 << (libc::SIGFPE - 1)
        | 1 << (libc::SIGSYS - 1),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> SigSet {
        SigSet(u64::MAX)
    }

    #[test]
    fn standard_signals_merge_and_realtime_ones_queue() {
        let mut queue = PendingQueue::default();
        let rt = Signal::new(40).unwrap();
        for value in 0..3 {
            queue.push(Signal::SIGUSR1, SigInfo::new(Signal::SIGUSR1, value), 10);
            queue.push(rt, SigInfo::new(rt, value), 10);
        }
        assert_eq!(queue.len(), 4);
        assert_eq!(queue.take(all()).unwrap().info.code, 0);
        let codes: Vec<i32> =
            std::iter::from_fn(|| queue.take(all())).map(|q| q.info.code).collect();
        assert_eq!(codes, [0, 1, 2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn faults_come_first_then_lower_numbers() {
        let mut queue = PendingQueue::default();
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGSEGV] {
            queue.push(signal, SigInfo::new(signal, 0), 10);
        }
        let order: Vec<i32> =
            std::iter::from_fn(|| queue.take(all())).map(|q| q.info.signo).collect();
        assert_eq!(order, [libc::SIGSEGV, libc::SIGHUP, libc::SIGTERM]);
    }

    #[test]
    fn signals_of_timers_neither_merge_nor_count() {
        let mut queue = PendingQueue::default();
        let info = SigInfo::new(Signal::SIGALRM, 0);
        queue.push(Signal::SIGALRM, info, 1);
        for id in 0..3 {
            queue.push_timer(Signal::SIGALRM, info, TimerRef { id, generation: 1 });
        }
        assert_eq!(queue.len(), 4);
        queue.remove_timers(|timer| timer.id == 0);
        assert!(queue.take(all()).unwrap().timer.is_none());
        assert_eq!(queue.take(all()).unwrap().timer.unwrap().id, 1);
        assert!(queue.set().contains(Signal::SIGALRM));
        let dropped = queue.discard(SigSet::of(Signal::SIGALRM));
        assert_eq!(dropped, [TimerRef { id: 2, generation: 1 }]);
        queue.push_timer(Signal::SIGALRM, info, TimerRef { id: 5, generation: 1 });
        queue.remove_timers(|_| true);
        assert!(queue.is_empty());
    }

    #[test]
    fn beyond_the_limit_the_signal_stays_pending() {
        let mut queue = PendingQueue::default();
        let rt = Signal::new(40).unwrap();
        assert!(queue.push(rt, SigInfo::new(rt, 7), 1));
        assert!(!queue.push(rt, SigInfo::new(rt, 8), 1));
        assert_eq!(queue.len(), 1);
        queue.discard(SigSet::of(rt));
        assert!(queue.take(all()).is_none());
    }
}
