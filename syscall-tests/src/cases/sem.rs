//! System V semaphores: semget(2), semop(2), semctl(2).

use crate::calls::{become_user, getpid, kill, now, timespec};
use crate::case::{Case, ORDINARY, Outcome, child, in_child, reap, until, until_asleep};
use crate::sys::{BAD, SysResult};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "sem";
    get_errors: "semget's ENOENT, EINVAL, EEXIST";
    op_errors: "semop's EINVAL, E2BIG, EFAULT, EFBIG, ERANGE, in their order";
    all_or_nothing: "operations of a call are done together or not at all";
    nowait_is_eagain: "IPC_NOWAIT is EAGAIN, for zero too";
    set_and_get: "SETVAL, GETVAL, SETALL, GETALL, GETPID, ERANGE";
    wakes_a_sleeper: "an increment wakes who waits for it, GETNCNT counts";
    wait_for_zero: "who waits for zero is woken at zero, GETZCNT counts";
    blocked_in_order: "sleepers are served in order; one that cannot be does not hold up others";
    undo_at_exit: "SEM_UNDO is made good at exit, at kill too";
    undo_survives_exec_and_not_fork: "exec keeps adjustments, a fork has none";
    undo_forgotten_by_setval: "SETVAL forgets the adjustments";
    undo_wakes: "an adjustment at exit wakes a sleeper";
    removal_wakes: "IPC_RMID gives sleepers EIDRM, and then EINVAL";
    timeout_is_eagain: "semtimedop's EAGAIN after the time, EINVAL, EFAULT";
    signal_is_eintr: "a handler interrupts, SA_RESTART or not";
    permissions [Root]: "EACCES to alter what may only be read, EPERM to remove";
    stat_shows_times: "IPC_STAT: number, otime, ctime; SEM_STAT; IPC_INFO";
}

const CREATE: i32 = libc::IPC_CREAT | 0o600;
const NOWAIT: i32 = libc::IPC_NOWAIT;
const UNDO: i32 = libc::SEM_UNDO;

/// A set, removed at the end.
struct Set(i32);

impl Set {
    fn new(count: i32) -> SysResult<Set> {
        Ok(Set(sys!(SYS_semget, libc::IPC_PRIVATE, count, CREATE)? as i32))
    }

    fn op(&self, ops: &[[u16; 3]]) -> SysResult {
        sys!(SYS_semop, self.0, ops, ops.len())
    }

    fn ctl(&self, num: i32, command: i32, value: i32) -> SysResult {
        sys!(SYS_semctl, self.0, num, command, value)
    }

    fn value(&self, num: i32) -> SysResult {
        self.ctl(num, libc::GETVAL, 0)
    }

    fn stat(&self) -> SysResult<[u64; 13]> {
        let mut stat = [0; 13];
        sys!(SYS_semctl, self.0, 0, libc::IPC_STAT, &mut stat)?;
        Ok(stat)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        let _ = sys!(SYS_semctl, self.0, 0, libc::IPC_RMID);
    }
}

/// `struct sembuf`.
fn op(num: u16, op: i16, flags: i32) -> [u16; 3] {
    [num, op as u16, flags as u16]
}

