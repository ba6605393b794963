//! Resource limits: getrlimit(2), setrlimit(2), prlimit(2), and what they do.

use crate::calls::{self, getpid, open, pipe, write};
use crate::case::{Case, Outcome, in_child};
use crate::sys::{BAD, PAGE, Region, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "limits";
    get_and_set_agree: "getrlimit, setrlimit and prlimit64 see the same limits";
    soft_above_hard_is_einval: "a soft limit above the hard one is EINVAL";
    hard_cannot_be_raised [Ordinary]: "raising the hard limit is EPERM";
    unknown_resource_is_einval: "an unknown resource is EINVAL, a bad pointer EFAULT";
    inherited_by_children: "a child has its parent's limits";
    nofile_is_emfile: "RLIMIT_NOFILE stops open, pipe, dup and socket with EMFILE";
    nofile_bounds_dup2: "dup2 beyond RLIMIT_NOFILE is EBADF, F_DUPFD EINVAL";
    nofile_spares_open_ones: "descriptors above a lowered limit stay open";
    fsize_sends_sigxfsz: "RLIMIT_FSIZE gives a partial write, then SIGXFSZ and EFBIG";
    fsize_bounds_truncate: "ftruncate beyond RLIMIT_FSIZE is EFBIG";
    as_bounds_mmap: "RLIMIT_AS makes mmap ENOMEM";
    data_bounds_brk: "RLIMIT_DATA stops brk";
    nproc_bounds_fork [Ordinary]: "RLIMIT_NPROC makes fork EAGAIN";
    stack_overflow_is_sigsegv: "the stack ends at RLIMIT_STACK with SIGSEGV";
    cpu_sends_sigxcpu: "RLIMIT_CPU sends SIGXCPU";
    sigpending_bounds_queue: "RLIMIT_SIGPENDING makes queueing EAGAIN";
    prlimit_of_other_process: "prlimit64 works on a child, ESRCH for nobody";
}

const INFINITY: u64 = libc::RLIM_INFINITY;

fn get(resource: u32) -> SysResult<(u64, u64)> {
    let mut limit = sys::zeroed::<libc::rlimit>();
    sys!(SYS_getrlimit, resource, &mut limit)?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

fn set(resource: u32, soft: u64, hard: u64) -> SysResult {
    sys!(SYS_setrlimit, resource, &libc::rlimit { rlim_cur: soft, rlim_max: hard })
}

fn set_soft(resource: u32, soft: u64) -> SysResult {
    let (_, hard) = get(resource)?;
    set(resource, soft, hard)
}

fn get_and_set_agree(_: &mut Case) -> Outcome {
    let (_, hard) = get(libc::RLIMIT_CORE)?;
    set(libc::RLIMIT_CORE, 0, hard)?;
    check_eq!(get(libc::RLIMIT_CORE)?, (0, hard), "getrlimit");
    let (mut old, new) =
        (sys::zeroed::<libc::rlimit>(), libc::rlimit { rlim_cur: 0, rlim_max: hard.min(4096) });
    sys!(SYS_prlimit64, 0, libc::RLIMIT_CORE, &new, &mut old)?;
    check_eq!((old.rlim_cur, old.rlim_max), (0, hard), "old limit by prlimit64");
    check_eq!(get(libc::RLIMIT_CORE)?, (0, hard.min(4096)), "new limit");
    let text = std::fs::read_to_string("/proc/self/limits")?;
    check!(text.contains("Max core file size        0 "), "the limit in /proc/self/limits");
    Ok(())
}

fn soft_above_hard_is_einval(_: &mut Case) -> Outcome {
    check_errno!(set(libc::RLIMIT_CORE, 5, 4), EINVAL);
    check_errno!(set(libc::RLIMIT_NOFILE, INFINITY, 100), EINVAL);
    Ok(())
}

fn hard_cannot_be_raised(_: &mut Case) -> Outcome {
    set(libc::RLIMIT_CORE, 0, 0)?;
    check_errno!(set(libc::RLIMIT_CORE, 0, 1), EPERM);
    set(libc::RLIMIT_CORE, 0, 0)?;
    Ok(())
}

fn unknown_resource_is_einval(_: &mut Case) -> Outcome {
    check_errno!(get(16), EINVAL);
    check_errno!(set(16, 0, 0), EINVAL);
    check_errno!(sys!(SYS_getrlimit, libc::RLIMIT_CORE, BAD), EFAULT);
    check_errno!(sys!(SYS_setrlimit, libc::RLIMIT_CORE, BAD), EFAULT);
    Ok(())
}

fn inherited_by_children(_: &mut Case) -> Outcome {
    set_soft(libc::RLIMIT_NOFILE, 77)?;
    in_child(|| {
        check_eq!(get(libc::RLIMIT_NOFILE)?.0, 77, "limit of the child");
        Ok(())
    })
}

fn nofile_is_emfile(_: &mut Case) -> Outcome {
    set_soft(libc::RLIMIT_NOFILE, 20)?;
    let null = |()| open("/dev/null", libc::O_RDONLY, 0);
    let mut last = -1;
    let error = loop {
        match null(()) {
            Ok(fd) => last = fd,
            Err(errno) => break errno,
        }
    };
    check_eq!((error.0, last), (libc::EMFILE, 19), "errno, and the last descriptor");
    check_errno!(sys!(SYS_dup, 0), EMFILE);
    check_errno!(sys!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0), EMFILE);
    check_errno!(sys!(SYS_eventfd2, 0, 0), EMFILE);
    calls::close(19)?;
    // Room for one only.
    check_errno!(pipe(0), EMFILE);
    check_eq!(null(())?, 19, "the last descriptor, still free after pipe");
    Ok(())
}

