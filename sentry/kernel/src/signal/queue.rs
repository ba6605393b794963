//! Signals that wait for delivery.

use abi::signal::{SigInfo, SigSet, Signal};
use std::collections::VecDeque;

/// Pending signals, of a task or of a process. A standard signal is pending once; real-time ones
/// queue, up to a limit.
#[derive(Clone, Default)]
pub struct PendingQueue {
    set: SigSet,
    infos: VecDeque<SigInfo>,
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
        self.infos.push_back(info);
        true
    }

    /// Takes the next one in `allowed`: faults first, then by number, then by age.
    pub fn take(&mut self, allowed: SigSet) -> Option<SigInfo> {
        let ready = self.set.intersect(allowed);
        let signal = ready.intersect(SYNCHRONOUS).lowest().or_else(|| ready.lowest())?;
        let at = self.infos.iter().position(|info| info.signo == signal.number());
        let info = match at.and_then(|at| self.infos.remove(at)) {
            Some(info) => info,
            // Its information did not fit the limit.
            None => SigInfo::new(signal, libc::SI_USER),
        };
        if !self.infos.iter().any(|other| other.signo == info.signo) {
            self.set.remove(signal);
        }
        Some(info)
    }

    /// Forgets all in `which`.
    pub fn discard(&mut self, which: SigSet) {
        self.set = self.set.without(which);
        let set = self.set;
        self.infos.retain(|info| Signal::new(info.signo).is_ok_and(|signal| set.contains(signal)));
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
        assert_eq!(queue.take(all()).unwrap().code, 0);
        let codes: Vec<i32> = std::iter::from_fn(|| queue.take(all())).map(|i| i.code).collect();
        assert_eq!(codes, [0, 1, 2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn faults_come_first_then_lower_numbers() {
        let mut queue = PendingQueue::default();
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGSEGV] {
            queue.push(signal, SigInfo::new(signal, 0), 10);
        }
        let order: Vec<i32> = std::iter::from_fn(|| queue.take(all())).map(|i| i.signo).collect();
        assert_eq!(order, [libc::SIGSEGV, libc::SIGHUP, libc::SIGTERM]);
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
