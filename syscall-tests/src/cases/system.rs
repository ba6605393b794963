//! The machine and the odds and ends: uname(2), sysinfo(2), getrandom(2), sched(7), bad arguments.

use crate::calls::{self, getpid};
use crate::case::{Case, Outcome, in_child, reap};
use crate::sys::{BAD, Errno, KERNEL_ADDRESS, PAGE, Region};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "system";
    uname_is_linux: "uname says Linux on x86_64";
    sysinfo_is_sane: "sysinfo's memory, processes and unit";
    getrandom_fills: "getrandom fills its buffer, and not with the same bytes twice";
    getrandom_errors: "getrandom's EINVAL and EFAULT";
    affinity_is_get_and_set: "sched_getaffinity's sizes, and a mask set and read back";
    getcpu_is_in_affinity: "getcpu gives a processor of the affinity mask";
    sched_yield_returns_zero: "sched_yield gives 0";
    scheduler_parameters: "SCHED_OTHER has priority 0 only";
    unknown_numbers_are_enosys: "numbers without a call are ENOSYS";
    number_is_thirty_two_bits: "the upper half of rax does not count";
    removed_calls_are_enosys: "calls that Linux has removed are ENOSYS";
    bad_pointers_are_efault: "bad pointers are EFAULT in many calls";
    bad_paths_are_efault: "bad path pointers are EFAULT in many calls";
    bad_descriptors_are_ebadf: "a descriptor that is not open is EBADF in many calls";
    pointer_at_end_of_mapping: "a structure that crosses into a hole is EFAULT";
    path_ends_at_hole: "a path whose NUL is the last byte before a hole works";
    vector_registers_survive_calls: "a call leaves the vector registers alone";
    process_vm_readv_reads_child: "process_vm_readv reads another process's memory";
    auxv_page_size: "the auxiliary vector tells the page size";
    personality_can_be_read: "personality(0xffffffff) reads";
    fsync_of_directory: "a directory can be synced; a negative range is EINVAL";
    mount_needs_privilege [Ordinary]: "mount and umount are EPERM";
    reboot_needs_privilege [Ordinary]: "reboot is EPERM";
    rseq_refuses_nonsense: "rseq refuses a wrong size or flags";
    ioprio_get_errors: "ioprio_get knows the process";
}

fn uname_is_linux(_: &mut Case) -> Outcome {
    let mut name = sys::zeroed::<libc::utsname>();
    sys!(SYS_uname, &mut name)?;
    let string = |field: &[libc::c_char]| -> String {
        field.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect()
    };
    check_eq!(string(&name.sysname), "Linux", "sysname");
    check_eq!(string(&name.machine), "x86_64", "machine");
    let release = string(&name.release);
    let major: u32 = release.split('.').next().and_then(|m| m.parse().ok()).unwrap_or(0);
    check!(major >= 4, "a release programs accept, got {release}");
    check_errno!(sys!(SYS_uname, BAD), EFAULT);
    Ok(())
}

fn sysinfo_is_sane(_: &mut Case) -> Outcome {
    let mut info = sys::zeroed::<libc::sysinfo>();
    sys!(SYS_sysinfo, &mut info)?;
    check!(info.mem_unit > 0, "a unit");
    let total = info.totalram * u64::from(info.mem_unit);
    check!(total > 1 << 20, "memory, got {total}");
    check!(info.freeram <= info.totalram, "less free than there is");
    check!(info.procs >= 1, "processes, got {}", info.procs);
    check_errno!(sys!(SYS_sysinfo, BAD), EFAULT);
    Ok(())
}

