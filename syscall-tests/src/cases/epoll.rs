//! epoll(7).

use crate::calls::{self, close, getpid, pipe, read, write};
use crate::case::{Case, Outcome, child, reap, until_asleep};
use crate::sys::{BAD, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "epoll";
    create_arguments: "epoll_create wants a positive size, epoll_create1 only EPOLL_CLOEXEC";
    level_triggered_repeats: "a ready descriptor is reported until it is not";
    edge_triggered_reports_once: "EPOLLET reports again only after news";
    edge_triggered_added_when_ready: "a descriptor ready when added is reported";
    oneshot_disarms: "EPOLLONESHOT reports once, EPOLL_CTL_MOD arms again";
    ctl_errors: "epoll_ctl's EEXIST, ENOENT, EBADF, EINVAL and EPERM";
    data_comes_back: "the 64-bit user data comes back as given";
    mod_changes_events: "EPOLL_CTL_MOD takes effect at once";
    wait_arguments: "zero and negative numbers of events are EINVAL, a bad array EFAULT";
    hangup_comes_unasked: "EPOLLHUP and EPOLLERR are reported unasked";
    closed_descriptor_leaves: "the last close of a file takes it out";
    duplicate_keeps_registration: "a registration lives while a copy of the file is open";
    nested_sets: "an epoll descriptor in another reports readiness";
    loops_are_eloop: "epoll sets in a circle are ELOOP, in itself EINVAL";
    wait_wakes_on_event: "a sleeping epoll_wait wakes";
    round_robin_is_fair: "with room for one event all descriptors come in turn";
    regular_file_is_eperm: "regular files cannot be watched";
    pwait_swaps_mask: "epoll_pwait takes a pending signal with its mask";
    pwait2_has_nanoseconds: "epoll_pwait2 takes a timespec";
    exclusive_rules: "EPOLLEXCLUSIVE cannot be modified, nor combined with ONESHOT";
    poll_on_epoll: "an epoll descriptor is readable when it has events";
}

const ADD: i32 = libc::EPOLL_CTL_ADD;
const MOD: i32 = libc::EPOLL_CTL_MOD;
const DEL: i32 = libc::EPOLL_CTL_DEL;
const IN: i32 = libc::EPOLLIN;
const OUT: i32 = libc::EPOLLOUT;

fn create() -> SysResult<i32> {
    sys!(SYS_epoll_create1, 0).map(|fd| fd as i32)
}

fn ctl(epoll: i32, operation: i32, fd: i32, events: i32, data: u64) -> SysResult {
    let event = libc::epoll_event { events: events as u32, u64: data };
    sys!(SYS_epoll_ctl, epoll, operation, fd, &event)
}

/// The events there are now: (events, data).
fn wait_max(epoll: i32, max: i32) -> SysResult<Vec<(i32, u64)>> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
    let count = sys!(SYS_epoll_wait, epoll, &mut events, max, 0)?;
    Ok(events[..count].iter().map(|event| (event.events as i32, event.u64)).collect())
}

fn wait(epoll: i32) -> SysResult<Vec<(i32, u64)>> {
    wait_max(epoll, 16)
}

fn create_arguments(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_epoll_create, 0), EINVAL);
    check_errno!(sys!(SYS_epoll_create, -1), EINVAL);
    sys!(SYS_epoll_create, 1)?;
    check_errno!(sys!(SYS_epoll_create1, 1), EINVAL);
    let fd = sys!(SYS_epoll_create1, libc::EPOLL_CLOEXEC)? as i32;
    check_eq!(calls::fcntl(fd, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    Ok(())
}

fn level_triggered_repeats(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN, 1)?;
    check_eq!(wait(epoll)?, [], "events of an empty pipe");
    write(w, b"ab")?;
    for _ in 0..3 {
        check_eq!(wait(epoll)?, [(IN, 1)], "events");
    }
    read(r, &mut [0; 2])?;
    check_eq!(wait(epoll)?, [], "events after reading");
    Ok(())
}

fn edge_triggered_reports_once(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN | libc::EPOLLET, 1)?;
    write(w, b"a")?;
    check_eq!(wait(epoll)?, [(IN, 1)], "events after the first write");
    check_eq!(wait(epoll)?, [], "events without news");
    write(w, b"b")?;
    check_eq!(wait(epoll)?, [(IN, 1)], "events after the second write");
    read(r, &mut [0; 1])?;
    check_eq!(wait(epoll)?, [], "events after a partial read");
    Ok(())
}

