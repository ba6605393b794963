//! pipe(2), FIFOs (fifo(7)), splice(2), tee(2).

use crate::calls::{self, close, fcntl, open, pipe, read, ready, write};
use crate::case::{Case, Outcome, child, reap, until_asleep};
use crate::sys::BAD;
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "pipe";
    bytes_come_in_order: "what is written comes out, across read boundaries";
    empty_nonblocking_read_is_eagain: "an empty O_NONBLOCK pipe is EAGAIN, 0 without writers";
    full_nonblocking_write_is_eagain: "64 KiB fit, then EAGAIN";
    blocked_read_wakes_on_write: "a reader sleeps until there is something";
    blocked_write_wakes_on_read: "a writer sleeps until there is room";
    write_without_reader_is_epipe: "EPIPE and SIGPIPE when nobody can read";
    small_writes_are_atomic: "writes up to PIPE_BUF of several writers do not mix";
    no_room_for_atomic_write_is_eagain: "a nonblocking write of PIPE_BUF is whole or EAGAIN";
    large_write_is_partial: "a nonblocking write above PIPE_BUF may be partial";
    pipe2_flags: "O_CLOEXEC, O_NONBLOCK and O_DIRECT; others are EINVAL";
    bad_pointer_opens_nothing: "EFAULT leaves no descriptors behind";
    direct_keeps_packets: "O_DIRECT keeps the boundaries of writes";
    ends_are_one_way: "writing the reading end is EBADF";
    set_size: "F_SETPIPE_SZ rounds up, and refuses less than what is inside";
    poll_states: "POLLIN, POLLOUT, POLLHUP and POLLERR at each end";
    fifo_open_nonblocking: "a FIFO for reading opens at once, for writing is ENXIO";
    fifo_open_waits_for_other_end: "opening one end waits for the other";
    fifo_read_write_never_blocks: "O_RDWR on a FIFO opens at once";
    fifo_end_of_file_and_again: "a FIFO is at its end without writers, and lives again";
    fifo_is_one_pipe: "all openers of a FIFO share it";
    splice_moves_between_pipe_and_file: "splice between a pipe and a file, with offset";
    splice_errors: "splice's EINVAL, ESPIPE and EBADF";
    tee_duplicates: "tee copies without consuming";
    vmsplice_fills_pipe: "vmsplice puts memory into a pipe";
}

fn bytes_come_in_order(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    write(w, b"abc")?;
    write(w, b"defgh")?;
    let mut buffer = [0u8; 10];
    check_eq!(read(r, &mut buffer[..2])?, 2, "first read");
    check_eq!(read(r, &mut buffer[2..])?, 6, "second read");
    check_eq!(&buffer[..8], b"abcdefgh", "bytes");
    Ok(())
}

fn empty_nonblocking_read_is_eagain(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    check_errno!(read(r, &mut [0]), EAGAIN);
    write(w, b"x")?;
    close(w)?;
    check_eq!(read(r, &mut [0])?, 1, "bytes left");
    check_eq!(read(r, &mut [0])?, 0, "end");
    Ok(())
}

fn fill(w: i32) -> Outcome<usize> {
    let mut total = 0;
    loop {
        match write(w, &[b'f'; 4096]) {
            Ok(n) => total += n,
            Err(errno) => {
                check_eq!(errno.0, libc::EAGAIN, "errno of a full pipe");
                return Ok(total);
            }
        }
    }
}

fn full_nonblocking_write_is_eagain(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    let size = fcntl(r, libc::F_GETPIPE_SZ, 0)?;
    check_eq!(fill(w)?, size, "bytes that fit");
    check_errno!(write(w, b"x"), EAGAIN);
    check_eq!(write(w, b"")?, 0, "a write of nothing");
    Ok(())
}

