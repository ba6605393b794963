//! Locks on files: flock(2), fcntl(2) record locks and open file description locks.

use crate::calls::{self, close, fcntl, getpid, open, pipe, read, write};
use crate::case::{Case, Outcome, child, in_child, reap, until_asleep};
use crate::sys::{SysResult, zeroed};
use crate::{cases, check_eq, check_errno, sys};

cases! { "lock";
    flock_excludes_other_open_files: "LOCK_EX excludes another open of the file: EWOULDBLOCK";
    flock_shared_locks_coexist: "LOCK_SH admits others, LOCK_EX not";
    flock_belongs_to_open_file: "a copy of the descriptor and a child hold the same lock";
    flock_waits_until_released: "a blocked LOCK_EX gets the lock when it is released";
    flock_errors: "flock's EINVAL and EBADF";
    record_locks_exclude_processes: "a record lock excludes other processes: EAGAIN";
    record_locks_are_not_inherited: "a child does not hold its parent's record locks";
    record_lock_lost_by_any_close: "closing any descriptor of the file drops the locks";
    getlk_names_the_holder: "F_GETLK gives type, range and process";
    ranges_split_and_merge: "unlocking the middle leaves two ranges";
    setlkw_waits: "F_SETLKW waits for the other process";
    setlkw_deadlock_is_edeadlk: "two processes waiting for each other: EDEADLK";
    lock_needs_access_mode: "a write lock needs a descriptor for writing: EBADF";
    lock_bad_arguments: "bad whence, type and range are EINVAL";
    ofd_locks_exclude_open_files: "F_OFD_SETLK conflicts between opens of one process";
    released_at_exit: "locks go when the process exits";
}

fn flock(fd: i32, operation: i32) -> SysResult {
    sys!(SYS_flock, fd, operation)
}

const TRY: i32 = libc::LOCK_NB;

fn flock_excludes_other_open_files(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let (a, b) = (open(&path, libc::O_RDONLY, 0)?, open(&path, libc::O_RDONLY, 0)?);
    flock(a, libc::LOCK_EX)?;
    check_errno!(flock(b, libc::LOCK_EX | TRY), EAGAIN);
    check_errno!(flock(b, libc::LOCK_SH | TRY), EAGAIN);
    flock(a, libc::LOCK_UN)?;
    flock(b, libc::LOCK_EX | TRY)?;
    Ok(())
}

fn flock_shared_locks_coexist(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let (a, b) = (open(&path, libc::O_RDONLY, 0)?, open(&path, libc::O_RDONLY, 0)?);
    flock(a, libc::LOCK_SH)?;
    flock(b, libc::LOCK_SH | TRY)?;
    check_errno!(flock(b, libc::LOCK_EX | TRY), EAGAIN);
    close(a)?;
    flock(b, libc::LOCK_EX | TRY)?;
    Ok(())
}

fn flock_belongs_to_open_file(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let a = open(&path, libc::O_RDONLY, 0)?;
    let copy = sys!(SYS_dup, a)? as i32;
    flock(a, libc::LOCK_EX)?;
    flock(copy, libc::LOCK_EX | TRY)?;
    in_child(|| {
        flock(a, libc::LOCK_EX | TRY)?;
        let other = open(&path, libc::O_RDONLY, 0)?;
        check_errno!(flock(other, libc::LOCK_EX | TRY), EAGAIN);
        Ok(())
    })?;
    close(a)?;
    let other = open(&path, libc::O_RDONLY, 0)?;
    check_errno!(flock(other, libc::LOCK_EX | TRY), EAGAIN);
    close(copy)?;
    flock(other, libc::LOCK_EX | TRY)?;
    Ok(())
}

