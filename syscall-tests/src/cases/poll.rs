//! poll(2), ppoll(2), select(2), pselect(2).

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::calls::{self, close, getpid, pipe, pollfd, read, write};
use crate::case::{Case, Outcome, child, reap, until_asleep};
use crate::sys::{BAD, Delivery};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "poll";
    counts_ready_descriptors: "poll gives the number of descriptors with events";
    closed_descriptor_is_nval: "POLLNVAL for a closed one, negative ones are skipped";
    regular_file_is_always_ready: "a file is always readable and writable";
    timeout_is_not_early: "poll waits at least as long as asked";
    without_descriptors_sleeps: "poll of nothing is a sleep; too many are EINVAL";
    bad_pointer_is_efault: "a bad array is EFAULT";
    wakes_on_event: "a sleeping poll wakes when a byte comes";
    hangup_is_always_reported: "POLLHUP and POLLERR come unasked";
    ppoll_swaps_mask: "ppoll takes a pending signal with its mask and gives EINTR";
    ppoll_timeout_errors: "ppoll's EINVAL, and the remaining time";
    select_reports_sets: "select leaves the ready ones in its sets";
    select_bad_descriptor_is_ebadf: "a closed descriptor in a set is EBADF";
    select_negative_is_einval: "negative numbers and times are EINVAL";
    select_updates_timeout: "select leaves the remaining time";
    pselect_swaps_mask: "pselect6 takes a pending signal with its mask";
}

fn counts_ready_descriptors(_: &mut Case) -> Outcome {
    let ((r, w), (empty, _w2)) = (pipe(0)?, pipe(0)?);
    write(w, b"x")?;
    let (input, output) = (libc::POLLIN, libc::POLLOUT);
    let mut fds = [pollfd(r, input), pollfd(empty, input), pollfd(w, output), pollfd(r, output)];
    check_eq!(sys!(SYS_poll, &mut fds, 4, 0)?, 2, "poll");
    check_eq!(fds.map(|fd| fd.revents), [input, 0, output, 0], "events");
    Ok(())
}

fn closed_descriptor_is_nval(_: &mut Case) -> Outcome {
    let mut fds = [pollfd(999, libc::POLLIN), pollfd(-1, libc::POLLIN)];
    fds[1].revents = 77;
    check_eq!(sys!(SYS_poll, &mut fds, 2, -1)?, 1, "poll");
    check_eq!(fds.map(|fd| fd.revents), [libc::POLLNVAL, 0], "events");
    Ok(())
}

fn regular_file_is_always_ready(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    let want = libc::POLLIN | libc::POLLOUT;
    check_eq!(calls::ready(fd, want | libc::POLLPRI)?, want, "events");
    Ok(())
}

fn timeout_is_not_early(_: &mut Case) -> Outcome {
    let (r, _w) = pipe(0)?;
    let mut fds = [pollfd(r, libc::POLLIN)];
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    check_eq!(sys!(SYS_poll, &mut fds, 1, 15)?, 0, "poll");
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 15_000_000, "15 ms or more, got {waited} ns");
    Ok(())
}

fn without_descriptors_sleeps(_: &mut Case) -> Outcome {
    check_eq!(sys!(SYS_poll, 0, 0, 5)?, 0, "poll of nothing");
    check_eq!(sys!(SYS_poll, BAD, 0, 0)?, 0, "poll of nothing at a bad address");
    let mut limit = sys::zeroed::<libc::rlimit>();
    sys!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, 0, &mut limit)?;
    check_errno!(sys!(SYS_poll, BAD, limit.rlim_cur + 1, 0), EINVAL);
    Ok(())
}

fn bad_pointer_is_efault(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_poll, BAD, 1, 0), EFAULT);
    check_errno!(sys!(SYS_ppoll, BAD, 1, 0, 0, 8), EFAULT);
    Ok(())
}

fn wakes_on_event(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        let mut fds = [pollfd(r, libc::POLLIN)];
        check_eq!(sys!(SYS_poll, &mut fds, 1, -1)?, 1, "poll");
        check_eq!(fds[0].revents, libc::POLLIN, "events");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    write(w, b"x")?;
    reap(pid)
}

fn hangup_is_always_reported(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    close(w)?;
    check_eq!(calls::ready(r, 0)?, libc::POLLHUP, "events of a reader not asking for any");
    let (r, w) = pipe(0)?;
    close(r)?;
    check_eq!(calls::ready(w, 0)?, libc::POLLERR, "events of a writer not asking for any");
    Ok(())
}

static COUNT: AtomicU32 = AtomicU32::new(0);

fn note(_: &Delivery) {
    COUNT.fetch_add(1, SeqCst);
}

fn pending_signal() -> Outcome {
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, note)?;
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGUSR1))?;
    calls::kill(getpid(), libc::SIGUSR1)?;
    check_eq!(COUNT.load(SeqCst), 0, "handlers run while blocked");
    Ok(())
}