fn edge_triggered_added_when_ready(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    write(w, b"a")?;
    ctl(epoll, ADD, r, IN | libc::EPOLLET, 7)?;
    check_eq!(wait(epoll)?, [(IN, 7)], "events after adding");
    ctl(epoll, MOD, r, IN | libc::EPOLLET, 8)?;
    check_eq!(wait(epoll)?, [(IN, 8)], "events after modifying");
    check_eq!(wait(epoll)?, [], "events without news");
    Ok(())
}

fn oneshot_disarms(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN | libc::EPOLLONESHOT, 1)?;
    write(w, b"a")?;
    check_eq!(wait(epoll)?, [(IN, 1)], "events");
    write(w, b"b")?;
    check_eq!(wait(epoll)?, [], "events after the shot");
    check_errno!(ctl(epoll, ADD, r, IN, 1), EEXIST);
    ctl(epoll, MOD, r, IN | libc::EPOLLONESHOT, 2)?;
    check_eq!(wait(epoll)?, [(IN, 2)], "events when armed again");
    Ok(())
}

fn ctl_errors(_: &mut Case) -> Outcome {
    let (epoll, (r, _w)) = (create()?, pipe(0)?);
    check_errno!(ctl(epoll, DEL, r, 0, 0), ENOENT);
    check_errno!(ctl(epoll, MOD, r, IN, 0), ENOENT);
    ctl(epoll, ADD, r, IN, 0)?;
    check_errno!(ctl(epoll, ADD, r, IN, 0), EEXIST);
    check_errno!(ctl(epoll, 9, r, IN, 0), EINVAL);
    check_errno!(ctl(epoll, ADD, 999, IN, 0), EBADF);
    check_errno!(ctl(999, ADD, r, IN, 0), EBADF);
    check_errno!(ctl(r, ADD, epoll, IN, 0), EINVAL);
    check_errno!(sys!(SYS_epoll_ctl, epoll, MOD, r, BAD), EFAULT);
    sys!(SYS_epoll_ctl, epoll, DEL, r, 0)?;
    Ok(())
}

fn data_comes_back(_: &mut Case) -> Outcome {
    let (epoll, (_r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, w, OUT, 0x0123_4567_89ab_cdef)?;
    check_eq!(wait(epoll)?, [(OUT, 0x0123_4567_89ab_cdef)], "events and data");
    Ok(())
}

fn mod_changes_events(_: &mut Case) -> Outcome {
    let (epoll, (_r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, w, IN, 1)?;
    check_eq!(wait(epoll)?, [], "events of a writer asked for reading");
    ctl(epoll, MOD, w, OUT, 2)?;
    check_eq!(wait(epoll)?, [(OUT, 2)], "events after EPOLL_CTL_MOD");
    ctl(epoll, MOD, w, 0, 2)?;
    check_eq!(wait(epoll)?, [], "events when none are asked for");
    Ok(())
}

fn wait_arguments(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    check_errno!(wait_max(epoll, 0), EINVAL);
    check_errno!(wait_max(epoll, -1), EINVAL);
    check_errno!(wait_max(999, 1), EBADF);
    check_errno!(wait_max(r, 1), EINVAL);
    ctl(epoll, ADD, w, OUT, 1)?;
    check_errno!(sys!(SYS_epoll_wait, epoll, BAD, 1, 0), EFAULT);
    check_eq!(wait(epoll)?, [(OUT, 1)], "events, not lost by EFAULT");
    Ok(())
}

fn hangup_comes_unasked(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, 0, 1)?;
    close(w)?;
    check_eq!(wait(epoll)?, [(libc::EPOLLHUP, 1)], "events of the reader");
    let (r, w) = pipe(0)?;
    let epoll = create()?;
    ctl(epoll, ADD, w, 0, 2)?;
    close(r)?;
    check_eq!(wait(epoll)?, [(libc::EPOLLERR, 2)], "events of the writer");
    Ok(())
}

fn closed_descriptor_leaves(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN, 1)?;
    write(w, b"a")?;
    close(r)?;
    check_eq!(wait(epoll)?, [], "events after the close");
    check_errno!(ctl(epoll, DEL, r, 0, 0), EBADF);
    Ok(())
}

fn duplicate_keeps_registration(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN, 1)?;
    let copy = sys!(SYS_dup, r)? as i32;
    // A copy is another key.
    ctl(epoll, ADD, copy, IN, 2)?;
    ctl(epoll, DEL, copy, 0, 0)?;
    close(r)?;
    write(w, b"a")?;
    check_eq!(wait(epoll)?, [(IN, 1)], "events while a copy is open");
    close(copy)?;
    check_eq!(wait(epoll)?, [], "events after the last close");
    Ok(())
}