fn nofile_bounds_dup2(_: &mut Case) -> Outcome {
    set_soft(libc::RLIMIT_NOFILE, 50)?;
    check_eq!(sys!(SYS_dup2, 0, 49)?, 49, "dup2 to the last number");
    check_errno!(sys!(SYS_dup2, 0, 50), EBADF);
    check_errno!(sys!(SYS_dup3, 0, 50, 0), EBADF);
    check_errno!(calls::fcntl(0, libc::F_DUPFD, 50), EINVAL);
    check_errno!(calls::fcntl(0, libc::F_DUPFD, 49), EMFILE);
    Ok(())
}

fn nofile_spares_open_ones(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    sys!(SYS_dup2, w, 60)?;
    set_soft(libc::RLIMIT_NOFILE, 30)?;
    check_eq!(write(60, b"x")?, 1, "bytes through a descriptor above the limit");
    check_eq!(calls::read(r, &mut [0])?, 1, "bytes read");
    Ok(())
}

fn fsize_sends_sigxfsz(c: &mut Case) -> Outcome {
    let path = c.path("f")?;
    in_child(|| {
        let fd = open(&path, libc::O_CREAT | libc::O_RDWR, 0o600)?;
        set_soft(libc::RLIMIT_FSIZE, 100)?;
        check_eq!(write(fd, &[0; 150])?, 100, "bytes written up to the limit");
        sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGXFSZ))?;
        check_errno!(write(fd, b"x"), EFBIG);
        let mut pending = 0u64;
        sys!(SYS_rt_sigpending, &mut pending, 8)?;
        check_eq!(pending, sys::bit(libc::SIGXFSZ), "pending signals");
        calls::lseek(fd, 0, libc::SEEK_SET)?;
        check_eq!(write(fd, &[1; 50])?, 50, "bytes written below the limit");
        Ok(())
    })
}

fn fsize_bounds_truncate(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    in_child(|| {
        sys::ignore(libc::SIGXFSZ)?;
        set_soft(libc::RLIMIT_FSIZE, 100)?;
        check_errno!(sys!(SYS_ftruncate, fd, 101), EFBIG);
        sys!(SYS_ftruncate, fd, 100)?;
        Ok(())
    })
}

fn as_bounds_mmap(_: &mut Case) -> Outcome {
    in_child(|| {
        set_soft(libc::RLIMIT_AS, 256 << 20)?;
        check_errno!(Region::private(1 << 30), ENOMEM);
        let region = Region::private(1 << 20)?;
        check_errno!(sys!(SYS_mremap, region.base, 1 << 20, 1 << 30, 1), ENOMEM);
        Ok(())
    })
}

fn data_bounds_brk(_: &mut Case) -> Outcome {
    in_child(|| {
        let end = sys!(SYS_brk, 0)?;
        set_soft(libc::RLIMIT_DATA, 32 << 20)?;
        check_eq!(sys!(SYS_brk, end + (64 << 20))?, end, "brk beyond the limit");
        check_eq!(sys!(SYS_brk, end + PAGE)?, end + PAGE, "brk within the limit");
        Ok(())
    })
}

fn nproc_bounds_fork(_: &mut Case) -> Outcome {
    in_child(|| {
        set_soft(libc::RLIMIT_NPROC, 0)?;
        check_errno!(sys::fork(|| 0), EAGAIN);
        Ok(())
    })
}

/// Recursion without end, as far as the compiler can tell.
#[inline(never)]
fn dig(depth: usize) -> usize {
    let frame = std::hint::black_box([depth; 4096]);
    if depth == usize::MAX { 0 } else { dig(depth + 1) + frame[depth % 4096] }
}

fn stack_overflow_is_sigsegv(_: &mut Case) -> Outcome {
    let pid = sys::fork(|| {
        if set_soft(libc::RLIMIT_STACK, 1 << 20).is_err() {
            return 1;
        }
        dig(0) as i32
    })?;
    let status = calls::wait_for(pid)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGSEGV), "signal");
    Ok(())
}

fn cpu_sends_sigxcpu(_: &mut Case) -> Outcome {
    let pid = sys::fork(|| {
        if set_soft(libc::RLIMIT_CPU, 1).is_err() {
            return 1;
        }
        loop {
            std::hint::spin_loop();
        }
    })?;
    let status = calls::wait_for(pid)?;
    check_eq!(calls::term_signal(status), Some(libc::SIGXCPU), "signal");
    Ok(())
}

fn sigpending_bounds_queue(_: &mut Case) -> Outcome {
    in_child(|| {
        set_soft(libc::RLIMIT_SIGPENDING, 0)?;
        sys::mask(libc::SIG_BLOCK, sys::bit(40))?;
        let mut info = [0i32; 32];
        info[2] = libc::SI_QUEUE;
        check_errno!(sys!(SYS_rt_sigqueueinfo, getpid(), 40, &info), EAGAIN);
        // kill sets the bit without a queue entry.
        calls::kill(getpid(), 40)?;
        Ok(())
    })
}

fn prlimit_of_other_process(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = crate::case::child(|| {
        calls::close(w)?;
        calls::read(r, &mut [0])?;
        check_eq!(get(libc::RLIMIT_NOFILE)?.0, 55, "limit set by the parent");
        Ok(())
    })?;
    let (_, hard) = get(libc::RLIMIT_NOFILE)?;
    let limit = libc::rlimit { rlim_cur: 55, rlim_max: hard };
    sys!(SYS_prlimit64, pid, libc::RLIMIT_NOFILE, &limit, 0)?;
    check_errno!(sys!(SYS_prlimit64, 0x3f_ffff, libc::RLIMIT_NOFILE, &limit, 0), ESRCH);
    calls::close(w)?;
    crate::case::reap(pid)
}
