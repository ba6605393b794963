//! Moving bytes in files: read(2), write(2), lseek(2), readv(2), sendfile(2), fallocate(2).

use crate::calls::{self, lseek, open, pipe, read, write};
use crate::case::{Case, Outcome, skip};
use crate::sys::{BAD, PAGE, Region};
use crate::{cases, check, check_eq, check_errno, sys};

cases! { "io";
    read_stops_at_end: "read gives what is there, then 0";
    zero_length_checks_little: "length 0 works at the end, but not on a bad descriptor";
    bad_buffer_is_efault: "bad buffers are EFAULT and move nothing";
    partly_bad_buffer_is_partial: "a buffer that ends in a hole gives a partial read";
    negative_length_is_einval_or_efault: "lengths beyond SSIZE_MAX fail";
    pread_leaves_offset: "pread and pwrite leave the offset; negative offsets are EINVAL";
    pread_on_pipe_is_espipe: "pread, pwrite and lseek on a pipe are ESPIPE";
    write_beyond_end_makes_hole: "a write beyond the end leaves zeros between";
    readv_fills_in_order: "readv fills its buffers in order, writev empties them";
    iovec_limits: "too many vectors, negative lengths and sums are EINVAL";
    preadv2_flags: "preadv2 with offset -1 uses the offset; unknown flags are EOPNOTSUPP";
    rwf_append_appends: "pwritev2 with RWF_APPEND writes at the end";
    lseek_whence: "SEEK_SET, SEEK_CUR, SEEK_END, and EINVAL for the rest";
    lseek_data_and_hole: "SEEK_DATA and SEEK_HOLE find data and the hole at the end";
    lseek_beyond_end_is_allowed: "the offset may be beyond the end, read gives 0 there";
    ftruncate_grows_and_shrinks: "ftruncate cuts, and grows with zeros";
    truncate_errors: "truncate's EINVAL, EISDIR, ENOENT and EFBIG or EINVAL for huge lengths";
    fallocate_extends: "fallocate grows the file, KEEP_SIZE does not";
    fallocate_punch_hole_zeroes: "PUNCH_HOLE zeroes without changing the size";
    fallocate_errors: "fallocate's EINVAL, EBADF and ESPIPE";
    sendfile_copies: "sendfile from file to file and pipe, with and without offset";
    sendfile_errors: "sendfile's EBADF and EINVAL";
    copy_file_range_copies: "copy_file_range with offsets, and within one file";
    copy_file_range_errors: "overlapping ranges, flags and wrong descriptors";
    large_file_offsets: "offsets beyond 4 GiB work";
    fsync_on_pipe_is_einval: "fsync works on files, is EINVAL on a pipe";
    dev_null_and_zero: "/dev/null swallows and is empty, /dev/zero gives zeros";
    dev_full_is_enospc: "/dev/full refuses writes with ENOSPC";
    write_updates_times: "a write moves mtime and ctime forward";
    concurrent_appends_do_not_overlap: "O_APPEND writes of two processes never overwrite";
    readahead_and_fadvise: "posix_fadvise takes known advice only, ESPIPE on a pipe";
}

fn contents(c: &mut Case, bytes: &[u8]) -> Outcome<i32> {
    let path = c.file("f", bytes)?;
    Ok(open(&path, libc::O_RDWR, 0)?)
}

fn read_stops_at_end(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abcde")?;
    let mut buffer = [0u8; 8];
    check_eq!(read(fd, &mut buffer[..3])?, 3, "first read");
    check_eq!(read(fd, &mut buffer[3..])?, 2, "second read");
    check_eq!(read(fd, &mut buffer)?, 0, "read at the end");
    check_eq!(&buffer, b"abcde\0\0\0", "bytes");
    Ok(())
}

fn zero_length_checks_little(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    check_eq!(sys!(SYS_read, fd, 0, 0)?, 0, "read of nothing");
    check_eq!(sys!(SYS_write, fd, 0, 0)?, 0, "write of nothing");
    check_errno!(sys!(SYS_read, 999, 0, 0), EBADF);
    check_errno!(sys!(SYS_write, 999, 0, 0), EBADF);
    Ok(())
}