fn getrandom_fills(_: &mut Case) -> Outcome {
    let (mut a, mut b) = ([0u8; 256], [0u8; 256]);
    check_eq!(sys!(SYS_getrandom, &mut a, 256, 0)?, 256, "getrandom");
    check_eq!(sys!(SYS_getrandom, &mut b, 256, libc::GRND_NONBLOCK)?, 256, "getrandom");
    check!(a != b, "different bytes");
    let zeros = a.iter().filter(|byte| **byte == 0).count();
    check!(zeros < 64, "few zeros, got {zeros}");
    check_eq!(sys!(SYS_getrandom, 0, 0, 0)?, 0, "getrandom of nothing");
    Ok(())
}

fn getrandom_errors(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_getrandom, &mut [0u8; 4], 4, 0x100), EINVAL);
    let both = libc::GRND_RANDOM | libc::GRND_INSECURE;
    check_errno!(sys!(SYS_getrandom, &mut [0u8; 4], 4, both), EINVAL);
    check_errno!(sys!(SYS_getrandom, BAD, 4, 0), EFAULT);
    Ok(())
}

fn affinity() -> sys::SysResult<[u64; 128]> {
    let mut mask = [0u64; 128];
    sys!(SYS_sched_getaffinity, 0, 1024, &mut mask)?;
    Ok(mask)
}

fn affinity_is_get_and_set(_: &mut Case) -> Outcome {
    in_child(|| {
        let mut mask = affinity()?;
        let word = mask.iter().position(|word| *word != 0).unwrap_or(0);
        check!(mask[word] != 0, "a processor");
        let one = 1u64 << mask[word].trailing_zeros();
        mask = [0; 128];
        check_errno!(sys!(SYS_sched_setaffinity, 0, 1024, &mask), EINVAL);
        mask[word] = one;
        sys!(SYS_sched_setaffinity, 0, 1024, &mask)?;
        check!(affinity()? == mask, "the mask set");
        check_errno!(sys!(SYS_sched_getaffinity, 0, 0, &mut mask), EINVAL);
        check_errno!(sys!(SYS_sched_getaffinity, 0, 12, &mut mask), EINVAL);
        check_errno!(sys!(SYS_sched_getaffinity, 0, 1024, BAD), EFAULT);
        check_errno!(sys!(SYS_sched_getaffinity, 0x3f_ffff, 1024, &mut mask), ESRCH);
        Ok(())
    })
}

fn getcpu_is_in_affinity(_: &mut Case) -> Outcome {
    let mask = affinity()?;
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    sys!(SYS_getcpu, &mut cpu, &mut node, 0)?;
    let index = cpu as usize;
    check!(index < 8192 && mask[index / 64] >> (index % 64) & 1 == 1, "an allowed one, got {cpu}");
    sys!(SYS_getcpu, 0, 0, 0)?;
    check_errno!(sys!(SYS_getcpu, BAD, 0, 0), EFAULT);
    Ok(())
}

fn sched_yield_returns_zero(_: &mut Case) -> Outcome {
    for _ in 0..100 {
        check_eq!(sys!(SYS_sched_yield)?, 0, "sched_yield");
    }
    Ok(())
}

fn scheduler_parameters(_: &mut Case) -> Outcome {
    check_eq!(sys!(SYS_sched_getscheduler, 0)?, libc::SCHED_OTHER as usize, "policy");
    let mut priority = 9i32;
    sys!(SYS_sched_getparam, 0, &mut priority)?;
    check_eq!(priority, 0, "priority");
    check_eq!(sys!(SYS_sched_get_priority_max, libc::SCHED_FIFO)?, 99, "largest of SCHED_FIFO");
    check_eq!(sys!(SYS_sched_get_priority_min, libc::SCHED_OTHER)?, 0, "least of SCHED_OTHER");
    check_errno!(sys!(SYS_sched_get_priority_max, 99), EINVAL);
    check_errno!(sys!(SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &5i32), EINVAL);
    check_errno!(sys!(SYS_sched_getscheduler, -1), EINVAL);
    check_errno!(sys!(SYS_sched_getscheduler, 0x3f_ffff), ESRCH);
    Ok(())
}

