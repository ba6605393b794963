//! Resource limits: getrlimit(2).

use abi::process::Rlimit;
use abi::{Errno, SysResult};
use parking_lot::Mutex;

/// The resources, by Linux's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs)] // getrlimit(2) describes them
pub enum Resource {
    Cpu,
    Fsize,
    Data,
    Stack,
    Core,
    Rss,
    Nproc,
    Nofile,
    Memlock,
    As,
    Locks,
    Sigpending,
    Msgqueue,
    Nice,
    Rtprio,
    Rttime,
}

const COUNT: usize = 16;

/// RLIM_INFINITY.
pub const INFINITY: u64 = u64::MAX;

impl Resource {
    /// EINVAL for a number that names none.
    pub fn new(number: u32) -> SysResult<Resource> {
        use Resource::*;
        const ALL: [Resource; COUNT] = [
            Cpu, Fsize, Data, Stack, Core, Rss, Nproc, Nofile, Memlock, As, Locks, Sigpending,
            Msgqueue, Nice, Rtprio, Rttime,
        ];
        ALL.get(number as usize).copied().ok_or(Errno::EINVAL)
    }
}

/// The limits of a process.
#[derive(Debug)]
pub struct Limits(Mutex<[Rlimit; COUNT]>);

impl Default for Limits {
    /// What Linux gives its first process, with its usual descriptor limits.
    fn default() -> Limits {
        let infinite = Rlimit { cur: INFINITY, max: INFINITY };
        let mut limits = [infinite; COUNT];
        let mut set =
            |resource: Resource, cur, max| limits[resource as usize] = Rlimit { cur, max };
        set(Resource::Stack, 8 << 20, INFINITY);
        set(Resource::Core, 0, INFINITY);
        set(Resource::Nproc, 32_768, 32_768);
        set(Resource::Nofile, 1024, 1 << 20);
        set(Resource::Memlock, 8 << 20, 8 << 20);
        set(Resource::Sigpending, 32_768, 32_768);
        set(Resource::Msgqueue, 819_200, 819_200);
        set(Resource::Nice, 0, 0);
        set(Resource::Rtprio, 0, 0);
        Limits(Mutex::new(limits))
    }
}

impl Limits {
    /// The defaults, with the first of them replaced, in the order of the resources' numbers. What
    /// no process could set is cut to what it could.
    pub fn with(first: &[(u64, u64)]) -> Limits {
        let limits = Limits::default();
        {
            let mut all = limits.0.lock();
            for (limit, (cur, max)) in all.iter_mut().zip(first) {
                *limit = Rlimit { cur: *cur.min(max), max: *max };
            }
            let nofile = &mut all[Resource::Nofile as usize];
            nofile.max = nofile.max.min(vfs::fd::NR_OPEN);
            nofile.cur = nofile.cur.min(nofile.max);
        }
        limits
    }

    /// A copy, for fork(2).
    pub fn fork(&self) -> Limits {
        Limits(Mutex::new(*self.0.lock()))
    }

    /// The limit now.
    pub fn get(&self, resource: Resource) -> Rlimit {
        self.0.lock()[resource as usize]
    }

    /// Replaces it. EINVAL where the soft limit is above the hard one; EPERM where the hard one is
    /// raised without `privileged` (CAP_SYS_RESOURCE).
    pub fn set(&self, resource: Resource, new: Rlimit, privileged: bool) -> SysResult<()> {
        if new.cur > new.max {
            return Err(Errno::EINVAL);
        }
        if resource == Resource::Nofile && new.max > vfs::fd::NR_OPEN {
            return Err(Errno::EPERM);
        }
        let mut limits = self.0.lock();
        if new.max > limits[resource as usize].max && !privileged {
            return Err(Errno::EPERM);
        }
        limits[resource as usize] = new;
        Ok(())
    }

    /// Is there a limit of CPU time?
    pub(crate) fn limits_cpu(&self) -> bool {
        self.get(Resource::Cpu).cur != INFINITY
    }

    /// What is to be done about RLIMIT_CPU after so many ns of CPU time. As in Linux, the soft limit
    /// goes up by a second whenever it is reached.
    pub(crate) fn check_cpu(&self, used: u64) -> CpuLimit {
        let mut limits = self.0.lock();
        let limit = &mut limits[Resource::Cpu as usize];
        let nanos = |seconds: u64| seconds.saturating_mul(1_000_000_000);
        if limit.cur == INFINITY {
            return CpuLimit::None;
        }
        if used >= nanos(limit.max) {
            return CpuLimit::Hard;
        }
        let reached = used >= nanos(limit.cur);
        if reached {
            limit.cur += 1;
        }
        let left = nanos(limit.cur.min(limit.max)).saturating_sub(used);
        if reached { CpuLimit::Soft(left) } else { CpuLimit::Left(left) }
    }

    /// The soft limit of descriptors.
    pub fn nofile(&self) -> u64 {
        self.get(Resource::Nofile).cur
    }
}

/// What follows from RLIMIT_CPU; in ns of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CpuLimit {
    /// There is none.
    None,
    /// So much is left.
    Left(u64),
    /// The soft limit is reached: SIGXCPU, and again after so much.
    Soft(u64),
    /// The hard limit is reached: SIGKILL.
    Hard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_limits_warn_each_second_and_then_kill() {
        const SECOND: u64 = 1_000_000_000;
        let limits = Limits::default();
        assert_eq!(limits.check_cpu(u64::MAX), CpuLimit::None);
        limits.set(Resource::Cpu, Rlimit { cur: 2, max: 3 }, false).unwrap();
        assert_eq!(limits.check_cpu(SECOND / 2), CpuLimit::Left(SECOND / 2 * 3));
        assert_eq!(limits.check_cpu(2 * SECOND + 1), CpuLimit::Soft(SECOND - 1));
        assert_eq!(limits.get(Resource::Cpu).cur, 3);
        assert_eq!(limits.check_cpu(3 * SECOND), CpuLimit::Hard);
        limits.set(Resource::Cpu, Rlimit { cur: 0, max: INFINITY }, true).unwrap();
        assert_eq!(limits.check_cpu(0), CpuLimit::Soft(SECOND));
        assert_eq!(limits.check_cpu(SECOND / 4), CpuLimit::Left(SECOND / 4 * 3));
    }
}