fn bad_buffer_is_efault(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    check_errno!(sys!(SYS_read, fd, BAD, 3), EFAULT);
    check_errno!(sys!(SYS_read, fd, sys::KERNEL_ADDRESS, 3), EFAULT);
    check_errno!(sys!(SYS_write, fd, BAD, 3), EFAULT);
    check_eq!(lseek(fd, 0, libc::SEEK_CUR)?, 0, "offset");
    check_eq!(calls::fstat(fd)?.st_size, 3, "size");
    Ok(())
}

fn partly_bad_buffer_is_partial(c: &mut Case) -> Outcome {
    let fd = contents(c, &[b'x'; 100])?;
    let region = Region::private(2 * PAGE)?;
    sys!(SYS_munmap, region.base + PAGE, PAGE)?;
    let got = sys!(SYS_read, fd, region.base + PAGE - 10, 100);
    check!(got == Ok(10) || got == Err(sys::Errno(libc::EFAULT)), "10 or EFAULT, got {got:?}");
    if got == Ok(10) {
        check_eq!(lseek(fd, 0, libc::SEEK_CUR)?, 10, "offset");
    }
    Ok(())
}

fn negative_length_is_einval_or_efault(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    check_errno!(sys!(SYS_read, fd, BAD, -1), EFAULT);
    check_errno!(sys!(SYS_pread64, fd, &mut [0u8; 3], i64::MIN, 0), EFAULT);
    Ok(())
}

fn pread_leaves_offset(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abcdef")?;
    let mut buffer = [0u8; 2];
    check_eq!(sys!(SYS_pread64, fd, &mut buffer, 2, 3)?, 2, "pread");
    check_eq!(&buffer, b"de", "bytes");
    check_eq!(sys!(SYS_pwrite64, fd, b"X", 1, 8)?, 1, "pwrite");
    check_eq!(lseek(fd, 0, libc::SEEK_CUR)?, 0, "offset");
    check_eq!(std::fs::read(c.path("f")?)?, b"abcdef\0\0X", "contents");
    check_eq!(sys!(SYS_pread64, fd, &mut buffer, 2, 100)?, 0, "pread beyond the end");
    check_errno!(sys!(SYS_pread64, fd, &mut buffer, 2, -1), EINVAL);
    check_errno!(sys!(SYS_pwrite64, fd, b"x", 1, -1), EINVAL);
    Ok(())
}

fn pread_on_pipe_is_espipe(_: &mut Case) -> Outcome {
    let (r, w) = pipe(0)?;
    check_errno!(sys!(SYS_pread64, r, &mut [0u8], 1, 0), ESPIPE);
    check_errno!(sys!(SYS_pwrite64, w, b"x", 1, 0), ESPIPE);
    check_errno!(lseek(r, 0, libc::SEEK_CUR), ESPIPE);
    check_errno!(lseek(999, 0, libc::SEEK_CUR), EBADF);
    Ok(())
}

fn write_beyond_end_makes_hole(c: &mut Case) -> Outcome {
    let fd = contents(c, b"ab")?;
    lseek(fd, 10_000, libc::SEEK_SET)?;
    write(fd, b"z")?;
    let all = std::fs::read(c.path("f")?)?;
    check_eq!(all.len(), 10_001, "size");
    check!(all[2..10_000].iter().all(|b| *b == 0), "zeros in the hole");
    Ok(())
}

fn vector(buffer: &[u8]) -> [usize; 2] {
    [buffer.as_ptr().expose_provenance(), buffer.len()]
}

fn vector_mut(buffer: &mut [u8]) -> [usize; 2] {
    [buffer.as_mut_ptr().expose_provenance(), buffer.len()]
}

