//! Which CPU a guest thread and its tracer run on: always the same one.
//!
//! They take turns, so there is nothing to gain from two CPUs, and waking a sleeping CPU costs
//! several times what the whole call costs otherwise (tests/cost.rs measures both). Left alone,
//! the host's scheduler sees an idle CPU at each turn and moves one of the two there.
//!
//! Pinned threads cannot be balanced by the host, so we do: a thread moves when it resumes on a
//! CPU that has two more runnable guest threads than another, and a thread that leaves its CPU
//! idle shoos a computing one over.

use super::threads;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often a computing thread may be disturbed because a CPU became idle.
const SHOO_INTERVAL: Duration = Duration::from_millis(10);

/// The CPUs, and who runs there. Counters are hints: nothing but speed depends on them.
pub(crate) struct Placement {
    cpus: Vec<Cpu>,
    seats: Mutex<Vec<Arc<Place>>>,
    start: Instant,
    /// When a thread was shooed last, in milliseconds after `start`.
    last_shoo: AtomicU64,
}

struct Cpu {
    number: usize,
    /// Guest threads that run there, in guest code or in a handler.
    runnable: AtomicI32,
}

/// Where one guest thread is.
struct Place {
    /// Index into `cpus`.
    cpu: AtomicUsize,
    pid: i32,
    tid: i32,
    in_guest: AtomicBool,
}

impl Placement {
    /// Over the CPUs that the process may use.
    pub(crate) fn new() -> Self {
        let cpus = threads::affinity().unwrap_or_default();
        let cpu = |number| Cpu { number, runnable: AtomicI32::new(0) };
        Placement {
            cpus: cpus.into_iter().map(cpu).collect(),
            seats: Mutex::default(),
            start: Instant::now(),
            last_shoo: AtomicU64::new(0),
        }
    }

    /// The least used CPU, preferring the one with that number.
    fn best(&self, preferred: Option<usize>) -> usize {
        let key = |index: &usize| {
            let cpu = &self.cpus[*index];
            (cpu.runnable.load(Relaxed), Some(cpu.number) != preferred)
        };
        (0..self.cpus.len()).min_by_key(key).unwrap_or(0)
    }

    /// The number of a CPU for work that nobody waits for.
    pub(crate) fn idlest(&self) -> Option<usize> {
        self.cpus.get(self.best(None)).map(|cpu| cpu.number)
    }

    /// Gets a computing thread off a CPU that it shares, if there is one.
    fn shoo(&self) {
        let now = self.start.elapsed().as_millis() as u64;
        let last = self.last_shoo.load(Relaxed);
        if now - last.min(now) < SHOO_INTERVAL.as_millis() as u64
            || !self.cpus.iter().any(|cpu| cpu.runnable.load(Relaxed) > 1)
            || self.last_shoo.compare_exchange(last, now, Relaxed, Relaxed).is_err()
        {
            return;
        }
        let seats = self.seats.lock();
        let crowded = seats.iter().find(|place| {
            let cpu = &self.cpus[place.cpu.load(Relaxed)];
            place.in_guest.load(Relaxed) && cpu.runnable.load(Relaxed) > 1
        });
        if let Some(place) = crowded {
            // Its tracer finds a kick without a request, and moves. (The seat is in the list, so
            // the thread has not been reaped.)
            threads::kick(place.pid, place.tid);
        }
    }
}

/// The place of one guest thread; used by its tracer thread.
pub(crate) struct Seat {
    placement: Arc<Placement>,
    place: Arc<Place>,
    /// Whether it counts as runnable.
    runnable: bool,
}

impl Seat {
    /// Takes a place for a host thread of a stub and the calling thread, its tracer.
    pub(crate) fn take(placement: &Arc<Placement>, pid: i32, tid: i32) -> Seat {
        let cpu = placement.best(threads::current_cpu());
        let place =
            Place { cpu: AtomicUsize::new(cpu), pid, tid, in_guest: AtomicBool::new(false) };
        let place = Arc::new(place);
        placement.seats.lock().push(place.clone());
        let mut seat = Seat { placement: placement.clone(), place, runnable: false };
        seat.set_runnable(true);
        seat.pin();
        seat
    }

    /// Before guest code runs.
    pub(crate) fn enter_guest(&mut self) {
        self.set_runnable(true);
        let cpus = &self.placement.cpus;
        let from = self.place.cpu.load(Relaxed);
        // Mostly we are alone, and know it from one load.
        let here = cpus.get(from).map_or(0, |cpu| cpu.runnable.load(Relaxed));
        if here > 1 {
            let to = self.placement.best(None);
            if cpus[to].runnable.load(Relaxed) + 1 < here {
                cpus[from].runnable.fetch_sub(1, Relaxed);
                cpus[to].runnable.fetch_add(1, Relaxed);
                self.place.cpu.store(to, Relaxed);
                self.pin();
            }
        }
        self.place.in_guest.store(true, Relaxed);
    }

    /// After guest code ran.
    pub(crate) fn leave_guest(&self) {
        self.place.in_guest.store(false, Relaxed);
    }

    /// The thread blocks, or ends.
    pub(crate) fn block(&mut self) {
        self.set_runnable(false);
    }

    fn set_runnable(&mut self, runnable: bool) {
        if self.runnable == runnable {
            return;
        }
        self.runnable = runnable;
        if let Some(cpu) = self.placement.cpus.get(self.place.cpu.load(Relaxed)) {
            if runnable {
                cpu.runnable.fetch_add(1, Relaxed);
            } else if cpu.runnable.fetch_sub(1, Relaxed) == 1 {
                self.placement.shoo();
            }
        }
    }

    /// Where the host refuses, things are merely slower.
    fn pin(&self) {
        if let Some(cpu) = self.placement.cpus.get(self.place.cpu.load(Relaxed))
            && self.placement.cpus.len() > 1
        {
            threads::set_affinity(self.place.tid, cpu.number);
            threads::set_affinity(0, cpu.number);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.set_runnable(false);
        self.placement.seats.lock().retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}
