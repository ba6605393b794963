//! Job control of a pseudo-terminal: sessions, the foreground process group, hanging up.

use std::sync::atomic::{AtomicI32, Ordering};

use super::pty::{LFLAG, Pair, Settings, expect, expect_read, name, pair, set_raw};
use crate::calls::{self, close, getpid, open, pipe, read, ready, write};
use crate::case::{Case, Outcome, child, in_child, reap, until_asleep};
use crate::sys::Delivery;
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "pty";
    session_takes_a_terminal: "setsid and TIOCSCTTY make it the controlling terminal";
    opening_takes_a_terminal: "a session leader without a terminal gets the one it opens";
    noctty_does_not_take_it: "O_NOCTTY does not";
    terminal_is_given_up: "TIOCNOTTY leaves the session without a terminal";
    terminal_of_others_is_not_taken: "a terminal controls one session only";
    dev_tty_is_the_own_one: "/dev/tty is the controlling terminal, or ENXIO";
    foreground_group_is_set: "TIOCSPGRP takes groups of the session only";
    interrupt_reaches_the_foreground: "^C sends SIGINT to the foreground group";
    suspend_stops_the_foreground: "^Z stops the foreground group";
    background_read_is_stopped: "a read from the background stops with SIGTTIN";
    background_read_ignoring_is_eio: "with SIGTTIN ignored it is EIO";
    background_write_is_stopped: "with TOSTOP a write from the background stops";
    background_settings_are_stopped: "TCSETS from the background stops with SIGTTOU";
    window_size_signals: "TIOCSWINSZ is seen on both sides and sends SIGWINCH";
    closed_master_hangs_up: "closing the master hangs up: SIGHUP, no input, EIO";
    end_of_leader_hangs_up: "when the session leader ends, the foreground group gets SIGHUP";
    stat_shows_the_terminal: "/proc/self/stat has the terminal's number and foreground group";
}

/// Runs `body` in a child that leads a session with the terminal.
#[track_caller]
fn in_session(pair: Pair, body: impl FnOnce() -> Outcome) -> Outcome {
    in_child(|| {
        take(pair)?;
        body()
    })
}

fn take(pair: Pair) -> Outcome {
    sys!(SYS_setsid)?;
    sys!(SYS_ioctl, pair.terminal, libc::TIOCSCTTY, 0)?;
    Ok(())
}

/// A child in a process group of its own, in the background until somebody says otherwise.
fn in_group(body: impl FnOnce() -> Outcome) -> Outcome<i32> {
    let pid = child(|| {
        sys!(SYS_setpgid, 0, 0)?;
        body()
    })?;
    // Whoever of the two comes first.
    let _ = sys!(SYS_setpgid, pid, pid);
    Ok(pid)
}

/// What those do who wait for a signal.
fn sleep() -> Outcome {
    let _ = sys!(SYS_pause);
    Ok(())
}

fn show(pair: Pair, bytes: &[u8]) -> Outcome {
    check_eq!(write(pair.terminal, bytes)?, bytes.len(), "written");
    Ok(())
}

fn set_foreground(fd: i32, group: i32) -> Outcome {
    sys!(SYS_ioctl, fd, libc::TIOCSPGRP, &group)?;
    Ok(())
}

/// The signal that the child is stopped by.
#[track_caller]
fn stop_signal(pid: i32) -> Outcome<i32> {
    let mut status = 0i32;
    sys!(SYS_wait4, pid, &mut status, libc::WUNTRACED, 0)?;
    check!(libc::WIFSTOPPED(status), "a stopped child, got status {status:#x}");
    Ok(libc::WSTOPSIG(status))
}

fn finish(pid: i32) -> Outcome {
    calls::kill(pid, libc::SIGKILL)?;
    calls::wait_for(pid)?;
    Ok(())
}

fn session_takes_a_terminal(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_child(|| {
        let mut id = 0i32;
        check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TIOCSCTTY, 0), EPERM);
        sys!(SYS_setsid)?;
        check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TIOCGPGRP, &mut id), ENOTTY);
        check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TIOCGSID, &mut id), ENOTTY);
        for _ in 0..2 {
            sys!(SYS_ioctl, pair.terminal, libc::TIOCSCTTY, 0)?;
        }
        for fd in [pair.terminal, pair.master] {
            for request in [libc::TIOCGPGRP, libc::TIOCGSID] {
                sys!(SYS_ioctl, fd, request, &mut id)?;
                check_eq!(id, getpid(), "foreground group and session");
            }
        }
        Ok(())
    })
}