fn readv_fills_in_order(c: &mut Case) -> Outcome {
    let fd = contents(c, b"")?;
    let out = [vector(b"one"), vector(b""), vector(b"twelve")];
    check_eq!(sys!(SYS_writev, fd, &out, 3)?, 9, "writev");
    lseek(fd, 0, libc::SEEK_SET)?;
    let (mut a, mut b) = ([0u8; 2], [0u8; 20]);
    let into = [vector_mut(&mut a), vector_mut(&mut b)];
    check_eq!(sys!(SYS_readv, fd, &into, 2)?, 9, "readv");
    let (a, b) = (std::hint::black_box(a), std::hint::black_box(b));
    check_eq!((&a, &b[..7]), (b"on", &b"etwelve"[..]), "bytes");
    check_eq!(sys!(SYS_preadv, fd, &into, 2, 8, 0)?, 1, "preadv");
    Ok(())
}

fn iovec_limits(c: &mut Case) -> Outcome {
    let fd = contents(c, b"")?;
    let many = vec![[0usize, 0]; 1025];
    let flat: Vec<usize> = many.concat();
    check_eq!(sys!(SYS_writev, fd, &flat[..], 1024)?, 0, "1024 empty vectors");
    check_errno!(sys!(SYS_writev, fd, &flat[..], 1025), EINVAL);
    check_errno!(sys!(SYS_writev, fd, &flat[..], -1), EINVAL);
    check_eq!(sys!(SYS_writev, fd, BAD, 0)?, 0, "no vectors at all");
    check_errno!(sys!(SYS_writev, fd, BAD, 1), EFAULT);
    check_errno!(sys!(SYS_writev, fd, &[BAD, usize::MAX], 1), EINVAL);
    // The first bad buffer ends the transfer.
    let partly = [vector(b"ok"), [BAD, 5]];
    let got = sys!(SYS_writev, fd, &partly, 2);
    check!(got == Ok(2) || got == Err(sys::Errno(libc::EFAULT)), "2 or EFAULT, got {got:?}");
    Ok(())
}

fn preadv2_flags(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abcdef")?;
    let mut buffer = [0u8; 3];
    let into = [vector_mut(&mut buffer)];
    check_eq!(sys!(SYS_preadv2, fd, &into, 1, -1, -1, 0)?, 3, "preadv2 at the offset");
    check_eq!(lseek(fd, 0, libc::SEEK_CUR)?, 3, "offset");
    check_errno!(sys!(SYS_preadv2, fd, &into, 1, 0, 0, 0x4000_0000), EOPNOTSUPP);
    check_errno!(sys!(SYS_preadv2, fd, &into, 1, -5, -1, 0), EINVAL);
    Ok(())
}

fn rwf_append_appends(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    const RWF_APPEND: i32 = 0x10;
    let from = [vector(b"de")];
    check_eq!(sys!(SYS_pwritev2, fd, &from, 1, 0, 0, RWF_APPEND)?, 2, "pwritev2");
    check_eq!(std::fs::read(c.path("f")?)?, b"abcde", "contents");
    Ok(())
}

fn lseek_whence(c: &mut Case) -> Outcome {
    let fd = contents(c, b"0123456789")?;
    check_eq!(lseek(fd, 4, libc::SEEK_SET)?, 4, "SEEK_SET");
    check_eq!(lseek(fd, -1, libc::SEEK_CUR)?, 3, "SEEK_CUR");
    check_eq!(lseek(fd, -2, libc::SEEK_END)?, 8, "SEEK_END");
    check_errno!(lseek(fd, -9, libc::SEEK_CUR), EINVAL);
    check_errno!(lseek(fd, 0, 9), EINVAL);
    check_errno!(lseek(fd, -1, libc::SEEK_SET), EINVAL);
    check_eq!(lseek(fd, 0, libc::SEEK_CUR)?, 8, "offset after the errors");
    Ok(())
}

fn lseek_data_and_hole(c: &mut Case) -> Outcome {
    let fd = contents(c, b"0123456789")?;
    check_eq!(lseek(fd, 3, libc::SEEK_DATA)?, 3, "SEEK_DATA inside data");
    check_eq!(lseek(fd, 3, libc::SEEK_HOLE)?, 10, "SEEK_HOLE: the one at the end");
    check_errno!(lseek(fd, 10, libc::SEEK_DATA), ENXIO);
    check_errno!(lseek(fd, 10, libc::SEEK_HOLE), ENXIO);
    check_errno!(lseek(fd, -1, libc::SEEK_DATA), ENXIO);
    Ok(())
}