fn unknown_numbers_are_enosys(_: &mut Case) -> Outcome {
    // Numbers which Linux gives out later would move the lower bound.
    for nr in (500..=1000).chain([-1, -2, 4096, 100_000, i64::from(i32::MAX)]) {
        check_eq!(sys::call(nr, &[]), Err(Errno(libc::ENOSYS)), "call number {nr}");
    }
    Ok(())
}

fn number_is_thirty_two_bits(_: &mut Case) -> Outcome {
    let upper = 0x1234_5678 << 32;
    check_eq!(sys::call(upper | libc::SYS_getpid, &[])?, getpid() as usize, "getpid");
    check_eq!(sys::call(upper | 1000, &[]), Err(Errno(libc::ENOSYS)), "number 1000");
    Ok(())
}

fn removed_calls_are_enosys(_: &mut Case) -> Outcome {
    // uselib, _sysctl, create_module, get_kernel_syms, query_module, nfsservctl, getpmsg, putpmsg,
    // afs_syscall, tuxcall, security, lookup_dcookie's neighbours epoll_ctl_old, epoll_wait_old and
    // vserver.
    for nr in [156, 174, 177, 178, 180, 181, 182, 183, 184, 185, 214, 215, 236] {
        check_eq!(sys::call(nr, &[]), Err(Errno(libc::ENOSYS)), "call number {nr}");
    }
    Ok(())
}

/// Each of these takes a pointer to something it fills or reads, after the arguments given.
fn bad_pointers_are_efault(_: &mut Case) -> Outcome {
    let (r, _w) = calls::pipe(0)?;
    for address in [BAD, KERNEL_ADDRESS, usize::MAX - 4096] {
        check_errno!(sys!(SYS_pipe, address), EFAULT);
        check_errno!(sys!(SYS_fstat, r, address), EFAULT);
        check_errno!(sys!(SYS_getrlimit, libc::RLIMIT_NOFILE, address), EFAULT);
        check_errno!(sys!(SYS_getrusage, 0, address), EFAULT);
        check_errno!(sys!(SYS_uname, address), EFAULT);
        check_errno!(sys!(SYS_gettimeofday, address, 0), EFAULT);
        check_errno!(sys!(SYS_nanosleep, address, 0), EFAULT);
        check_errno!(sys!(SYS_rt_sigpending, address, 8), EFAULT);
        check_errno!(sys!(SYS_getresuid, address, address, address), EFAULT);
        check_errno!(sys!(SYS_sigaltstack, address, 0), EFAULT);
        check_errno!(sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, 0, address), EFAULT);
        check_errno!(sys!(SYS_getitimer, 0, address), EFAULT);
        check_errno!(sys!(SYS_ioctl, r, libc::FIONREAD, address), EFAULT);
        check_errno!(sys!(SYS_getcwd, address, 4096), EFAULT);
    }
    Ok(())
}

fn bad_paths_are_efault(_: &mut Case) -> Outcome {
    for address in [0, BAD, KERNEL_ADDRESS] {
        check_errno!(sys!(SYS_open, address, 0, 0), EFAULT);
        check_errno!(sys!(SYS_lstat, address, BAD), EFAULT);
        check_errno!(sys!(SYS_access, address, 0), EFAULT);
        check_errno!(sys!(SYS_chdir, address), EFAULT);
        check_errno!(sys!(SYS_mkdir, address, 0), EFAULT);
        check_errno!(sys!(SYS_rmdir, address), EFAULT);
        check_errno!(sys!(SYS_unlink, address), EFAULT);
        check_errno!(sys!(SYS_rename, address, c"x"), EFAULT);
        check_errno!(sys!(SYS_link, address, c"x"), EFAULT);
        check_errno!(sys!(SYS_symlink, address, c"x"), EFAULT);
        check_errno!(sys!(SYS_readlink, address, BAD, 8), EFAULT);
        check_errno!(sys!(SYS_chmod, address, 0), EFAULT);
        check_errno!(sys!(SYS_truncate, address, 0), EFAULT);
        check_errno!(sys!(SYS_statfs, address, BAD), EFAULT);
    }
    Ok(())
}