fn flock_waits_until_released(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let a = open(&path, libc::O_RDONLY, 0)?;
    flock(a, libc::LOCK_EX)?;
    let pid = child(|| {
        close(a)?;
        flock(open(&path, libc::O_RDONLY, 0)?, libc::LOCK_EX)?;
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    flock(a, libc::LOCK_UN)?;
    reap(pid)
}

fn flock_errors(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    check_errno!(flock(fd, 0), EINVAL);
    check_errno!(flock(fd, libc::LOCK_SH | libc::LOCK_EX), EINVAL);
    check_errno!(flock(999, libc::LOCK_SH), EBADF);
    Ok(())
}

fn range(kind: i32, start: i64, len: i64) -> libc::flock {
    let mut lock = zeroed::<libc::flock>();
    lock.l_type = kind as i16;
    lock.l_start = start;
    lock.l_len = len;
    lock
}

fn set(fd: i32, kind: i32, start: i64, len: i64) -> SysResult {
    sys!(SYS_fcntl, fd, libc::F_SETLK, &range(kind, start, len))
}

/// What a child finds when it asks for a write lock: (type, start, length, holder).
fn conflict(fd: i32, start: i64, len: i64) -> Outcome<(i32, i64, i64, i32)> {
    let (r, w) = pipe(0)?;
    in_child(|| {
        let mut lock = range(libc::F_WRLCK, start, len);
        sys!(SYS_fcntl, fd, libc::F_GETLK, &mut lock)?;
        let words = [i64::from(lock.l_type), lock.l_start, lock.l_len, i64::from(lock.l_pid)];
        for word in words {
            write(w, &word.to_ne_bytes())?;
        }
        Ok(())
    })?;
    let next = || {
        let mut bytes = [0u8; 8];
        read(r, &mut bytes).map(|_| i64::from_ne_bytes(bytes))
    };
    let got = (next()? as i32, next()?, next()?, next()? as i32);
    close(r)?;
    close(w)?;
    Ok(got)
}

fn record_locks_exclude_processes(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_WRLCK, 10, 10)?;
    // One's own locks never conflict.
    set(fd, libc::F_WRLCK, 15, 10)?;
    in_child(|| {
        check_errno!(set(fd, libc::F_RDLCK, 12, 1), EAGAIN);
        check_errno!(set(fd, libc::F_WRLCK, 24, 1), EAGAIN);
        check_errno!(set(fd, libc::F_WRLCK, 0, 0), EAGAIN);
        set(fd, libc::F_WRLCK, 25, 0)?;
        set(fd, libc::F_WRLCK, 0, 10)?;
        Ok(())
    })
}

fn record_locks_are_not_inherited(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_RDLCK, 0, 0)?;
    in_child(|| {
        // Unlocking what the parent holds does nothing to it.
        set(fd, libc::F_UNLCK, 0, 0)?;
        check_errno!(set(fd, libc::F_WRLCK, 0, 0), EAGAIN);
        set(fd, libc::F_RDLCK, 0, 0)?;
        Ok(())
    })
}

fn record_lock_lost_by_any_close(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_WRLCK, 0, 0)?;
    check_eq!(conflict(fd, 0, 1)?.3, getpid(), "holder");
    close(open(&c.path("f")?, libc::O_RDONLY, 0)?)?;
    check_eq!(conflict(fd, 0, 1)?.0, libc::F_UNLCK, "type after a close");
    Ok(())
}

fn getlk_names_the_holder(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_RDLCK, 100, 50)?;
    check_eq!(conflict(fd, 120, 1)?, (libc::F_RDLCK, 100, 50, getpid()), "lock found");
    check_eq!(conflict(fd, 150, 1)?.0, libc::F_UNLCK, "type beyond the range");
    let mut own = range(libc::F_WRLCK, 120, 1);
    sys!(SYS_fcntl, fd, libc::F_GETLK, &mut own)?;
    check_eq!(i32::from(own.l_type), libc::F_UNLCK, "type for the holder itself");
    Ok(())
}

fn ranges_split_and_merge(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_WRLCK, 0, 100)?;
    set(fd, libc::F_UNLCK, 40, 20)?;
    check_eq!(conflict(fd, 0, 0)?, (libc::F_WRLCK, 0, 40, getpid()), "first part");
    check_eq!(conflict(fd, 50, 0)?, (libc::F_WRLCK, 60, 40, getpid()), "second part");
    set(fd, libc::F_WRLCK, 40, 20)?;
    check_eq!(conflict(fd, 50, 1)?, (libc::F_WRLCK, 0, 100, getpid()), "merged again");
    set(fd, libc::F_RDLCK, 0, 0)?;
    check_eq!(conflict(fd, 0, 0)?, (libc::F_RDLCK, 0, 0, getpid()), "converted to the end");
    Ok(())
}

