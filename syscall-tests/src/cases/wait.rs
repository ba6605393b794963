//! wait4(2) and waitid(2).

use crate::calls::{self, exit_code, getpid, kill, pipe, read, term_signal};
use crate::case::{Case, Outcome, child, reap};
use crate::sys::{BAD, fork};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "wait";
    no_children_is_echild: "wait4 without children is ECHILD, also with WNOHANG";
    other_process_is_echild: "waiting for a process which is no child is ECHILD";
    wnohang_gives_zero: "WNOHANG gives 0 while the child runs";
    bad_options_are_einval: "unknown options are EINVAL";
    by_process_group: "pid 0 and -pgid select by process group";
    any_child_is_reaped_once: "each child is reported once, then ECHILD";
    null_status_is_allowed: "the status pointer may be NULL, a bad one is EFAULT";
    untraced_reports_stop: "WUNTRACED reports a stop once, WCONTINUED the continuation";
    stop_is_not_reported_without_flag: "without WUNTRACED a stopped child is not reported";
    waitid_fills_siginfo: "waitid fills pid, uid, status and code";
    waitid_killed_is_cld_killed: "waitid says CLD_KILLED and the signal";
    waitid_nowait_leaves_zombie: "WNOWAIT leaves the child to be waited for again";
    waitid_needs_an_event: "waitid without WEXITED, WSTOPPED or WCONTINUED is EINVAL";
    waitid_nohang_zeroes_info: "WNOHANG without news leaves si_pid 0";
    waitid_bad_type_is_einval: "an unknown id type is EINVAL";
    waitid_by_pidfd: "P_PIDFD waits for the process of a pidfd";
    waitid_by_nonblocking_pidfd: "P_PIDFD with PIDFD_NONBLOCK is EAGAIN while the process runs";
    rusage_is_filled: "wait4 reports the child's resource usage";
    ignored_sigchld_reaps: "with SIGCHLD ignored children leave no zombie, wait ends in ECHILD";
    thread_can_wait_for_siblings_child: "any thread can wait for a child, __WNOTHREAD cannot";
    interrupted_by_signal: "a handler without SA_RESTART gives EINTR";
}

fn wait4(pid: i32, options: i32) -> sys::SysResult<(i32, i32)> {
    let mut status = 0i32;
    let found = sys!(SYS_wait4, pid, &mut status, options, 0)?;
    Ok((found as i32, status))
}

/// A child that runs until the descriptor given back is closed.
fn sleeper() -> Outcome<(i32, i32)> {
    let (r, w) = pipe(libc::O_CLOEXEC)?;
    let pid = child(|| {
        calls::close(w)?;
        read(r, &mut [0])?;
        Ok(())
    })?;
    calls::close(r)?;
    Ok((pid, w))
}

fn no_children_is_echild(_: &mut Case) -> Outcome {
    check_errno!(wait4(-1, 0), ECHILD);
    check_errno!(wait4(-1, libc::WNOHANG), ECHILD);
    check_errno!(wait4(0, 0), ECHILD);
    Ok(())
}

fn other_process_is_echild(_: &mut Case) -> Outcome {
    check_errno!(wait4(getpid(), 0), ECHILD);
    check_errno!(wait4(0x3f_ffff, 0), ECHILD);
    check_errno!(wait4(i32::MIN, 0), ESRCH);
    Ok(())
}

fn wnohang_gives_zero(_: &mut Case) -> Outcome {
    let (pid, release) = sleeper()?;
    check_eq!(wait4(pid, libc::WNOHANG)?, (0, 0), "wait4 while the child runs");
    calls::close(release)?;
    check_eq!(wait4(pid, 0)?, (pid, 0), "wait4 when it may exit");
    Ok(())
}

fn bad_options_are_einval(_: &mut Case) -> Outcome {
    check_errno!(wait4(-1, 0x100), EINVAL);
    check_errno!(wait4(-1, libc::WNOWAIT), EINVAL);
    Ok(())
}

fn by_process_group(_: &mut Case) -> Outcome {
    let (a, release_a) = sleeper()?;
    let (b, release_b) = sleeper()?;
    sys!(SYS_setpgid, b, b)?;
    calls::close(release_a)?;
    calls::close(release_b)?;
    check_eq!(wait4(-b, 0)?.0, b, "wait4(-pgid)");
    check_eq!(wait4(0, 0)?.0, a, "wait4(0)");
    Ok(())
}

