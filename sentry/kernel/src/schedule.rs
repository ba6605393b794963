//! What a thread asked of the scheduler: nice value, policy, CPUs, I/O priority.
//!
//! Kept, inherited and reported as Linux does; the host schedules without regard to it.

use crate::kernel::Kernel;
use crate::limits::Resource;
use crate::process::Pid;
use crate::task::Task;
use abi::{Errno, SysResult};
use std::sync::Arc;
use vfs::Credentials;
use vfs::cred::Caps;

/// The highest and the lowest nice value.
pub const NICE_RANGE: std::ops::RangeInclusive<i32> = -20..=19;

/// SCHED_OTHER.
pub const SCHED_OTHER: i32 = 0;
/// SCHED_BATCH.
pub const SCHED_BATCH: i32 = 3;
/// SCHED_IDLE.
pub const SCHED_IDLE: i32 = 5;

/// A set of CPUs. More than there are bits for are never offered to guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSet([u64; CpuSet::WORDS]);

impl CpuSet {
    const WORDS: usize = 16;

    /// The first `count` CPUs.
    pub fn first(count: u32) -> CpuSet {
        let mut set = CpuSet([0; CpuSet::WORDS]);
        let count = (count as usize).min(CpuSet::WORDS * 64);
        (0..count).for_each(|cpu| set.0[cpu / 64] |= 1 << (cpu % 64));
        set
    }

    /// From a mask in memory; what does not fit is dropped, what is missing is 0.
    pub fn from_bytes(bytes: &[u8]) -> CpuSet {
        let mut set = CpuSet([0; CpuSet::WORDS]);
        for (at, byte) in bytes.iter().take(CpuSet::WORDS * 8).enumerate() {
            set.0[at / 8] |= u64::from(*byte) << (at % 8 * 8);
        }
        set
    }

    /// The mask of the first `cpus` CPUs, in whole words.
    pub fn to_bytes(&self, cpus: u32) -> Vec<u8> {
        let words = (cpus as usize).div_ceil(64).clamp(1, CpuSet::WORDS);
        self.0[..words].iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// What is in both.
    pub fn intersect(&self, other: &CpuSet) -> CpuSet {
        CpuSet(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// No CPU in it?
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Is this CPU in it?
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.get(cpu as usize / 64).is_some_and(|word| word >> (cpu % 64) & 1 != 0)
    }

    /// The CPUs in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..CpuSet::WORDS as u32 * 64).filter(|cpu| self.contains(*cpu))
    }
}

/// An I/O priority: class in the upper three bits, level below, as ioprio_set(2) has it.
pub type IoPriority = u16;

/// Where the class begins in an [`IoPriority`].
pub const IOPRIO_CLASS_SHIFT: u32 = 13;

/// What a thread asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// -20 (most) to 19 (least).
    pub nice: i32,
    /// SCHED_OTHER, SCHED_BATCH or SCHED_IDLE.
    pub policy: i32,
    /// SCHED_RESET_ON_FORK.
    pub reset_on_fork: bool,
    /// Where it may run. Never empty.
    pub cpus: CpuSet,
    /// 0: none set.
    pub io_priority: IoPriority,
}

impl Scheduling {
    /// What the first thread has, with so many CPUs.
    pub fn new(cpus: u32) -> Scheduling {
        Scheduling {
            nice: 0,
            policy: SCHED_OTHER,
            reset_on_fork: false,
            cpus: CpuSet::first(cpus),
            io_priority: 0,
        }
    }

    /// What a child or a new thread inherits.
    pub fn fork(&self) -> Scheduling {
        let nice = if self.reset_on_fork { self.nice.max(0) } else { self.nice };
        Scheduling { nice, reset_on_fork: false, ..*self }
    }

    /// The nice value as getpriority(2) and RLIMIT_NICE have it: 1 to 40, more being more.
    pub fn rank(&self) -> i32 {
        20 - self.nice
    }

    /// The I/O priority in effect: where none was set, the nice value gives it (ioprio_set(2)).
    pub fn effective_io_priority(&self) -> IoPriority {
        if self.io_priority >> IOPRIO_CLASS_SHIFT != 0 {
            return self.io_priority;
        }
        let class = if self.policy == SCHED_IDLE { 3 } else { 2 };
        class << IOPRIO_CLASS_SHIFT | ((self.nice + 20) / 5) as IoPriority
    }
}

/// Whose priorities: getpriority(2), ioprio_get(2). 0 stands for the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One thread.
    Thread(Pid),
    /// All of a process group.
    ProcessGroup(Pid),
    /// All of a user.
    User(u32),
}