/// A child that makes the call, and sleeps in it.
fn sleeper(set: &Set, ops: &[[u16; 3]], expected: SysResult) -> Outcome<i32> {
    let pid = child(|| {
        check_eq!(set.op(ops), expected, "semop");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    Ok(pid)
}

fn get_errors(_: &mut Case) -> Outcome {
    let key = 0x5345_0000 | getpid() & 0xffff;
    check_errno!(sys!(SYS_semget, key, 1, 0o600), ENOENT);
    check_errno!(sys!(SYS_semget, key, 0, CREATE), EINVAL);
    check_errno!(sys!(SYS_semget, key, -1, CREATE), EINVAL);
    check_errno!(sys!(SYS_semget, key, 32001, 0), EINVAL);
    let set = Set(sys!(SYS_semget, key, 2, CREATE)? as i32);
    check_eq!(sys!(SYS_semget, key, 0, 0)? as i32, set.0, "the set");
    check_errno!(sys!(SYS_semget, key, 3, 0), EINVAL);
    check_errno!(sys!(SYS_semget, key, 2, CREATE | libc::IPC_EXCL), EEXIST);
    Ok(())
}

fn op_errors(_: &mut Case) -> Outcome {
    let set = Set::new(2)?;
    check_errno!(sys!(SYS_semop, set.0, BAD, 0), EINVAL);
    check_errno!(sys!(SYS_semop, -1, BAD, 501), E2BIG);
    check_errno!(sys!(SYS_semop, -1, BAD, 1), EFAULT);
    check_errno!(sys!(SYS_semop, -1, &op(0, 1, 0), 1), EINVAL);
    check_errno!(set.op(&[op(2, 1, 0)]), EFBIG);
    check_errno!(set.op(&[op(0, 32767, 0), op(0, 1, 0)]), ERANGE);
    check_eq!(set.value(0)?, 0, "value after a failure");
    Ok(())
}

fn all_or_nothing(_: &mut Case) -> Outcome {
    let set = Set::new(2)?;
    check_errno!(set.op(&[op(0, 5, 0), op(1, -1, NOWAIT)]), EAGAIN);
    check_eq!(set.value(0)?, 0, "value after a failure");
    set.op(&[op(0, 5, 0), op(0, -3, 0), op(1, 0, 0)])?;
    check_eq!((set.value(0)?, set.value(1)?), (2, 0), "values");
    Ok(())
}

fn nowait_is_eagain(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    check_errno!(set.op(&[op(0, -1, NOWAIT)]), EAGAIN);
    set.op(&[op(0, 0, NOWAIT)])?;
    set.op(&[op(0, 1, 0)])?;
    check_errno!(set.op(&[op(0, 0, NOWAIT)]), EAGAIN);
    check_errno!(set.op(&[op(0, -2, NOWAIT)]), EAGAIN);
    Ok(())
}

fn set_and_get(_: &mut Case) -> Outcome {
    let set = Set::new(3)?;
    check_eq!(set.ctl(0, libc::GETPID, 0)?, 0, "nobody yet");
    set.ctl(1, libc::SETVAL, 7)?;
    check_eq!(set.value(1)?, 7, "value");
    check_eq!(set.ctl(1, libc::GETPID, 0)? as i32, getpid(), "who set it");
    check_errno!(set.ctl(1, libc::SETVAL, 32768), ERANGE);
    check_errno!(set.ctl(9, libc::SETVAL, -1), ERANGE);
    check_errno!(set.ctl(3, libc::SETVAL, 1), EINVAL);
    check_errno!(set.ctl(-1, libc::GETVAL, 0), EINVAL);
    sys!(SYS_semctl, set.0, 0, libc::SETALL, &[1u16, 2, 3])?;
    let mut values = [0u16; 3];
    sys!(SYS_semctl, set.0, 0, libc::GETALL, &mut values)?;
    check_eq!(values, [1, 2, 3], "values");
    check_errno!(sys!(SYS_semctl, set.0, 0, libc::SETALL, &[1u16, 40000, 3]), ERANGE);
    check_errno!(sys!(SYS_semctl, set.0, 0, libc::SETALL, BAD), EFAULT);
    check_errno!(sys!(SYS_semctl, set.0, 0, 99, 0), EINVAL);
    Ok(())
}

fn wakes_a_sleeper(_: &mut Case) -> Outcome {
    let set = Set::new(2)?;
    let pid = sleeper(&set, &[op(1, -2, 0)], Ok(0))?;
    check_eq!(set.ctl(1, libc::GETNCNT, 0)?, 1, "sleepers");
    check_eq!(set.ctl(1, libc::GETZCNT, 0)?, 0, "sleepers for zero");
    check_eq!(set.ctl(0, libc::GETNCNT, 0)?, 0, "sleepers of another semaphore");
    set.op(&[op(1, 1, 0)])?;
    check_eq!(set.ctl(1, libc::GETNCNT, 0)?, 1, "sleepers when it is not enough");
    set.op(&[op(1, 1, 0)])?;
    reap(pid)?;
    check_eq!((set.value(1)?, set.ctl(1, libc::GETPID, 0)? as i32), (0, pid), "value and pid");
    Ok(())
}

fn wait_for_zero(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    set.ctl(0, libc::SETVAL, 2)?;
    let pid = sleeper(&set, &[op(0, 0, 0)], Ok(0))?;
    check_eq!(set.ctl(0, libc::GETZCNT, 0)?, 1, "sleepers");
    set.op(&[op(0, -1, 0)])?;
    set.op(&[op(0, -1, 0)])?;
    reap(pid)
}

fn blocked_in_order(_: &mut Case) -> Outcome {
    let set = Set::new(2)?;
    let first = sleeper(&set, &[op(0, -2, 0)], Ok(0))?;
    let second = sleeper(&set, &[op(0, -1, 0), op(1, 1, 0)], Ok(0))?;
    set.op(&[op(0, 1, 0)])?;
    reap(second)?;
    check_eq!((set.value(0)?, set.value(1)?), (0, 1), "values");
    let third = sleeper(&set, &[op(0, -2, 0), op(1, 1, 0)], Ok(0))?;
    set.op(&[op(0, 2, 0)])?;
    reap(first)?;
    check_eq!(set.value(1)?, 1, "the third has not been served");
    set.op(&[op(0, 2, 0)])?;
    reap(third)
}

fn undo_at_exit(_: &mut Case) -> Outcome {
    let set = Set::new(2)?;
    set.ctl(1, libc::SETVAL, 5)?;
    in_child(|| {
        set.op(&[op(0, 3, UNDO), op(0, -1, UNDO), op(1, -2, UNDO)])?;
        set.op(&[op(0, 10, 0)])?;
        check_eq!((set.value(0)?, set.value(1)?), (12, 3), "values before the end");
        Ok(())
    })?;
    check_eq!((set.value(0)?, set.value(1)?), (10, 5), "values after the end");
    let pid = child(|| {
        set.op(&[op(1, -5, UNDO)])?;
        sys!(SYS_pause)?;
        Ok(())
    })?;
    until("the child has operated", || Ok(set.value(1)? == 0))?;
    kill(pid, libc::SIGKILL)?;
    sys!(SYS_wait4, pid, 0, 0, 0)?;
    check_eq!((set.value(1)?, set.ctl(1, libc::GETPID, 0)? as i32), (5, pid), "value and pid");
    Ok(())
}

fn undo_survives_exec_and_not_fork(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    in_child(|| {
        set.op(&[op(0, 2, UNDO)])?;
        in_child(|| Ok(()))?;
        check_eq!(set.value(0)?, 2, "value after the end of a fork");
        crate::calls::execve("/bin/true", &["true"], &[])?;
        Ok(())
    })?;
    check_eq!(set.value(0)?, 0, "value after the end");
    Ok(())
}

fn undo_forgotten_by_setval(_: &mut Case) -> Outcome {
    let set = Set::new(2)?;
    in_child(|| {
        set.op(&[op(0, 2, UNDO), op(1, 2, UNDO)])?;
        set.ctl(0, libc::SETVAL, 9)?;
        Ok(())
    })?;
    check_eq!((set.value(0)?, set.value(1)?), (9, 0), "values");
    Ok(())
}

fn undo_wakes(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    set.ctl(0, libc::SETVAL, 1)?;
    let holder = child(|| {
        set.op(&[op(0, -1, UNDO)])?;
        sys!(SYS_pause)?;
        Ok(())
    })?;
    until("the child has it", || Ok(set.value(0)? == 0))?;
    let waiter = sleeper(&set, &[op(0, -1, 0)], Ok(0))?;
    kill(holder, libc::SIGKILL)?;
    reap(waiter)?;
    sys!(SYS_wait4, holder, 0, 0, 0)?;
    Ok(())
}

fn removal_wakes(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    let gone = Err(sys::Errno(libc::EIDRM));
    let first = sleeper(&set, &[op(0, -1, 0)], gone)?;
    let second = sleeper(&set, &[op(0, -1, UNDO)], gone)?;
    sys!(SYS_semctl, set.0, 0, libc::IPC_RMID)?;
    reap(first)?;
    reap(second)?;
    check_errno!(set.op(&[op(0, 1, 0)]), EINVAL);
    Ok(())
}

fn timeout_is_eagain(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    let (ops, start) = (op(0, -1, 0), now(libc::CLOCK_MONOTONIC)?);
    let limit = timespec(15_000_000);
    check_errno!(sys!(SYS_semtimedop, set.0, &ops, 1, &limit), EAGAIN);
    let waited = now(libc::CLOCK_MONOTONIC)? - start;
    check!(waited >= 15_000_000, "15 ms or more, got {waited} ns");
    check_eq!(set.ctl(0, libc::GETNCNT, 0)?, 0, "sleepers left");
    let bad = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
    check_errno!(sys!(SYS_semtimedop, set.0, &ops, 1, &bad), EINVAL);
    check_errno!(sys!(SYS_semtimedop, set.0, &ops, 0, BAD), EFAULT);
    Ok(())
}

fn signal_is_eintr(_: &mut Case) -> Outcome {
    let set = Set::new(1)?;
    for flags in [0, libc::SA_RESTART] {
        let pid = child(|| {
            sys::handle(libc::SIGUSR1, flags, |_| ())?;
            check_errno!(set.op(&[op(0, -1, 0)]), EINTR);
            check_eq!(set.ctl(0, libc::GETNCNT, 0)?, 0, "sleepers left");
            Ok(())
        })?;
        until_asleep(pid, pid)?;
        until("it waits", || Ok(set.ctl(0, libc::GETNCNT, 0)? == 1))?;
        kill(pid, libc::SIGUSR1)?;
        reap(pid)?;
    }
    Ok(())
}

fn permissions(_: &mut Case) -> Outcome {
    let id = sys!(SYS_semget, libc::IPC_PRIVATE, 1, libc::IPC_CREAT | 0o604)? as i32;
    let set = Set(id);
    in_child(|| {
        become_user(ORDINARY)?;
        check_errno!(set.op(&[op(0, 1, 0)]), EACCES);
        set.op(&[op(0, 0, 0)])?;
        check_errno!(set.ctl(0, libc::SETVAL, 1), EACCES);
        check_eq!(set.value(0)?, 0, "value");
        check_errno!(sys!(SYS_semctl, set.0, 0, libc::IPC_RMID), EPERM);
        Ok(())
    })
}

fn stat_shows_times(_: &mut Case) -> Outcome {
    let set = Set::new(3)?;
    let new = set.stat()?;
    check_eq!((new[6], new[10], new[2] >> 32), (0, 3, 0o600), "otime, number and mode");
    set.op(&[op(0, 1, 0)])?;
    check!(set.stat()?[6] >= new[8], "otime");
    let mut stat = [0u64; 13];
    let found = sys!(SYS_semctl, set.0 & 0x7fff, 0, 18, &mut stat)?;
    check_eq!((found as i32, stat[10]), (set.0, 3), "SEM_STAT");
    let mut info = [0i32; 10];
    sys!(SYS_semctl, 0, 0, libc::IPC_INFO, &mut info)?;
    check_eq!((info[1], info[4], info[5], info[8]), (32000, 32000, 500, 32767), "limits");
    let table = std::fs::read_to_string("/proc/sysvipc/sem")?;
    let id = set.0.to_string();
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&id));
    let fields: Vec<&str> = line.unwrap_or_default().split_whitespace().take(4).collect();
    check_eq!(fields, ["0", &id, "600", "3"], "the line in /proc");
    Ok(())
}
