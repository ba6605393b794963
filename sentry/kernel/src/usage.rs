//! What processes have used: getrusage(2).

use crate::group::ThreadGroup;
use crate::kernel::Kernel;
use crate::task::Task;
use mm::MemoryManager;

/// What a thread, a process or its children have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// CPU time in guest code, in ns.
    pub user: u64,
    /// CPU time in the kernel, in ns.
    pub system: u64,
    /// The most memory that was seen resident, in bytes.
    pub max_resident: u64,
    /// Page faults that came to this kernel; those that the host deals with are not known.
    pub faults: u64,
    /// How often it blocked.
    pub waits: u64,
}

impl ResourceUsage {
    /// Adds another's; of memory, the larger one counts.
    pub fn add(&mut self, other: &ResourceUsage) {
        self.user = self.user.saturating_add(other.user);
        self.system = self.system.saturating_add(other.system);
        self.max_resident = self.max_resident.max(other.max_resident);
        self.faults = self.faults.saturating_add(other.faults);
        self.waits = self.waits.saturating_add(other.waits);
    }

    fn times(&self) -> (u64, u64) {
        (self.user, self.system)
    }
}

impl Task {
    /// What this thread has used, its process's memory included.
    pub fn usage(&self) -> ResourceUsage {
        let max_resident = self.group().usage.lock().ended.max_resident;
        ResourceUsage { max_resident, ..self.clock.usage() }
    }
}

/// The part of a process's usage that is not counted by its live threads.
#[derive(Debug, Default)]
pub(crate) struct GroupUsage {
    /// Threads that have ended, and the peak of memory.
    pub ended: ResourceUsage,
    /// Children that were waited for, with theirs.
    pub children: ResourceUsage,
}

impl ThreadGroup {
    /// CPU time of the threads that have ended, in ns.
    pub(crate) fn cpu_times(&self) -> (u64, u64) {
        self.usage.lock().ended.times()
    }

    /// CPU time of children that were waited for, in ns: user, system.
    pub fn children_times(&self) -> (u64, u64) {
        self.children_usage().times()
    }

    /// What children that were waited for have used.
    pub fn children_usage(&self) -> ResourceUsage {
        self.usage.lock().children
    }

    /// The most memory that was seen resident, in bytes.
    pub fn max_resident(&self) -> u64 {
        self.usage.lock().ended.max_resident
    }

    /// What a process that has ended used, its own children included.
    pub(crate) fn usage_with_children(&self) -> ResourceUsage {
        let usage = self.usage.lock();
        let mut total = usage.ended;
        total.add(&usage.children);
        total
    }

    /// Takes note of how much of `mm`, its memory, is resident now: the peak is the largest seen.
    /// Called where memory is given up or somebody asks, since that is not cheap to know.
    pub fn note_resident(&self, mm: &MemoryManager) -> u64 {
        let now = mm.usage().resident_bytes;
        let mut usage = self.usage.lock();
        usage.ended.max_resident = usage.ended.max_resident.max(now);
        usage.ended.max_resident
    }
}

impl Kernel {
    /// CPU time of a process, live threads included, in ns: user, system.
    pub fn process_times(&self, group: &ThreadGroup) -> (u64, u64) {
        self.process_usage(group).times()
    }

    /// What a process has used, live threads included.
    pub fn process_usage(&self, group: &ThreadGroup) -> ResourceUsage {
        let table = self.processes.lock();
        // With the table locked no thread ends, so none is counted twice or not at all.
        let mut total = group.usage.lock().ended;
        if let Some(process) = table.process(group.pid()) {
            for task in &process.tasks {
                total.add(&task.clock.usage());
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_memory_peaks() {
        let mut total = ResourceUsage { user: 1, max_resident: 10, ..ResourceUsage::default() };
        let other =
            ResourceUsage { user: 2, system: 3, max_resident: 4, faults: 5, waits: u64::MAX };
        total.add(&other);
        total.add(&other);
        let expected =
            ResourceUsage { user: 5, system: 6, max_resident: 10, faults: 10, waits: u64::MAX };
        assert_eq!(total, expected);
    }
}