fn any_child_is_reaped_once(_: &mut Case) -> Outcome {
    let mut started: Vec<i32> = (0..5).map(|i| fork(move || i)).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for _ in 0..5 {
        let (pid, status) = wait4(-1, 0)?;
        let index = started.iter().position(|p| *p == pid).map(|i| i as i32);
        check_eq!(exit_code(status), index, "exit code of child {pid}");
        found.push(pid);
    }
    found.sort_unstable();
    started.sort_unstable();
    check_eq!(found, started, "children reported");
    check_errno!(wait4(-1, 0), ECHILD);
    Ok(())
}

fn null_status_is_allowed(_: &mut Case) -> Outcome {
    let pid = fork(|| 1)?;
    check_eq!(sys!(SYS_wait4, pid, 0, 0, 0)?, pid as usize, "wait4 without status");
    let pid = fork(|| 1)?;
    check_errno!(sys!(SYS_wait4, pid, BAD, 0, 0), EFAULT);
    Ok(())
}

fn untraced_reports_stop(_: &mut Case) -> Outcome {
    let (pid, release) = sleeper()?;
    kill(pid, libc::SIGSTOP)?;
    let (found, status) = wait4(pid, libc::WUNTRACED)?;
    check_eq!(found, pid, "wait4 after SIGSTOP");
    check!(libc::WIFSTOPPED(status), "a stop, got {status:#x}");
    check_eq!(libc::WSTOPSIG(status), libc::SIGSTOP, "stop signal");
    let again = wait4(pid, libc::WUNTRACED | libc::WNOHANG)?;
    check_eq!(again.0, 0, "a second report of the same stop");
    kill(pid, libc::SIGCONT)?;
    let (found, status) = wait4(pid, libc::WCONTINUED)?;
    check_eq!((found, status), (pid, 0xffff), "wait4 after SIGCONT");
    calls::close(release)?;
    reap(pid)
}

fn stop_is_not_reported_without_flag(_: &mut Case) -> Outcome {
    let (pid, _release) = sleeper()?;
    kill(pid, libc::SIGSTOP)?;
    let mut info = sys::zeroed::<libc::siginfo_t>();
    let options = libc::WSTOPPED | libc::WNOWAIT;
    sys!(SYS_waitid, libc::P_PID, pid, &mut info, options, 0)?;
    check_eq!(info.si_code, libc::CLD_STOPPED, "si_code");
    check_eq!(wait4(pid, libc::WNOHANG)?.0, 0, "wait4 without WUNTRACED");
    kill(pid, libc::SIGKILL)?;
    check_eq!(term_signal(wait4(pid, 0)?.1), Some(libc::SIGKILL), "signal of a stopped child");
    Ok(())
}

/// `waitid`, with the fields that matter here: signo, code, pid, uid, status.
fn waitid(kind: u32, id: i32, options: i32) -> sys::SysResult<[i32; 5]> {
    // si_signo, si_errno, si_code, padding, si_pid, si_uid, si_status.
    let mut words = [0i32; 32];
    words[4] = -7;
    sys!(SYS_waitid, kind, id, &mut words, options, 0)?;
    Ok([words[0], words[2], words[4], words[5], words[6]])
}

fn waitid_fills_siginfo(_: &mut Case) -> Outcome {
    let pid = fork(|| 42)?;
    let uid = sys!(SYS_getuid)? as i32;
    let got = waitid(libc::P_PID, pid, libc::WEXITED)?;
    check_eq!(got, [libc::SIGCHLD, libc::CLD_EXITED, pid, uid, 42], "signo code pid uid status");
    Ok(())
}

fn waitid_killed_is_cld_killed(_: &mut Case) -> Outcome {
    let (pid, _release) = sleeper()?;
    kill(pid, libc::SIGKILL)?;
    let got = waitid(libc::P_ALL, 0, libc::WEXITED)?;
    check_eq!((got[1], got[2], got[4]), (libc::CLD_KILLED, pid, 9), "code, pid, status");
    Ok(())
}

fn waitid_nowait_leaves_zombie(_: &mut Case) -> Outcome {
    let pid = fork(|| 3)?;
    for _ in 0..2 {
        let got = waitid(libc::P_PID, pid, libc::WEXITED | libc::WNOWAIT)?;
        check_eq!((got[2], got[4]), (pid, 3), "pid and status with WNOWAIT");
    }
    check_eq!(exit_code(wait4(pid, 0)?.1), Some(3), "exit code afterwards");
    check_errno!(waitid(libc::P_PID, pid, libc::WEXITED), ECHILD);
    Ok(())
}

fn waitid_needs_an_event(_: &mut Case) -> Outcome {
    check_errno!(waitid(libc::P_ALL, 0, 0), EINVAL);
    check_errno!(waitid(libc::P_ALL, 0, libc::WNOHANG), EINVAL);
    check_errno!(waitid(libc::P_ALL, 0, libc::WEXITED | 0x100), EINVAL);
    Ok(())
}