fn bad_descriptors_are_ebadf(_: &mut Case) -> Outcome {
    for fd in [-1, 999, i32::MAX] {
        check_errno!(sys!(SYS_read, fd, BAD, 1), EBADF);
        check_errno!(sys!(SYS_write, fd, BAD, 1), EBADF);
        check_errno!(sys!(SYS_readv, fd, BAD, 1), EBADF);
        check_errno!(sys!(SYS_close, fd), EBADF);
        check_errno!(sys!(SYS_fstat, fd, BAD), EBADF);
        check_errno!(sys!(SYS_lseek, fd, 0, 0), EBADF);
        check_errno!(sys!(SYS_ioctl, fd, 0, 0), EBADF);
        check_errno!(sys!(SYS_dup, fd), EBADF);
        check_errno!(sys!(SYS_fsync, fd), EBADF);
        check_errno!(sys!(SYS_ftruncate, fd, 0), EBADF);
        check_errno!(sys!(SYS_fchdir, fd), EBADF);
        check_errno!(sys!(SYS_fchmod, fd, 0), EBADF);
        check_errno!(sys!(SYS_fchown, fd, 0, 0), EBADF);
        check_errno!(sys!(SYS_flock, fd, libc::LOCK_SH), EBADF);
        check_errno!(sys!(SYS_fcntl, fd, libc::F_GETFL, 0), EBADF);
        check_errno!(sys!(SYS_getdents64, fd, BAD, 9), EBADF);
        check_errno!(sys!(SYS_fallocate, fd, 0, 0, 1), EBADF);
        check_errno!(sys!(SYS_syncfs, fd), EBADF);
        check_errno!(sys!(SYS_listen, fd, 1), EBADF);
        check_errno!(sys!(SYS_epoll_wait, fd, BAD, 1, 0), EBADF);
    }
    Ok(())
}

fn pointer_at_end_of_mapping(_: &mut Case) -> Outcome {
    let region = Region::private(2 * PAGE)?;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    let edge = region.base + PAGE;
    sys!(SYS_clock_gettime, 1, edge - 16)?;
    check_errno!(sys!(SYS_clock_gettime, 1, edge - 8), EFAULT);
    check_errno!(sys!(SYS_uname, edge - 100), EFAULT);
    sys!(SYS_uname, edge - 390)?;
    check_errno!(sys!(SYS_nanosleep, edge - 8, 0), EFAULT);
    sys!(SYS_pipe, edge - 8)?;
    check_errno!(sys!(SYS_pipe, edge - 4), EFAULT);
    Ok(())
}

fn path_ends_at_hole(_: &mut Case) -> Outcome {
    let region = Region::private(2 * PAGE)?;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    let path = b"/dev/null\0";
    let start = PAGE - path.len();
    path.iter().enumerate().for_each(|(i, byte)| region.set(start + i, *byte));
    sys!(SYS_open, region.base + start, libc::O_RDONLY, 0)?;
    region.set(PAGE - 1, b'x');
    check_errno!(sys!(SYS_open, region.base + start, libc::O_RDONLY, 0), EFAULT);
    Ok(())
}

fn vector_registers_survive_calls(_: &mut Case) -> Outcome {
    for (nr, argument) in [(libc::SYS_getpid, 0), (libc::SYS_close, 999), (5000, 1)] {
        check!(sys::vector_state_survives(nr, argument, 0, 0), "vector registers after {nr}");
    }
    Ok(())
}

