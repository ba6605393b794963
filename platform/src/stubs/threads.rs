//! Host threads: where they run, and how they are disturbed.

use std::io;

/// tgkill(2). False means that the thread is gone, which is fine.
pub(crate) fn kick(pid: i32, tid: i32) -> bool {
    // SAFETY: three numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, KICK) == 0 }
}

/// The signal that gets a host thread out of guest code: one that is ignored by default, so that a late
/// one harms nobody.
pub(crate) const KICK: i32 = libc::SIGURG;

/// The words of a CPU mask: as many as any kernel has been built for (8192 CPUs).
const MASK_WORDS: usize = 128;

/// The CPUs that the calling thread may use (sched_getaffinity).
pub(crate) fn affinity() -> io::Result<Vec<usize>> {
    let mut mask = [0u64; MASK_WORDS];
    let size = size_of_val(&mask);
    // SAFETY: the kernel writes at most `size` bytes to the array.
    if unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size, mask.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let allowed = |cpu: &usize| mask[cpu / 64] >> (cpu % 64) & 1 == 1;
    Ok((0..MASK_WORDS * 64).filter(allowed).collect())
}

/// Pins a thread to one CPU (sched_setaffinity), if the host lets us. 0: the calling thread.
pub(crate) fn set_affinity(tid: i32, cpu: usize) {
    let mut mask = [0u64; MASK_WORDS];
    if let Some(word) = mask.get_mut(cpu / 64) {
        *word = 1 << (cpu % 64);
        let size = size_of_val(&mask);
        // SAFETY: the kernel reads `size` bytes of the array.
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, tid, size, mask.as_ptr()) };
    }
}

/// The CPU that the calling thread runs on, for the moment (getcpu; no call on most hosts).
pub(crate) fn current_cpu() -> Option<usize> {
    // SAFETY: no arguments.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// The id of the calling thread (gettid).
pub(crate) fn current_thread() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() }
}