fn waitid_nohang_zeroes_info(_: &mut Case) -> Outcome {
    let (pid, release) = sleeper()?;
    let got = waitid(libc::P_PID, pid, libc::WEXITED | libc::WNOHANG)?;
    check_eq!((got[0], got[2]), (0, 0), "si_signo and si_pid");
    calls::close(release)?;
    reap(pid)
}

fn waitid_bad_type_is_einval(_: &mut Case) -> Outcome {
    check_errno!(waitid(77, 1, libc::WEXITED), EINVAL);
    check_errno!(waitid(libc::P_PID, 0, libc::WEXITED), EINVAL);
    check_errno!(waitid(libc::P_PIDFD, -1, libc::WEXITED), EINVAL);
    check_errno!(waitid(libc::P_PIDFD, 999, libc::WEXITED), EBADF);
    Ok(())
}

fn waitid_by_pidfd(_: &mut Case) -> Outcome {
    let (pid, release) = sleeper()?;
    let fd = sys!(SYS_pidfd_open, pid, 0)? as i32;
    let got = waitid(libc::P_PIDFD, fd, libc::WEXITED | libc::WNOHANG)?;
    check_eq!(got[2], 0, "si_pid while it runs");
    calls::close(release)?;
    let got = waitid(libc::P_PIDFD, fd, libc::WEXITED)?;
    check_eq!((got[1], got[2]), (libc::CLD_EXITED, pid), "code and pid");
    Ok(())
}

fn rusage_is_filled(_: &mut Case) -> Outcome {
    let pid = fork(|| {
        let touched = vec![1u8; 4 << 20];
        i32::from(touched[std::hint::black_box(5)] != 1)
    })?;
    let mut usage = sys::zeroed::<libc::rusage>();
    usage.ru_maxrss = -1;
    sys!(SYS_wait4, pid, 0, 0, &mut usage)?;
    check!(usage.ru_maxrss >= 4 << 10, "ru_maxrss of 4 MiB or more, got {}", usage.ru_maxrss);
    Ok(())
}

fn ignored_sigchld_reaps(_: &mut Case) -> Outcome {
    sys::ignore(libc::SIGCHLD)?;
    let (_pid, release) = sleeper()?;
    calls::close(release)?;
    // Blocks until the last child has gone, then has nothing to report.
    check_errno!(wait4(-1, 0), ECHILD);
    Ok(())
}

fn thread_can_wait_for_siblings_child(_: &mut Case) -> Outcome {
    let pid = fork(|| 4)?;
    let other = std::thread::spawn(move || wait4(pid, libc::__WNOTHREAD)).join();
    check!(matches!(other, Ok(Err(sys::Errno(libc::ECHILD)))), "ECHILD, got {other:?}");
    let other = std::thread::spawn(move || wait4(pid, 0)).join();
    check!(matches!(other, Ok(Ok((p, 0x400))) if p == pid), "the child, got {other:?}");
    Ok(())
}

fn on_signal(_: &sys::Delivery) {}

fn interrupted_by_signal(_: &mut Case) -> Outcome {
    sys::handle(libc::SIGUSR1, 0, on_signal)?;
    let (pid, release) = sleeper()?;
    let me = getpid();
    let killer = child(|| {
        calls::close(release)?;
        crate::case::until_asleep(me, me)?;
        kill(me, libc::SIGUSR1)?;
        Ok(())
    })?;
    check_errno!(wait4(pid, 0), EINTR);
    calls::close(release)?;
    reap(killer)?;
    reap(pid)
}

fn waitid_by_nonblocking_pidfd(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_pidfd_open, getpid(), 1), EINVAL);
    check_errno!(sys!(SYS_pidfd_open, 0, 0), EINVAL);
    check_errno!(sys!(SYS_pidfd_open, 0x3f_ffff, 0), ESRCH);
    let (pid, release) = sleeper()?;
    let fd = sys!(SYS_pidfd_open, pid, libc::O_NONBLOCK)? as i32;
    check_errno!(waitid(libc::P_PIDFD, fd, libc::WEXITED), EAGAIN);
    calls::close(release)?;
    let mut poll = [calls::pollfd(fd, libc::POLLIN)];
    check_eq!(sys!(SYS_poll, &mut poll, 1, -1)?, 1, "poll until the child ends");
    let got = waitid(libc::P_PIDFD, fd, libc::WEXITED)?;
    check_eq!((got[1], got[2]), (libc::CLD_EXITED, pid), "code and pid");
    check_errno!(waitid(libc::P_PIDFD, fd, libc::WEXITED), ECHILD);
    check!(calls::ready(fd, libc::POLLIN)? & libc::POLLIN != 0, "it stays readable");
    Ok(())
}
