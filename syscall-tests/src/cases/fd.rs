//! Descriptors: dup(2), dup3(2), fcntl(2), close(2), close_range(2), ioctl(2) on any of them.

use crate::calls::{self, close, fcntl, open, pipe, read, write};
use crate::case::{Case, Outcome, in_child};
use crate::sys::BAD;
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "fd";
    dup_shares_offset_and_flags: "dup shares offset and status flags, not FD_CLOEXEC";
    dup2_replaces_silently: "dup2 closes its target first";
    dup2_same_descriptor: "dup2 onto itself gives it back, or EBADF if it is closed";
    dup3_same_descriptor_is_einval: "dup3 onto itself is EINVAL, also for unknown flags";
    dup_errors: "dup of a closed descriptor and dup2 to a negative one are EBADF";
    dupfd_gives_lowest_at_least: "F_DUPFD gives the lowest free one from its argument on";
    dupfd_bad_minimum_is_einval: "F_DUPFD beyond the limit is EINVAL";
    fcntl_unknown_is_einval: "an unknown command is EINVAL, a closed descriptor EBADF first";
    setfl_changes_only_status_flags: "F_SETFL ignores the access mode and creation flags";
    setfd_knows_cloexec: "F_SETFD sets FD_CLOEXEC alone";
    close_twice_is_ebadf: "the second close is EBADF";
    close_range_closes: "close_range closes a range, and tolerates holes";
    close_range_cloexec_and_errors: "CLOSE_RANGE_CLOEXEC marks; wrong order and flags are EINVAL";
    last_close_ends_pipe: "a pipe ends only when all copies are closed";
    fionread_counts_bytes: "FIONREAD counts what can be read";
    fionbio_and_fioclex: "FIONBIO, FIOCLEX and FIONCLEX set their flags";
    ioctl_unknown_is_enotty: "terminal requests on files and pipes are ENOTTY";
    setown_and_getown: "F_SETOWN and F_GETOWN keep a process or group";
    setsig_and_getsig: "F_SETSIG keeps a signal, EINVAL for none";
    pidfd_getfd_copies: "pidfd_getfd copies a descriptor of a child";
    kcmp_tells_same_file: "descriptors of one open file are equal by kcmp";
}

fn dup_shares_offset_and_flags(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    write(fd, b"abcdef")?;
    fcntl(fd, libc::F_SETFD, 1)?;
    let copy = sys!(SYS_dup, fd)? as i32;
    calls::lseek(copy, 2, libc::SEEK_SET)?;
    check_eq!(calls::lseek(fd, 0, libc::SEEK_CUR)?, 2, "offset");
    fcntl(copy, libc::F_SETFL, i64::from(libc::O_APPEND))?;
    check!(fcntl(fd, libc::F_GETFL, 0)? as i32 & libc::O_APPEND != 0, "O_APPEND to be shared");
    check_eq!(fcntl(copy, libc::F_GETFD, 0)?, 0, "FD_CLOEXEC of the copy");
    Ok(())
}

fn dup2_replaces_silently(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let null = open("/dev/null", libc::O_RDONLY, 0)?;
    check_eq!(sys!(SYS_dup2, null, w)?, w as usize, "dup2");
    check_eq!(read(r, &mut [0])?, 0, "read when the writer was replaced");
    check_eq!(sys!(SYS_dup2, null, 150)?, 150, "dup2 to a high number");
    Ok(())
}