fn process_vm_readv_reads_child(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    let (r, w) = calls::pipe(0)?;
    let (hold, release) = calls::pipe(0)?;
    let pid = crate::case::child(|| {
        region.set(7, 77);
        calls::close(release)?;
        calls::write(w, b"x")?;
        calls::read(hold, &mut [0])?;
        Ok(())
    })?;
    calls::read(r, &mut [0])?;
    let mut byte = [0u8];
    let local = [byte.as_mut_ptr().expose_provenance(), 1];
    let got = sys!(SYS_process_vm_readv, pid, &local, 1, &[region.base + 7, 1], 1, 0);
    let bad = sys!(SYS_process_vm_readv, pid, &local, 1, &[BAD, 1], 1, 0);
    calls::close(release)?;
    reap(pid)?;
    if matches!(got, Err(Errno(libc::EPERM))) {
        return crate::case::skip("reading other processes is not permitted here");
    }
    check_eq!((got?, std::hint::black_box(byte)[0]), (1, 77), "bytes read and the byte");
    check_eq!(region.get(7), 0, "own byte");
    check_errno!(bad, EFAULT);
    check_errno!(sys!(SYS_process_vm_readv, 0x3f_ffff, &local, 1, &local, 1, 0), ESRCH);
    check_errno!(sys!(SYS_process_vm_readv, getpid(), &local, 1, &local, 1, 1), EINVAL);
    Ok(())
}

fn auxv_page_size(_: &mut Case) -> Outcome {
    let bytes = std::fs::read("/proc/self/auxv")?;
    let words: Vec<usize> = bytes
        .chunks_exact(8)
        .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | usize::from(*byte)))
        .collect();
    let value = |kind: usize| words.chunks_exact(2).find(|pair| pair[0] == kind).map(|p| p[1]);
    const AT_PAGESZ: usize = 6;
    const AT_UID: usize = 11;
    const AT_RANDOM: usize = 25;
    check_eq!(value(AT_PAGESZ), Some(PAGE), "AT_PAGESZ");
    check_eq!(value(AT_UID), Some(sys!(SYS_getuid)?), "AT_UID");
    check!(value(AT_RANDOM).is_some_and(|address| address != 0), "AT_RANDOM");
    Ok(())
}

fn personality_can_be_read(_: &mut Case) -> Outcome {
    let first = sys!(SYS_personality, 0xffff_ffffu32)?;
    check_eq!(sys!(SYS_personality, 0xffff_ffffu32)?, first, "personality, unchanged");
    Ok(())
}

fn fsync_of_directory(c: &mut Case) -> Outcome {
    let fd = calls::open(&c.dir()?, libc::O_RDONLY, 0)?;
    sys!(SYS_fsync, fd)?;
    check_errno!(sys!(SYS_sync_file_range, fd, 0, -1, 0), EINVAL);
    Ok(())
}

fn mount_needs_privilege(c: &mut Case) -> Outcome {
    let dir = calls::cstr(&c.dir()?);
    check_errno!(sys!(SYS_mount, c"none", &dir, c"tmpfs", 0, 0), EPERM);
    check_errno!(sys!(SYS_umount2, &dir, 0), EPERM);
    check_errno!(sys!(SYS_pivot_root, &dir, &dir), EPERM);
    Ok(())
}

fn reboot_needs_privilege(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_reboot, 1, 2, 3, 0), EPERM);
    Ok(())
}

fn rseq_refuses_nonsense(_: &mut Case) -> Outcome {
    let region = Region::private(PAGE)?;
    match sys!(SYS_rseq, region.base, 32, 77, 0) {
        Err(Errno(libc::ENOSYS)) => Ok(()),
        other => {
            check_errno!(other, EINVAL);
            Ok(())
        }
    }
}

fn ioprio_get_errors(_: &mut Case) -> Outcome {
    const WHO_PROCESS: i32 = 1;
    let class = sys!(SYS_ioprio_get, WHO_PROCESS, 0)? >> 13;
    check!(class <= 3, "a class, got {class}");
    check_errno!(sys!(SYS_ioprio_get, 9, 0), EINVAL);
    check_errno!(sys!(SYS_ioprio_get, WHO_PROCESS, 0x3f_ffff), ESRCH);
    Ok(())
}