fn opening_takes_a_terminal(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_child(|| {
        sys!(SYS_setsid)?;
        let mut id = 0i32;
        // Not for writing only.
        let writer = open(&name(pair.index), libc::O_WRONLY, 0)?;
        check_errno!(sys!(SYS_ioctl, writer, libc::TIOCGSID, &mut id), ENOTTY);
        let terminal = open(&name(pair.index), libc::O_RDWR, 0)?;
        sys!(SYS_ioctl, terminal, libc::TIOCGSID, &mut id)?;
        check_eq!(id, getpid(), "session");
        Ok(())
    })
}

fn noctty_does_not_take_it(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_child(|| {
        sys!(SYS_setsid)?;
        let terminal = open(&name(pair.index), libc::O_RDWR | libc::O_NOCTTY, 0)?;
        check_errno!(sys!(SYS_ioctl, terminal, libc::TIOCGSID, &mut 0i32), ENOTTY);
        check_errno!(open("/dev/tty", libc::O_RDWR, 0), ENXIO);
        Ok(())
    })
}

fn terminal_is_given_up(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        // The foreground group is hung up on.
        sys::ignore(libc::SIGHUP)?;
        sys!(SYS_ioctl, pair.terminal, libc::TIOCNOTTY, 0)?;
        check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TIOCNOTTY, 0), ENOTTY);
        check_errno!(open("/dev/tty", libc::O_RDWR, 0), ENXIO);
        // It is free for the next one.
        let next = child(|| take(pair))?;
        reap(next)
    })
}

fn terminal_of_others_is_not_taken(_: &mut Case) -> Outcome {
    let (first, second) = (pair()?, pair()?);
    in_session(first, || {
        check_errno!(sys!(SYS_ioctl, second.terminal, libc::TIOCSCTTY, 0), EPERM);
        let other = child(|| {
            sys!(SYS_setsid)?;
            check_errno!(sys!(SYS_ioctl, first.terminal, libc::TIOCSCTTY, 0), EPERM);
            // Opening it works, and does not take it.
            let terminal = open(&name(first.index), libc::O_RDWR, 0)?;
            check_errno!(sys!(SYS_ioctl, terminal, libc::TIOCGSID, &mut 0i32), ENOTTY);
            Ok(())
        })?;
        reap(other)
    })
}

fn dev_tty_is_the_own_one(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let tty = open("/dev/tty", libc::O_RDWR, 0)?;
        write(tty, b"hello")?;
        expect(pair.master, b"hello")?;
        let inherits = child(|| {
            open("/dev/tty", libc::O_RDWR, 0)?;
            sys!(SYS_setsid)?;
            check_errno!(open("/dev/tty", libc::O_RDWR, 0), ENXIO);
            Ok(())
        })?;
        reap(inherits)
    })
}

fn foreground_group_is_set(_: &mut Case) -> Outcome {
    let pair = pair()?;
    let elsewhere = sys!(SYS_getpgrp)? as i32;
    in_session(pair, || {
        let set = |group: i32| sys!(SYS_ioctl, pair.terminal, libc::TIOCSPGRP, &group);
        check_errno!(set(-1), EINVAL);
        check_errno!(set(0x3f_ffff), ESRCH);
        check_errno!(set(elsewhere), EPERM);
        let group = in_group(sleep)?;
        set(group)?;
        let mut now = 0i32;
        sys!(SYS_ioctl, pair.terminal, libc::TIOCGPGRP, &mut now)?;
        check_eq!(now, group, "foreground group");
        finish(group)
    })
}

fn interrupt_reaches_the_foreground(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let group = in_group(sleep)?;
        set_foreground(pair.terminal, group)?;
        write(pair.master, b"x\x03")?;
        let status = calls::wait_for(group)?;
        check_eq!(calls::term_signal(status), Some(libc::SIGINT), "signal of the foreground");
        // What was typed before it is forgotten.
        forgotten(pair)
    })
}

/// The session leader goes to the foreground, and finds no input.
fn forgotten(pair: Pair) -> Outcome {
    sys::ignore(libc::SIGTTOU)?;
    set_foreground(pair.terminal, getpid())?;
    set_raw(pair.terminal, 0, 0)?;
    expect_read(pair.terminal, b"")
}

fn suspend_stops_the_foreground(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let group = in_group(sleep)?;
        set_foreground(pair.terminal, group)?;
        write(pair.master, b"\x1a")?;
        check_eq!(stop_signal(group)?, libc::SIGTSTP, "signal");
        finish(group)
    })
}

fn background_read_is_stopped(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let group = in_group(|| expect_read(pair.terminal, b"line\n"))?;
        check_eq!(stop_signal(group)?, libc::SIGTTIN, "signal");
        write(pair.master, b"line\n")?;
        set_foreground(pair.terminal, group)?;
        calls::kill(group, libc::SIGCONT)?;
        reap(group)
    })
}