impl Kernel {
    /// The threads meant; none where there is no such.
    pub fn scheduled_tasks(&self, caller: &Arc<Task>, whose: Whose) -> Vec<Arc<Task>> {
        let table = self.processes.lock();
        match whose {
            Whose::Thread(0) => vec![caller.clone()],
            Whose::Thread(tid) => table.task(tid).cloned().into_iter().collect(),
            Whose::ProcessGroup(0) => {
                let own = table.process(caller.group().pid()).map_or(0, |process| process.pgid);
                table.members(own).flat_map(|process| process.tasks.clone()).collect()
            }
            Whose::ProcessGroup(pgid) => {
                table.members(pgid).flat_map(|process| process.tasks.clone()).collect()
            }
            Whose::User(uid) => {
                let uid = if uid == 0 { caller.cred().uid } else { uid };
                let all = table.iter().flat_map(|process| &process.tasks);
                all.filter(|task| task.cred().uid == uid).cloned().collect()
            }
        }
    }
}

/// May `cred` change how a thread with the credentials `theirs` is scheduled?
pub fn may_schedule(cred: &Credentials, theirs: &Credentials) -> bool {
    cred.euid == theirs.euid || cred.euid == theirs.uid || cred.has_cap(Caps::SYS_NICE)
}

impl Task {
    /// What it asked of the scheduler.
    pub fn scheduling(&self) -> Scheduling {
        *self.scheduling.lock()
    }

    /// Changes it by `change`, which sees what is there.
    pub fn set_scheduling<R>(&self, change: impl FnOnce(&mut Scheduling) -> R) -> R {
        change(&mut self.scheduling.lock())
    }

    /// May this thread have the nice value, by its RLIMIT_NICE or the caller's capabilities?
    pub fn may_be_nice(&self, nice: i32, cred: &Credentials) -> bool {
        let rank = i64::from(20 - nice) as u64;
        rank <= self.group().limits().get(Resource::Nice).cur || cred.has_cap(Caps::SYS_NICE)
    }

    /// setpriority(2) for one thread, by a caller with `cred`. EPERM: not its business; EACCES: too
    /// high.
    pub fn set_nice(&self, nice: i32, cred: &Credentials) -> SysResult<()> {
        let nice = nice.clamp(*NICE_RANGE.start(), *NICE_RANGE.end());
        let theirs = self.cred();
        // As the kernel: here the sender's real id does not count, the victim's does.
        if !may_schedule(cred, &theirs) {
            return Err(Errno::EPERM);
        }
        if nice < self.scheduling().nice && !self.may_be_nice(nice, cred) {
            return Err(Errno::EACCES);
        }
        self.set_scheduling(|scheduling| scheduling.nice = nice);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_sets_go_to_bytes_and_back() {
        let set = CpuSet::first(66);
        assert_eq!(set.to_bytes(66).len(), 16);
        assert_eq!(CpuSet::from_bytes(&set.to_bytes(66)), set);
        assert_eq!(set.iter().count(), 66);
        assert!(set.contains(65) && !set.contains(66) && !set.contains(u32::MAX));
        let one = CpuSet::from_bytes(&[0b100]);
        assert_eq!(one.intersect(&set).iter().collect::<Vec<_>>(), [2]);
        assert!(one.intersect(&CpuSet::first(2)).is_empty());
        assert_eq!(CpuSet::first(u32::MAX).iter().count(), 1024);
    }

    #[test]
    fn a_fork_resets_what_it_was_told_to() {
        let mut parent = Scheduling::new(2);
        parent.nice = -5;
        parent.policy = SCHED_BATCH;
        assert_eq!(parent.fork(), parent);
        parent.reset_on_fork = true;
        let child = parent.fork();
        assert_eq!((child.nice, child.policy, child.reset_on_fork), (0, SCHED_BATCH, false));
        parent.nice = 7;
        assert_eq!(parent.fork().nice, 7);
    }

    #[test]
    fn io_priority_follows_nice_until_set() {
        let mut scheduling = Scheduling::new(1);
        assert_eq!(scheduling.effective_io_priority(), 2 << 13 | 4);
        scheduling.nice = 19;
        assert_eq!(scheduling.effective_io_priority(), 2 << 13 | 7);
        scheduling.policy = SCHED_IDLE;
        assert_eq!(scheduling.effective_io_priority() >> 13, 3);
        scheduling.io_priority = 1 << 13 | 2;
        assert_eq!(scheduling.effective_io_priority(), 1 << 13 | 2);
    }
}