fn setlkw_waits(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_WRLCK, 0, 1)?;
    let pid = child(|| {
        sys!(SYS_fcntl, fd, libc::F_SETLKW, &range(libc::F_WRLCK, 0, 1))?;
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    set(fd, libc::F_UNLCK, 0, 1)?;
    reap(pid)
}

fn setlkw_deadlock_is_edeadlk(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    set(fd, libc::F_WRLCK, 0, 1)?;
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        set(fd, libc::F_WRLCK, 1, 1)?;
        write(w, b"x")?;
        sys!(SYS_fcntl, fd, libc::F_SETLKW, &range(libc::F_WRLCK, 0, 1))?;
        Ok(())
    })?;
    read(r, &mut [0])?;
    until_asleep(pid, pid)?;
    let wait = sys!(SYS_fcntl, fd, libc::F_SETLKW, &range(libc::F_WRLCK, 1, 1));
    check_errno!(wait, EDEADLK);
    set(fd, libc::F_UNLCK, 0, 1)?;
    reap(pid)
}

fn lock_needs_access_mode(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let reading = open(&path, libc::O_RDONLY, 0)?;
    check_errno!(set(reading, libc::F_WRLCK, 0, 0), EBADF);
    set(reading, libc::F_RDLCK, 0, 0)?;
    let writing = open(&path, libc::O_WRONLY, 0)?;
    check_errno!(set(writing, libc::F_RDLCK, 0, 0), EBADF);
    Ok(())
}

fn lock_bad_arguments(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    check_errno!(set(fd, 77, 0, 0), EINVAL);
    check_errno!(set(fd, libc::F_WRLCK, -1, 1), EINVAL);
    check_errno!(set(fd, libc::F_WRLCK, 5, -10), EINVAL);
    let mut lock = range(libc::F_WRLCK, 0, 1);
    lock.l_whence = 9;
    check_errno!(sys!(SYS_fcntl, fd, libc::F_SETLK, &lock), EINVAL);
    check_errno!(fcntl(fd, libc::F_SETLK, sys::BAD as i64), EFAULT);
    // A negative length reaches backwards.
    set(fd, libc::F_WRLCK, 10, -5)?;
    check_eq!(conflict(fd, 0, 0)?, (libc::F_WRLCK, 5, 5, getpid()), "range of length -5");
    Ok(())
}

fn ofd_locks_exclude_open_files(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let (a, b) = (open(&path, libc::O_RDWR, 0)?, open(&path, libc::O_RDWR, 0)?);
    let set = |fd: i32, lock: &libc::flock| sys!(SYS_fcntl, fd, libc::F_OFD_SETLK, lock);
    set(a, &range(libc::F_WRLCK, 0, 10))?;
    check_errno!(set(b, &range(libc::F_WRLCK, 9, 1)), EAGAIN);
    set(b, &range(libc::F_WRLCK, 10, 1))?;
    let mut lock = range(libc::F_WRLCK, 0, 0);
    sys!(SYS_fcntl, b, libc::F_OFD_GETLK, &mut lock)?;
    check_eq!((lock.l_len, lock.l_pid), (10, -1), "length and holder of the lock found");
    lock.l_pid = 5;
    check_errno!(set(b, &lock), EINVAL);
    close(a)?;
    set(b, &range(libc::F_WRLCK, 0, 0))?;
    Ok(())
}

fn released_at_exit(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    in_child(|| {
        let fd = open(&path, libc::O_RDWR, 0)?;
        set(fd, libc::F_WRLCK, 0, 0)?;
        flock(fd, libc::LOCK_EX)?;
        Ok(())
    })?;
    let fd = open(&path, libc::O_RDWR, 0)?;
    flock(fd, libc::LOCK_EX | TRY)?;
    check_eq!(conflict(fd, 0, 0)?.0, libc::F_UNLCK, "record lock left");
    calls::unlink(&path)?;
    Ok(())
}