fn dup2_same_descriptor(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY | libc::O_CLOEXEC, 0)?;
    check_eq!(sys!(SYS_dup2, fd, fd)?, fd as usize, "dup2");
    check_eq!(fcntl(fd, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC, which stays");
    check_errno!(sys!(SYS_dup2, 999, 999), EBADF);
    Ok(())
}

fn dup3_same_descriptor_is_einval(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    check_errno!(sys!(SYS_dup3, fd, fd, 0), EINVAL);
    check_errno!(sys!(SYS_dup3, 999, 999, 0), EINVAL);
    check_errno!(sys!(SYS_dup3, fd, fd + 1, libc::O_NONBLOCK), EINVAL);
    let copy = sys!(SYS_dup3, fd, 120, libc::O_CLOEXEC)? as i32;
    check_eq!(fcntl(copy, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    Ok(())
}

fn dup_errors(_: &mut Case) -> Outcome {
    check_errno!(sys!(SYS_dup, 999), EBADF);
    check_errno!(sys!(SYS_dup, -1), EBADF);
    check_errno!(sys!(SYS_dup2, 999, 5), EBADF);
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    check_errno!(sys!(SYS_dup2, fd, -1), EBADF);
    check_errno!(sys!(SYS_dup2, fd, i32::MAX), EBADF);
    Ok(())
}

fn dupfd_gives_lowest_at_least(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    check_eq!(fcntl(fd, libc::F_DUPFD, 200)?, 200, "F_DUPFD");
    check_eq!(fcntl(fd, libc::F_DUPFD, 200)?, 201, "F_DUPFD again");
    check_eq!(fcntl(fd, libc::F_DUPFD_CLOEXEC, 200)?, 202, "F_DUPFD_CLOEXEC");
    check_eq!(fcntl(202, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    Ok(())
}

fn dupfd_bad_minimum_is_einval(_: &mut Case) -> Outcome {
    check_errno!(fcntl(0, libc::F_DUPFD, -1), EINVAL);
    check_errno!(fcntl(0, libc::F_DUPFD, i64::from(i32::MAX)), EINVAL);
    Ok(())
}

fn fcntl_unknown_is_einval(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    check_errno!(fcntl(fd, 7777, 0), EINVAL);
    check_errno!(fcntl(999, 7777, 0), EBADF);
    Ok(())
}

fn setfl_changes_only_status_flags(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    let flags = libc::O_NONBLOCK | libc::O_RDWR | libc::O_CREAT;
    fcntl(fd, libc::F_SETFL, i64::from(flags))?;
    let got = fcntl(fd, libc::F_GETFL, 0)? as i32 & !0x8000;
    check_eq!(got, libc::O_RDONLY | libc::O_NONBLOCK, "F_GETFL");
    fcntl(fd, libc::F_SETFL, 0)?;
    check_eq!(fcntl(fd, libc::F_GETFL, 0)? as i32 & !0x8000, 0, "F_GETFL after clearing");
    Ok(())
}

fn setfd_knows_cloexec(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    fcntl(fd, libc::F_SETFD, 0xff)?;
    check_eq!(fcntl(fd, libc::F_GETFD, 0)?, 1, "F_GETFD");
    fcntl(fd, libc::F_SETFD, 2)?;
    check_eq!(fcntl(fd, libc::F_GETFD, 0)?, 0, "F_GETFD after clearing");
    Ok(())
}

fn close_twice_is_ebadf(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    close(fd)?;
    check_errno!(close(fd), EBADF);
    check_errno!(close(-1), EBADF);
    Ok(())
}

fn close_range_closes(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    for target in [300, 301, 305, 310] {
        sys!(SYS_dup2, fd, target)?;
    }
    sys!(SYS_close_range, 301, 309, 0)?;
    let open = [300, 301, 305, 310].map(|fd| fcntl(fd, libc::F_GETFD, 0).is_ok());
    check_eq!(open, [true, false, false, true], "300, 301, 305 and 310 open");
    sys!(SYS_close_range, 302, u32::MAX, 0)?;
    check_errno!(close(310), EBADF);
    Ok(())
}

fn close_range_cloexec_and_errors(_: &mut Case) -> Outcome {
    let fd = open("/dev/null", libc::O_RDONLY, 0)?;
    sys!(SYS_dup2, fd, 300)?;
    sys!(SYS_close_range, 300, 400, libc::CLOSE_RANGE_CLOEXEC)?;
    check_eq!(fcntl(300, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    check_errno!(sys!(SYS_close_range, 10, 9, 0), EINVAL);
    check_errno!(sys!(SYS_close_range, 400, 401, 0x80), EINVAL);
    Ok(())
}

fn last_close_ends_pipe(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    let copy = sys!(SYS_dup, w)? as i32;
    close(w)?;
    check_errno!(read(r, &mut [0]), EAGAIN);
    close(copy)?;
    check_eq!(read(r, &mut [0])?, 0, "read when all writers are closed");
    Ok(())
}

fn fionread_counts_bytes(c: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    write(w, b"12345")?;
    let mut count = 0i32;
    sys!(SYS_ioctl, r, libc::FIONREAD, &mut count)?;
    check_eq!(count, 5, "bytes in the pipe");
    let fd = c.open_file("f")?;
    write(fd, b"0123456789")?;
    calls::lseek(fd, 3, libc::SEEK_SET)?;
    sys!(SYS_ioctl, fd, libc::FIONREAD, &mut count)?;
    check_eq!(count, 7, "bytes left in the file");
    check_errno!(sys!(SYS_ioctl, r, libc::FIONREAD, BAD), EFAULT);
    Ok(())
}

fn fionbio_and_fioclex(_: &mut Case) -> Outcome {
    let (r, _w) = pipe(0)?;
    sys!(SYS_ioctl, r, libc::FIONBIO, &1i32)?;
    check_errno!(read(r, &mut [0]), EAGAIN);
    sys!(SYS_ioctl, r, libc::FIONBIO, &0i32)?;
    check_eq!(fcntl(r, libc::F_GETFL, 0)?, 0, "F_GETFL");
    sys!(SYS_ioctl, r, libc::FIOCLEX)?;
    check_eq!(fcntl(r, libc::F_GETFD, 0)?, 1, "F_GETFD after FIOCLEX");
    sys!(SYS_ioctl, r, libc::FIONCLEX)?;
    check_eq!(fcntl(r, libc::F_GETFD, 0)?, 0, "F_GETFD after FIONCLEX");
    Ok(())
}

fn ioctl_unknown_is_enotty(c: &mut Case) -> Outcome {
    let fd = c.open_file("f")?;
    let mut space = [0u8; 256];
    check_errno!(sys!(SYS_ioctl, fd, libc::TCGETS, &mut space), ENOTTY);
    let (r, _w) = pipe(0)?;
    check_errno!(sys!(SYS_ioctl, r, libc::TIOCGWINSZ, &mut space), ENOTTY);
    check_errno!(sys!(SYS_ioctl, 999, libc::TCGETS, &mut space), EBADF);
    Ok(())
}

fn setown_and_getown(_: &mut Case) -> Outcome {
    let (r, _w) = pipe(0)?;
    check_eq!(fcntl(r, libc::F_GETOWN, 0)?, 0, "owner at first");
    let me = calls::getpid();
    fcntl(r, libc::F_SETOWN, i64::from(me))?;
    check_eq!(fcntl(r, libc::F_GETOWN, 0)?, me as usize, "owner");
    check_errno!(fcntl(r, libc::F_SETOWN, 0x3f_ffff), ESRCH);
    Ok(())
}

// Not in libc for this target.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;

fn setsig_and_getsig(_: &mut Case) -> Outcome {
    let (r, _w) = pipe(0)?;
    fcntl(r, F_SETSIG, 40)?;
    check_eq!(fcntl(r, F_GETSIG, 0)?, 40, "F_GETSIG");
    check_errno!(fcntl(r, F_SETSIG, 65), EINVAL);
    Ok(())
}

fn pidfd_getfd_copies(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let (hold, release) = pipe(0)?;
    let pid = crate::case::child(|| {
        close(release)?;
        // The writing end exists in the child only, at a number of its own.
        sys!(SYS_dup2, w, 99)?;
        write(99, b"r")?;
        read(hold, &mut [0])?;
        Ok(())
    })?;
    close(w)?;
    read(r, &mut [0])?;
    let pidfd = sys!(SYS_pidfd_open, pid, 0)? as i32;
    let copied = sys!(SYS_pidfd_getfd, pidfd, 99, 0);
    check_errno!(sys!(SYS_pidfd_getfd, pidfd, 500, 0), EBADF);
    close(release)?;
    crate::case::reap(pid)?;
    let copied = match copied {
        Err(errno) if errno.0 == libc::EPERM => {
            return crate::case::skip("tracing children is not permitted here");
        }
        other => other? as i32,
    };
    check_eq!(fcntl(copied, libc::F_GETFD, 0)?, 1, "FD_CLOEXEC");
    write(copied, b"z")?;
    let mut byte = [0u8];
    read(r, &mut byte)?;
    check_eq!(&byte, b"z", "byte through the copy");
    Ok(())
}

fn kcmp_tells_same_file(_: &mut Case) -> Outcome {
    const KCMP_FILE: i32 = 0;
    let a = open("/dev/null", libc::O_RDONLY, 0)?;
    let b = sys!(SYS_dup, a)? as i32;
    let c = open("/dev/null", libc::O_RDONLY, 0)?;
    let me = calls::getpid();
    match sys!(SYS_kcmp, me, me, KCMP_FILE, a, b) {
        Err(errno) if errno.0 == libc::ENOSYS || errno.0 == libc::EPERM => {
            return crate::case::skip("kcmp is not there, or not permitted");
        }
        other => check_eq!(other?, 0, "kcmp of copies"),
    }
    check!(sys!(SYS_kcmp, me, me, KCMP_FILE, a, c)? != 0, "another open file to differ");
    in_child(|| {
        let (own, parent) = (calls::getpid(), calls::getppid());
        check_eq!(sys!(SYS_kcmp, own, parent, KCMP_FILE, a, a)?, 0, "kcmp with the parent");
        Ok(())
    })
}