fn background_read_ignoring_is_eio(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let group = in_group(|| {
            sys::ignore(libc::SIGTTIN)?;
            check_errno!(read(pair.terminal, &mut [0; 8]), EIO);
            Ok(())
        })?;
        reap(group)
    })
}

fn background_write_is_stopped(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let free = in_group(|| show(pair, b"free"))?;
        reap(free)?;
        expect(pair.master, b"free")?;
        Settings::of(pair.terminal)?.with(LFLAG, libc::TOSTOP).apply(pair.terminal)?;
        let group = in_group(|| show(pair, b"late"))?;
        check_eq!(stop_signal(group)?, libc::SIGTTOU, "signal");
        set_foreground(pair.terminal, group)?;
        calls::kill(group, libc::SIGCONT)?;
        reap(group)?;
        expect(pair.master, b"late")
    })
}

fn background_settings_are_stopped(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let group = in_group(|| Settings::of(pair.terminal)?.apply(pair.terminal))?;
        check_eq!(stop_signal(group)?, libc::SIGTTOU, "signal");
        set_foreground(pair.terminal, group)?;
        calls::kill(group, libc::SIGCONT)?;
        reap(group)
    })
}

/// How many signals the handler has seen.
static SEEN: AtomicI32 = AtomicI32::new(0);

fn count_signal(_: &Delivery) {
    SEEN.fetch_add(1, Ordering::SeqCst);
}

fn window_size_signals(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        sys::handle(libc::SIGWINCH, 0, count_signal)?;
        let mut size = [9u16; 4];
        sys!(SYS_ioctl, pair.terminal, libc::TIOCGWINSZ, &mut size)?;
        check_eq!(size, [0; 4], "size at first");
        for wanted in [1, 1] {
            sys!(SYS_ioctl, pair.master, libc::TIOCSWINSZ, &[24u16, 80, 0, 0])?;
            sys!(SYS_ioctl, pair.terminal, libc::TIOCGWINSZ, &mut size)?;
            check_eq!(size, [24, 80, 0, 0], "size");
            check_eq!(SEEN.load(Ordering::SeqCst), wanted, "signals, for changes only");
        }
        Ok(())
    })
}

fn closed_master_hangs_up(_: &mut Case) -> Outcome {
    let pair = pair()?;
    let (r, w) = pipe(0)?;
    let leader = child(|| {
        close(pair.master)?;
        take(pair)?;
        sys::handle(libc::SIGHUP, 0, count_signal)?;
        write(w, b"x")?;
        check_errno!(read(pair.terminal, &mut [0; 8]), EIO);
        check_eq!(SEEN.load(Ordering::SeqCst), 1, "SIGHUP");
        expect_read(pair.terminal, b"")?;
        check_errno!(write(pair.terminal, b"x"), EIO);
        check_errno!(sys!(SYS_ioctl, pair.terminal, libc::TCGETS, &mut [0u32; 9]), EIO);
        check_errno!(open("/dev/tty", libc::O_RDWR, 0), ENXIO);
        let events = ready(pair.terminal, libc::POLLIN | libc::POLLOUT)?;
        let all = libc::POLLIN | libc::POLLOUT | libc::POLLERR | libc::POLLHUP;
        check_eq!(events, all, "poll");
        Ok(())
    })?;
    expect(r, b"x")?;
    until_asleep(leader, leader)?;
    close(pair.master)?;
    reap(leader)
}

fn end_of_leader_hangs_up(_: &mut Case) -> Outcome {
    let pair = pair()?;
    let (r, w) = pipe(0)?;
    in_session(pair, || {
        let group = in_group(|| {
            close(r)?;
            sys::handle(libc::SIGHUP, 0, count_signal)?;
            write(w, b"r")?;
            while SEEN.load(Ordering::SeqCst) == 0 {
                let _ = sys!(SYS_pause);
            }
            // The session has no terminal any more.
            check_errno!(open("/dev/tty", libc::O_RDWR, 0), ENXIO);
            write(w, b"h")?;
            Ok(())
        })?;
        expect(r, b"r")?;
        until_asleep(group, group)?;
        set_foreground(pair.terminal, group)
    })?;
    close(w)?;
    expect(r, b"h")
}

fn stat_shows_the_terminal(_: &mut Case) -> Outcome {
    let pair = pair()?;
    in_session(pair, || {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        let fields: Vec<i64> = rest.split(' ').skip(4).take(2).flat_map(str::parse).collect();
        let rdev = i64::from(136 << 8 | pair.index & 0xff);
        check_eq!(fields, [rdev, i64::from(getpid())], "tty_nr and tpgid");
        Ok(())
    })
}