fn lseek_beyond_end_is_allowed(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    check_eq!(lseek(fd, 1 << 30, libc::SEEK_SET)?, 1 << 30, "offset");
    check_eq!(read(fd, &mut [0])?, 0, "read there");
    check_eq!(calls::fstat(fd)?.st_size, 3, "size");
    Ok(())
}

fn ftruncate_grows_and_shrinks(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abcdef")?;
    sys!(SYS_ftruncate, fd, 2)?;
    sys!(SYS_ftruncate, fd, 5)?;
    check_eq!(std::fs::read(c.path("f")?)?, b"ab\0\0\0", "contents");
    check_eq!(lseek(fd, 0, libc::SEEK_CUR)?, 0, "offset");
    sys!(SYS_truncate, &calls::cstr(&c.path("f")?), 1)?;
    check_eq!(calls::fstat(fd)?.st_size, 1, "size after truncate");
    Ok(())
}

fn truncate_errors(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    check_errno!(sys!(SYS_ftruncate, fd, -1), EINVAL);
    check_errno!(sys!(SYS_ftruncate, 999, 0), EBADF);
    let dir = calls::cstr(&c.dir()?);
    check_errno!(sys!(SYS_truncate, &dir, 0), EISDIR);
    check_errno!(sys!(SYS_truncate, &dir, -1), EINVAL);
    check_errno!(sys!(SYS_truncate, &calls::cstr(&c.path("none")?), 0), ENOENT);
    let (r, _w) = pipe(0)?;
    check_errno!(sys!(SYS_ftruncate, r, 0), EINVAL);
    Ok(())
}

/// `fallocate`, skipping where the file system has no such thing.
fn fallocate(fd: i32, mode: i32, offset: i64, len: i64) -> Outcome {
    match sys!(SYS_fallocate, fd, mode, offset, len) {
        Err(errno) if errno.0 == libc::EOPNOTSUPP => skip("the file system lacks fallocate"),
        other => Ok(other.map(drop)?),
    }
}

fn fallocate_extends(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    fallocate(fd, 0, 0, 100)?;
    check_eq!(calls::fstat(fd)?.st_size, 100, "size");
    fallocate(fd, libc::FALLOC_FL_KEEP_SIZE, 0, 8192)?;
    let stat = calls::fstat(fd)?;
    check_eq!(stat.st_size, 100, "size after KEEP_SIZE");
    check!(stat.st_blocks >= 16, "16 blocks or more, got {}", stat.st_blocks);
    check_eq!(&std::fs::read(c.path("f")?)?[..4], b"abc\0", "contents");
    Ok(())
}

fn fallocate_punch_hole_zeroes(c: &mut Case) -> Outcome {
    let fd = contents(c, &[b'x'; 3 * PAGE])?;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    fallocate(fd, mode, 100, PAGE as i64 + 100)?;
    let all = std::fs::read(c.path("f")?)?;
    check_eq!(all.len(), 3 * PAGE, "size");
    let zeros = all.iter().filter(|b| **b == 0).count();
    check_eq!((zeros, all[99], all[PAGE + 200]), (PAGE + 100, b'x', b'x'), "zeros and edges");
    Ok(())
}