fn nested_sets(_: &mut Case) -> Outcome {
    let (outer, inner, (r, w)) = (create()?, create()?, pipe(0)?);
    ctl(inner, ADD, r, IN, 1)?;
    ctl(outer, ADD, inner, IN, 2)?;
    check_eq!(wait(outer)?, [], "events at first");
    write(w, b"a")?;
    check_eq!(wait(outer)?, [(IN, 2)], "events of the outer set");
    check_eq!(wait(inner)?, [(IN, 1)], "events of the inner set");
    read(r, &mut [0])?;
    check_eq!(wait(outer)?, [], "events when all is read");
    Ok(())
}

fn loops_are_eloop(_: &mut Case) -> Outcome {
    let (a, b) = (create()?, create()?);
    check_errno!(ctl(a, ADD, a, IN, 0), EINVAL);
    ctl(a, ADD, b, IN, 0)?;
    check_errno!(ctl(b, ADD, a, IN, 0), ELOOP);
    Ok(())
}

fn wait_wakes_on_event(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN, 5)?;
    let pid = child(|| {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        check_eq!(sys!(SYS_epoll_wait, epoll, &mut events, 2, -1)?, 1, "epoll_wait");
        check_eq!({ events[0].u64 }, 5, "data");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    write(w, b"x")?;
    reap(pid)
}

fn round_robin_is_fair(_: &mut Case) -> Outcome {
    let epoll = create()?;
    for data in 0..3 {
        let (_r, w) = pipe(0)?;
        ctl(epoll, ADD, w, OUT, data)?;
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.extend(wait_max(epoll, 1)?.into_iter().map(|(_, data)| data));
    }
    seen.sort_unstable();
    check_eq!(seen, [0, 1, 2], "descriptors reported one at a time");
    Ok(())
}

fn regular_file_is_eperm(c: &mut Case) -> Outcome {
    let (epoll, fd) = (create()?, c.open_file("f")?);
    check_errno!(ctl(epoll, ADD, fd, IN, 0), EPERM);
    let dir = calls::open(&c.dir()?, libc::O_RDONLY, 0)?;
    check_errno!(ctl(epoll, ADD, dir, IN, 0), EPERM);
    Ok(())
}

fn note(_: &sys::Delivery) {}

fn pwait_swaps_mask(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, libc::SA_RESTART, note)?;
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGUSR1))?;
    calls::kill(getpid(), libc::SIGUSR1)?;
    let epoll = create()?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
    let empty = 0u64;
    check_errno!(sys!(SYS_epoll_pwait, epoll, &mut events, 2, -1, &empty, 8), EINTR);
    check_eq!(sys::mask(libc::SIG_BLOCK, 0)?, sys::bit(libc::SIGUSR1), "mask afterwards");
    check_errno!(sys!(SYS_epoll_pwait, epoll, &mut events, 2, -1, &empty, 4), EINVAL);
    Ok(())
}

fn pwait2_has_nanoseconds(_: &mut Case) -> Outcome {
    let epoll = create()?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
    let start = calls::now(libc::CLOCK_MONOTONIC)?;
    let limit = calls::timespec(2_500_000);
    check_eq!(sys!(SYS_epoll_pwait2, epoll, &mut events, 2, &limit, 0, 8)?, 0, "epoll_pwait2");
    let waited = calls::now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 2_500_000, "2.5 ms or more, got {waited} ns");
    let bad = libc::timespec { tv_sec: 0, tv_nsec: -1 };
    check_errno!(sys!(SYS_epoll_pwait2, epoll, &mut events, 2, &bad, 0, 8), EINVAL);
    Ok(())
}

fn exclusive_rules(_: &mut Case) -> Outcome {
    let (epoll, (r, _w)) = (create()?, pipe(0)?);
    let exclusive = libc::EPOLLEXCLUSIVE | IN;
    check_errno!(ctl(epoll, ADD, r, exclusive | libc::EPOLLONESHOT, 0), EINVAL);
    ctl(epoll, ADD, r, exclusive, 0)?;
    check_errno!(ctl(epoll, MOD, r, exclusive, 0), EINVAL);
    check_errno!(ctl(epoll, MOD, r, IN, 0), EINVAL);
    let other = create()?;
    check_errno!(ctl(epoll, ADD, other, exclusive, 0), EINVAL);
    Ok(())
}

fn poll_on_epoll(_: &mut Case) -> Outcome {
    let (epoll, (r, w)) = (create()?, pipe(0)?);
    ctl(epoll, ADD, r, IN, 1)?;
    check_eq!(calls::ready(epoll, libc::POLLIN)?, 0, "events at first");
    write(w, b"x")?;
    check_eq!(calls::ready(epoll, libc::POLLIN)?, libc::POLLIN, "events when the pipe is ready");
    Ok(())
}