fn blocked_read_wakes_on_write(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let pid = child(|| {
        close(w)?;
        let mut buffer = [0u8; 8];
        check_eq!(read(r, &mut buffer)?, 3, "bytes read");
        check_eq!(read(r, &mut buffer)?, 0, "end");
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    write(w, b"abc")?;
    until_asleep(pid, pid)?;
    close(w)?;
    reap(pid)
}

fn blocked_write_wakes_on_read(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let size = fcntl(r, libc::F_GETPIPE_SZ, 0)?;
    let pid = child(|| {
        check_eq!(write(w, &vec![b'x'; 2 * size])?, 2 * size, "bytes written in one call");
        Ok(())
    })?;
    close(w)?;
    until_asleep(pid, pid)?;
    let mut buffer = vec![0u8; 50_000];
    let mut total = 0;
    loop {
        match read(r, &mut buffer)? {
            0 => break,
            n => total += n,
        }
    }
    check_eq!(total, 2 * size, "bytes read");
    reap(pid)
}

fn write_without_reader_is_epipe(_: &mut Case) -> Outcome {
    sys::ignore(libc::SIGPIPE)?;
    let (r, w) = pipe(0)?;
    close(r)?;
    check_errno!(write(w, b"x"), EPIPE);
    sys::mask(libc::SIG_BLOCK, sys::bit(libc::SIGPIPE))?;
    sys::default_action(libc::SIGPIPE)?;
    check_errno!(write(w, b"x"), EPIPE);
    let mut set = 0u64;
    sys!(SYS_rt_sigpending, &mut set, 8)?;
    check_eq!(set, sys::bit(libc::SIGPIPE), "pending signals");
    Ok(())
}

fn small_writes_are_atomic(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let mut pids = Vec::new();
    for i in 0..3u8 {
        pids.push(child(|| {
            for _ in 0..40 {
                check_eq!(write(w, &[b'a' + i; 4096])?, 4096, "bytes written");
            }
            Ok(())
        })?);
    }
    close(w)?;
    let mut all = Vec::new();
    let mut buffer = vec![0u8; 10_000];
    loop {
        match read(r, &mut buffer)? {
            0 => break,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
    check_eq!(all.len(), 3 * 40 * 4096, "bytes read");
    check!(all.chunks(4096).all(|c| c.iter().all(|b| *b == c[0])), "unmixed writes");
    pids.into_iter().try_for_each(reap)
}

fn no_room_for_atomic_write_is_eagain(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    fill(w)?;
    read(r, &mut [0u8; 100])?;
    check_errno!(write(w, &[0; 4096]), EAGAIN);
    read(r, &mut [0u8; 4096])?;
    check_eq!(write(w, &[0; 4096])?, 4096, "bytes when there is room");
    Ok(())
}

fn large_write_is_partial(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    let size = fcntl(r, libc::F_GETPIPE_SZ, 0)?;
    check_eq!(write(w, &vec![0; size + 5000])?, size, "bytes written");
    Ok(())
}

fn pipe2_flags(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_CLOEXEC | libc::O_NONBLOCK)?;
    check_eq!((fcntl(r, libc::F_GETFD, 0)?, fcntl(w, libc::F_GETFD, 0)?), (1, 1), "FD_CLOEXEC");
    check_eq!(fcntl(r, libc::F_GETFL, 0)? as i32, libc::O_NONBLOCK, "flags of the reading end");
    let want = libc::O_NONBLOCK | libc::O_WRONLY;
    check_eq!(fcntl(w, libc::F_GETFL, 0)? as i32, want, "flags of the writing end");
    check_errno!(pipe(libc::O_APPEND), EINVAL);
    Ok(())
}

fn bad_pointer_opens_nothing(_: &mut Case) -> Outcome {
    let (before, _) = pipe(0)?;
    close(before)?;
    check_errno!(sys!(SYS_pipe2, BAD, 0), EFAULT);
    let (after, _) = pipe(0)?;
    check_eq!(after, before, "next free descriptor");
    Ok(())
}

fn direct_keeps_packets(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_DIRECT)?;
    write(w, b"one")?;
    write(w, b"three")?;
    let mut buffer = [0u8; 100];
    check_eq!(read(r, &mut buffer)?, 3, "first packet");
    // What does not fit is thrown away.
    check_eq!(read(r, &mut buffer[..2])?, 2, "second packet, cut");
    check_eq!(ready(r, libc::POLLIN)?, 0, "events afterwards");
    Ok(())
}

fn ends_are_one_way(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    check_errno!(write(r, b"x"), EBADF);
    check_errno!(read(w, &mut [0]), EBADF);
    Ok(())
}

fn set_size(_: &mut Case) -> Outcome {
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    check_eq!(fcntl(r, libc::F_SETPIPE_SZ, 5000)?, 8192, "size after rounding up");
    check_eq!(fill(w)?, 8192, "bytes that fit");
    check_errno!(fcntl(r, libc::F_SETPIPE_SZ, 4096), EBUSY);
    check_eq!(fcntl(w, libc::F_SETPIPE_SZ, 16_384)?, 16_384, "size after growing");
    check_eq!(fill(w)?, 8192, "bytes that fit then");
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    check_errno!(fcntl(null, libc::F_GETPIPE_SZ, 0), EBADF);
    Ok(())
}

fn poll_states(_: &mut Case) -> Outcome {
    let all = libc::POLLIN | libc::POLLOUT;
    let (r, w) = pipe(libc::O_NONBLOCK)?;
    check_eq!((ready(r, all)?, ready(w, all)?), (0, libc::POLLOUT), "an empty pipe");
    fill(w)?;
    check_eq!((ready(r, all)?, ready(w, all)?), (libc::POLLIN, 0), "a full pipe");
    close(w)?;
    check_eq!(ready(r, all)?, libc::POLLIN | libc::POLLHUP, "a full pipe without writers");
    let (r, w) = pipe(0)?;
    close(w)?;
    check_eq!(ready(r, all)?, libc::POLLHUP, "an empty pipe without writers");
    let (r, w) = pipe(0)?;
    close(r)?;
    check_eq!(ready(w, all)?, libc::POLLOUT | libc::POLLERR, "a pipe without readers");
    Ok(())
}

fn fifo(c: &mut Case) -> Outcome<String> {
    let path = c.path("fifo")?;
    sys!(SYS_mknod, &calls::cstr(&path), libc::S_IFIFO | 0o600, 0)?;
    Ok(path)
}

fn fifo_open_nonblocking(c: &mut Case) -> Outcome {
    let path = fifo(c)?;
    check_errno!(open(&path, libc::O_WRONLY | libc::O_NONBLOCK, 0), ENXIO);
    let r = open(&path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
    check_eq!(read(r, &mut [0])?, 0, "read before any writer");
    check_eq!(ready(r, libc::POLLIN)?, 0, "events before any writer");
    let w = open(&path, libc::O_WRONLY | libc::O_NONBLOCK, 0)?;
    check_errno!(read(r, &mut [0]), EAGAIN);
    write(w, b"ab")?;
    check_eq!(read(r, &mut [0; 4])?, 2, "bytes read");
    Ok(())
}

fn fifo_open_waits_for_other_end(c: &mut Case) -> Outcome {
    let path = fifo(c)?;
    let pid = child(|| {
        let w = open(&path, libc::O_WRONLY, 0)?;
        write(w, b"hello")?;
        Ok(())
    })?;
    until_asleep(pid, pid)?;
    let r = open(&path, libc::O_RDONLY, 0)?;
    check_eq!(read(r, &mut [0; 8])?, 5, "bytes read");
    reap(pid)
}

fn fifo_read_write_never_blocks(c: &mut Case) -> Outcome {
    let fd = open(&fifo(c)?, libc::O_RDWR, 0)?;
    write(fd, b"self")?;
    check_eq!(read(fd, &mut [0; 8])?, 4, "bytes read");
    Ok(())
}

fn fifo_end_of_file_and_again(c: &mut Case) -> Outcome {
    let path = fifo(c)?;
    let r = open(&path, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
    for _ in 0..2 {
        let w = open(&path, libc::O_WRONLY, 0)?;
        write(w, b"x")?;
        close(w)?;
        check_eq!(read(r, &mut [0])?, 1, "bytes read");
        check_eq!(read(r, &mut [0])?, 0, "end");
        check_eq!(ready(r, libc::POLLIN)?, libc::POLLHUP, "events at the end");
    }
    Ok(())
}

fn fifo_is_one_pipe(c: &mut Case) -> Outcome {
    let path = fifo(c)?;
    let a = open(&path, libc::O_RDWR, 0)?;
    let b = open(&path, libc::O_RDONLY, 0)?;
    let w = open(&path, libc::O_WRONLY, 0)?;
    write(w, b"12345")?;
    check_eq!(read(a, &mut [0; 2])?, 2, "bytes by the first opener");
    check_eq!(read(b, &mut [0; 8])?, 3, "bytes by the second");
    check_eq!(calls::fstat(a)?.st_ino, calls::stat(&path)?.st_ino, "inode");
    Ok(())
}

fn splice_moves_between_pipe_and_file(c: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let fd = c.open_file("f")?;
    write(fd, b"0123456789")?;
    let mut offset = 3i64;
    check_eq!(sys!(SYS_splice, fd, &mut offset, w, 0, 4, 0)?, 4, "file to pipe");
    check_eq!(offset, 7, "offset");
    let to = c.open_file("to")?;
    check_eq!(sys!(SYS_splice, r, 0, to, 0, 100, 0)?, 4, "pipe to file");
    check_eq!(std::fs::read(c.path("to")?)?, b"3456", "contents");
    let (r2, w2) = pipe(0)?;
    write(w, b"pipes")?;
    check_eq!(sys!(SYS_splice, r, 0, w2, 0, 3, 0)?, 3, "pipe to pipe");
    check_eq!(read(r2, &mut [0; 8])?, 3, "bytes in the second pipe");
    Ok(())
}

fn splice_errors(c: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let fd = c.open_file("f")?;
    let mut offset = 0i64;
    check_errno!(sys!(SYS_splice, fd, 0, fd, 0, 1, 0), EINVAL);
    check_errno!(sys!(SYS_splice, r, &mut offset, fd, 0, 1, 0), ESPIPE);
    check_errno!(sys!(SYS_splice, 999, 0, w, 0, 1, 0), EBADF);
    check_errno!(sys!(SYS_splice, r, 0, w, 0, 1, 0), EINVAL);
    check_errno!(sys!(SYS_splice, r, 0, fd, 0, 1, 0x100), EINVAL);
    check_eq!(sys!(SYS_splice, 999, 0, 999, 0, 0, 0)?, 0, "splice of nothing");
    let nonblock = libc::SPLICE_F_NONBLOCK;
    check_errno!(sys!(SYS_splice, r, 0, fd, 0, 1, nonblock), EAGAIN);
    Ok(())
}

fn tee_duplicates(_: &mut Case) -> Outcome {
    let ((r, w), (r2, w2)) = (pipe(0)?, pipe(0)?);
    write(w, b"abcdef")?;
    check_eq!(sys!(SYS_tee, r, w2, 4, 0)?, 4, "tee");
    let mut buffer = [0u8; 8];
    check_eq!(read(r2, &mut buffer)?, 4, "bytes copied");
    check_eq!(read(r, &mut buffer)?, 6, "bytes still in the source");
    check_errno!(sys!(SYS_tee, r, w, 1, 0), EINVAL);
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    check_errno!(sys!(SYS_tee, null, w, 1, 0), EINVAL);
    check_errno!(sys!(SYS_tee, r, w2, 1, libc::SPLICE_F_NONBLOCK), EAGAIN);
    Ok(())
}

fn vmsplice_fills_pipe(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    let data = b"gathered";
    let vector = [data.as_ptr().expose_provenance(), data.len()];
    check_eq!(sys!(SYS_vmsplice, w, &vector, 1, 0)?, 8, "vmsplice");
    let mut buffer = [0u8; 8];
    read(r, &mut buffer)?;
    check_eq!(&buffer, data, "bytes");
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    check_errno!(sys!(SYS_vmsplice, null, &vector, 1, 0), EBADF);
    Ok(())
}