fn after_eintr() -> Outcome {
    check_eq!(COUNT.load(SeqCst), 1, "handlers run");
    let mask = sys::mask(libc::SIG_BLOCK, 0)?;
    check_eq!(mask, sys::bit(libc::SIGUSR1), "mask afterwards");
    Ok(())
}

fn ppoll_swaps_mask(_: &mut Case) -> Outcome {
    pending_signal()?;
    let (r, _w) = pipe(0)?;
    let mut fds = [pollfd(r, libc::POLLIN)];
    let empty = 0u64;
    check_errno!(sys!(SYS_ppoll, &mut fds, 1, 0, &empty, 8), EINTR);
    check_errno!(sys!(SYS_ppoll, &mut fds, 1, 0, &empty, 4), EINVAL);
    after_eintr()
}

fn ppoll_timeout_errors(_: &mut Case) -> Outcome {
    let bad = libc::timespec { tv_sec: 0, tv_nsec: -1 };
    check_errno!(sys!(SYS_ppoll, 0, 0, &bad, 0, 8), EINVAL);
    let bad = libc::timespec { tv_sec: -1, tv_nsec: 0 };
    check_errno!(sys!(SYS_ppoll, 0, 0, &bad, 0, 8), EINVAL);
    check_errno!(sys!(SYS_ppoll, 0, 0, BAD, 0, 8), EFAULT);
    let (r, w) = pipe(0)?;
    write(w, b"x")?;
    let mut fds = [pollfd(r, libc::POLLIN)];
    let mut limit = calls::timespec(1_000_000_000_000);
    check_eq!(sys!(SYS_ppoll, &mut fds, 1, &mut limit, 0, 8)?, 1, "ppoll");
    check!(limit.tv_sec <= 1000 && limit.tv_sec > 900, "the rest, got {} s", limit.tv_sec);
    Ok(())
}

type FdSet = [u64; 16];

fn fd_set(fds: &[i32]) -> FdSet {
    let mut set = [0u64; 16];
    for fd in fds {
        set[*fd as usize / 64] |= 1 << (fd % 64);
    }
    set
}

fn select_reports_sets(_: &mut Case) -> Outcome {
    let ((r, w), (empty, w2)) = (pipe(0)?, pipe(0)?);
    sys!(SYS_dup2, r, 130)?;
    write(w, b"x")?;
    let (mut reading, mut writing) = (fd_set(&[r, 130, empty]), fd_set(&[w, w2]));
    let zero = sys::zeroed::<libc::timeval>();
    let count = sys!(SYS_select, 131, &mut reading, &mut writing, 0, &zero)?;
    check_eq!(count, 4, "select");
    check_eq!(reading, fd_set(&[r, 130]), "reading set");
    check_eq!(writing, fd_set(&[w, w2]), "writing set");
    // Descriptors from the number given on do not count.
    let mut reading = fd_set(&[r, 130]);
    check_eq!(sys!(SYS_select, 130, &mut reading, 0, 0, &zero)?, 1, "select below 130");
    Ok(())
}

fn select_bad_descriptor_is_ebadf(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    close(w)?;
    let mut set = fd_set(&[r, w]);
    check_errno!(sys!(SYS_select, w.max(r) + 1, &mut set, 0, 0, 0), EBADF);
    check_errno!(sys!(SYS_select, 1, BAD, 0, 0, 0), EFAULT);
    Ok(())
}

fn select_negative_is_einval(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_select, -1, 0, 0, 0, 0), EINVAL);
    let bad = libc::timeval { tv_sec: -1, tv_usec: 0 };
    check_errno!(sys!(SYS_select, 0, 0, 0, 0, &bad), EINVAL);
    check_errno!(sys!(SYS_select, 0, 0, 0, 0, BAD), EFAULT);
    Ok(())
}

fn select_updates_timeout(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    write(w, b"x")?;
    let mut set = fd_set(&[r]);
    let mut limit = libc::timeval { tv_sec: 1000, tv_usec: 0 };
    check_eq!(sys!(SYS_select, r + 1, &mut set, 0, 0, &mut limit)?, 1, "select");
    check!(limit.tv_sec > 900, "the rest, got {} s", limit.tv_sec);
    read(r, &mut [0])?;
    let mut limit = libc::timeval { tv_sec: 0, tv_usec: 3000 };
    check_eq!(sys!(SYS_select, r + 1, &mut set, 0, 0, &mut limit)?, 0, "select without events");
    check_eq!((limit.tv_sec, limit.tv_usec, set), (0, 0, fd_set(&[])), "time and set left");
    Ok(())
}

fn pselect_swaps_mask(_: &mut Case) -> Outcome {
    pending_signal()?;
    let (r, _w) = pipe(0)?;
    let mut set = fd_set(&[r]);
    let empty = 0u64;
    let mask = [std::ptr::from_ref(&empty).expose_provenance(), 8];
    check_errno!(sys!(SYS_pselect6, r + 1, &mut set, 0, 0, 0, &mask), EINTR);
    let short = [std::ptr::from_ref(&empty).expose_provenance(), 4];
    check_errno!(sys!(SYS_pselect6, r + 1, &mut set, 0, 0, 0, &short), EINVAL);
    after_eintr()
}