fn fallocate_errors(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    check_errno!(sys!(SYS_fallocate, fd, 0, 0, 0), EINVAL);
    check_errno!(sys!(SYS_fallocate, fd, 0, -1, 10), EINVAL);
    check_errno!(sys!(SYS_fallocate, 999, 0, 0, 10), EBADF);
    check_errno!(sys!(SYS_fallocate, fd, libc::FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
    let reading = open(&c.path("f")?, libc::O_RDONLY, 0)?;
    check_errno!(sys!(SYS_fallocate, reading, 0, 0, 10), EBADF);
    let (_r, w) = pipe(0)?;
    check_errno!(sys!(SYS_fallocate, w, 0, 0, 10), ESPIPE);
    Ok(())
}

fn sendfile_copies(c: &mut Case) -> Outcome {
    let from = contents(c, b"0123456789")?;
    let to = c.open_file("to")?;
    let mut offset = 2i64;
    check_eq!(sys!(SYS_sendfile, to, from, &mut offset, 4)?, 4, "sendfile with an offset");
    check_eq!((offset, lseek(from, 0, libc::SEEK_CUR)?), (6, 0), "offset given and file offset");
    check_eq!(sys!(SYS_sendfile, to, from, 0, 100)?, 10, "sendfile without");
    check_eq!(lseek(from, 0, libc::SEEK_CUR)?, 10, "file offset");
    check_eq!(sys!(SYS_sendfile, to, from, 0, 100)?, 0, "sendfile at the end");
    check_eq!(std::fs::read(c.path("to")?)?, b"23450123456789", "contents");
    let (r, w) = pipe(0)?;
    offset = 0;
    check_eq!(sys!(SYS_sendfile, w, from, &mut offset, 3)?, 3, "sendfile to a pipe");
    let mut buffer = [0u8; 5];
    check_eq!(read(r, &mut buffer)?, 3, "bytes in the pipe");
    Ok(())
}

fn sendfile_errors(c: &mut Case) -> Outcome {
    let file = contents(c, b"abc")?;
    let (r, w) = pipe(0)?;
    check_errno!(sys!(SYS_sendfile, 999, file, 0, 1), EBADF);
    check_errno!(sys!(SYS_sendfile, file, 999, 0, 1), EBADF);
    check_errno!(sys!(SYS_sendfile, r, file, 0, 1), EBADF);
    check_errno!(sys!(SYS_sendfile, w, file, BAD, 1), EFAULT);
    let append = open(&c.path("f")?, libc::O_WRONLY | libc::O_APPEND, 0)?;
    check_errno!(sys!(SYS_sendfile, append, file, 0, 1), EINVAL);
    Ok(())
}

fn copy_file_range_copies(c: &mut Case) -> Outcome {
    let from = contents(c, b"0123456789")?;
    let to = c.open_file("to")?;
    let (mut a, mut b) = (5i64, 1i64);
    check_eq!(sys!(SYS_copy_file_range, from, &mut a, to, &mut b, 3, 0)?, 3, "copied");
    check_eq!((a, b), (8, 4), "offsets");
    check_eq!(sys!(SYS_copy_file_range, from, 0, to, 0, 1, 0)?, 1, "copied at the offsets");
    check_eq!(std::fs::read(c.path("to")?)?, b"0567", "contents");
    (a, b) = (0, 20);
    check_eq!(sys!(SYS_copy_file_range, from, &mut a, from, &mut b, 2, 0)?, 2, "in one file");
    a = 100;
    check_eq!(sys!(SYS_copy_file_range, from, &mut a, to, &mut b, 5, 0)?, 0, "beyond the end");
    Ok(())
}

fn copy_file_range_errors(c: &mut Case) -> Outcome {
    let file = contents(c, b"0123456789")?;
    let (mut a, mut b) = (0i64, 2i64);
    check_errno!(sys!(SYS_copy_file_range, file, &mut a, file, &mut b, 5, 0), EINVAL);
    check_errno!(sys!(SYS_copy_file_range, file, &mut a, file, &mut b, 1, 1), EINVAL);
    check_errno!(sys!(SYS_copy_file_range, 999, 0, file, 0, 1, 0), EBADF);
    let (r, _w) = pipe(0)?;
    check_errno!(sys!(SYS_copy_file_range, r, 0, file, 0, 1, 0), EINVAL);
    let dir = open(&c.dir()?, libc::O_RDONLY, 0)?;
    check_errno!(sys!(SYS_copy_file_range, dir, 0, file, 0, 1, 0), EISDIR);
    let append = open(&c.path("f")?, libc::O_WRONLY | libc::O_APPEND, 0)?;
    check_errno!(sys!(SYS_copy_file_range, file, 0, append, 0, 1, 0), EBADF);
    Ok(())
}

fn large_file_offsets(c: &mut Case) -> Outcome {
    let fd = contents(c, b"")?;
    let far = 5i64 << 30;
    check_eq!(sys!(SYS_pwrite64, fd, b"far", 3, far)?, 3, "pwrite");
    check_eq!(calls::fstat(fd)?.st_size, far + 3, "size");
    let mut buffer = [0u8; 4];
    check_eq!(sys!(SYS_pread64, fd, &mut buffer, 4, far - 1)?, 4, "pread");
    check_eq!(&buffer, b"\0far", "bytes");
    let blocks = calls::fstat(fd)?.st_blocks;
    check!(blocks < 10_000, "a sparse file, got {blocks} blocks");
    Ok(())
}

fn fsync_on_pipe_is_einval(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    sys!(SYS_fdatasync, fd)?;
    let (r, _w) = pipe(0)?;
    check_errno!(sys!(SYS_fsync, r), EINVAL);
    check_errno!(sys!(SYS_fsync, 999), EBADF);
    Ok(())
}

fn dev_null_and_zero(_: &mut Case) -> Outcome {
    let null = open("/dev/null", libc::O_RDWR, 0)?;
    check_eq!(write(null, &[1; 5000])?, 5000, "write to /dev/null");
    check_eq!(read(null, &mut [0])?, 0, "read from /dev/null");
    let zero = open("/dev/zero", libc::O_RDWR, 0)?;
    let mut buffer = [1u8; 5000];
    check_eq!(read(zero, &mut buffer)?, 5000, "read from /dev/zero");
    check!(buffer.iter().all(|b| *b == 0), "zeros");
    check_eq!(write(zero, b"abc")?, 3, "write to /dev/zero");
    Ok(())
}

fn dev_full_is_enospc(_: &mut Case) -> Outcome {
    let full = open("/dev/full", libc::O_RDWR, 0)?;
    check_errno!(write(full, b"x"), ENOSPC);
    check_eq!(read(full, &mut [9])?, 1, "read from /dev/full");
    Ok(())
}

fn write_updates_times(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    let old = [calls::timespec(1_000_000_000), calls::timespec(1_000_000_000)];
    let old: Vec<i64> = old.iter().flat_map(|t| [t.tv_sec, t.tv_nsec]).collect();
    sys!(SYS_utimensat, fd, 0, &old[..], 0)?;
    check_eq!(calls::fstat(fd)?.st_mtime, 1, "mtime set");
    write(fd, b"x")?;
    let stat = calls::fstat(fd)?;
    check!(stat.st_mtime > 1_000_000, "a fresh mtime, got {}", stat.st_mtime);
    check!(stat.st_ctime > 1_000_000, "a fresh ctime, got {}", stat.st_ctime);
    check_eq!(stat.st_atime, 1, "atime");
    Ok(())
}

fn concurrent_appends_do_not_overlap(c: &mut Case) -> Outcome {
    let path = c.file("f", b"")?;
    let append = |byte: u8| {
        let fd = open(&path, libc::O_WRONLY | libc::O_APPEND, 0)?;
        for _ in 0..200 {
            check_eq!(write(fd, &[byte; 10])?, 10, "bytes appended");
        }
        Ok(())
    };
    let pid = crate::case::child(|| append(b'c'))?;
    append(b'p')?;
    crate::case::reap(pid)?;
    let all = std::fs::read(&path)?;
    check_eq!(all.len(), 4000, "size");
    check!(all.chunks(10).all(|c| c.iter().all(|b| *b == c[0])), "whole records only");
    Ok(())
}

fn readahead_and_fadvise(c: &mut Case) -> Outcome {
    let fd = contents(c, b"abc")?;
    sys!(SYS_fadvise64, fd, 0, 0, libc::POSIX_FADV_SEQUENTIAL)?;
    check_errno!(sys!(SYS_fadvise64, fd, 0, 0, 99), EINVAL);
    check_errno!(sys!(SYS_fadvise64, 999, 0, 0, 0), EBADF);
    let (r, _w) = pipe(0)?;
    check_errno!(sys!(SYS_fadvise64, r, 0, 0, 0), ESPIPE);
    Ok(())
}
