//! read(2), write(2) and their kin.

use super::blocking::retry;
use super::buffers::{Bounce, CHUNK, UserBuffers};
use crate::args::Flags;
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::signal::Signal;
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, Resource, SysError, TaskContext};
use net::{SocketFile, SocketKind};
use std::sync::Arc;
use vfs::{Fd, OpenFile};

/// How a transfer differs from plain read(2) and write(2).
#[derive(Clone, Copy, Default)]
struct How {
    /// At this offset, and without moving the position.
    at: Option<u64>,
    /// EAGAIN instead of waiting, whatever O_NONBLOCK says.
    nonblocking: bool,
    /// At the end, whatever O_APPEND says.
    append: bool,
    /// Not at the end, whatever O_APPEND says.
    noappend: bool,
    /// fsync(2) afterwards (Some), of the data only (Some(true)).
    sync: Option<bool>,
}

impl How {
    /// For preadv(2): EINVAL for an offset below zero.
    fn at(offset: i64) -> SysResult<How> {
        let at = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        Ok(How { at: Some(at), ..How::default() })
    }

    /// For preadv2(2), where -1 is the current position. EOPNOTSUPP for unknown flags.
    fn with_flags(offset: i64, flags: Flags) -> SysResult<How> {
        const HIPRI: u32 = 1;
        const DSYNC: u32 = 2;
        const SYNC: u32 = 4;
        const NOWAIT: u32 = 8;
        const APPEND: u32 = 0x10;
        const NOAPPEND: u32 = 0x20;
        const KNOWN: u32 = HIPRI | DSYNC | SYNC | NOWAIT | APPEND | NOAPPEND;
        let flags = flags.0;
        if flags & !KNOWN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let has = |flag| flags & flag != 0;
        if has(APPEND) && has(NOAPPEND) {
            return Err(Errno::EINVAL);
        }
        Ok(How {
            nonblocking: has(NOWAIT),
            append: has(APPEND),
            noappend: has(NOAPPEND),
            sync: (has(SYNC) || has(DSYNC)).then(|| !has(SYNC)),
            ..if offset == -1 { How::default() } else { How::at(offset)? }
        })
    }
}

/// ESPIPE for a stream, which has no offsets; looked at before the access mode.
fn check_seekable(file: &OpenFile, how: &How) -> SysResult<()> {
    if how.at.is_some() && !file.ops().is_seekable() { Err(Errno::ESPIPE) } else { Ok(()) }
}

/// read(2).
pub(crate) fn read(cx: &mut TaskContext<'_>, fd: Fd, buf: UserAddr, count: usize) -> CallResult {
    let file = cx.file(fd)?;
    file.check_readable()?;
    read_file(cx, &file, &UserBuffers::one(buf, count)?, How::default())
}

/// pread64(2).
pub(crate) fn pread64(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    buf: UserAddr,
    count: usize,
    offset: i64,
) -> CallResult {
    let how = How::at(offset)?;
    let file = cx.file(fd)?;
    check_seekable(&file, &how)?;
    file.check_readable()?;
    read_file(cx, &file, &UserBuffers::one(buf, count)?, how)
}

/// readv(2).
pub(crate) fn readv(cx: &mut TaskContext<'_>, fd: Fd, iov: UserAddr, count: usize) -> CallResult {
    read_vectors(cx, fd, iov, count, How::default())
}

/// preadv(2).
pub(crate) fn preadv(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
) -> CallResult {
    read_vectors(cx, fd, iov, count, How::at(offset)?)
}

/// preadv2(2). The high half of the offset is not used by 64-bit callers.
pub(crate) fn preadv2(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
    _high: i64,
    flags: Flags,
) -> CallResult {
    read_vectors(cx, fd, iov, count, How::with_flags(offset, flags)?)
}

/// write(2).
pub(crate) fn write(cx: &mut TaskContext<'_>, fd: Fd, buf: UserAddr, count: usize) -> CallResult {
    let file = cx.file(fd)?;
    file.check_writable()?;
    write_file(cx, &file, UserBuffers::one(buf, count)?, How::default())
}

/// pwrite64(2).
pub(crate) fn pwrite64(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    buf: UserAddr,
    count: usize,
    offset: i64,
) -> CallResult {
    let how = How::at(offset)?;
    let file = cx.file(fd)?;
    check_seekable(&file, &how)?;
    file.check_writable()?;
    write_file(cx, &file, UserBuffers::one(buf, count)?, how)
}

/// writev(2).
pub(crate) fn writev(cx: &mut TaskContext<'_>, fd: Fd, iov: UserAddr, count: usize) -> CallResult {
    write_vectors(cx, fd, iov, count, How::default())
}

/// pwritev(2).
pub(crate) fn pwritev(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
) -> CallResult {
    write_vectors(cx, fd, iov, count, How::at(offset)?)
}

/// pwritev2(2).
pub(crate) fn pwritev2(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
    _high: i64,
    flags: Flags,
) -> CallResult {
    write_vectors(cx, fd, iov, count, How::with_flags(offset, flags)?)
}

/// For vmsplice(2).
pub(super) fn read_from_pipe(
    cx: &TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    nonblocking: bool,
) -> CallResult {
    read_vectors(cx, fd, iov, count, How { nonblocking, ..How::default() })
}

/// For vmsplice(2).
pub(super) fn write_to_pipe(
    cx: &TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    nonblocking: bool,
) -> CallResult {
    write_vectors(cx, fd, iov, count, How { nonblocking, ..How::default() })
}

fn read_vectors(cx: &TaskContext<'_>, fd: Fd, iov: UserAddr, count: usize, how: How) -> CallResult {
    let file = cx.file(fd)?;
    check_seekable(&file, &how)?;
    file.check_readable()?;
    read_file(cx, &file, &UserBuffers::read(cx, iov, count)?, how)
}

fn write_vectors(
    cx: &TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    how: How,
) -> CallResult {
    let file = cx.file(fd)?;
    check_seekable(&file, &how)?;
    file.check_writable()?;
    write_file(cx, &file, UserBuffers::read(cx, iov, count)?, how)
}

/// Reads into the guest's buffers: until they are full, or the file has no more for now.
fn read_file(
    cx: &TaskContext<'_>,
    file: &Arc<OpenFile>,
    buffers: &UserBuffers,
    how: How,
) -> CallResult {
    let mm = cx.mm();
    let mut bounce = Bounce::new(buffers.len());
    let mut done = 0;
    loop {
        let want = (buffers.len() - done).min(CHUNK);
        let chunk = &mut bounce[..want];
        // Only the first part may wait for data.
        let nonblocking = how.nonblocking || done > 0;
        let result = retry(cx, file, PollEvents::IN, nonblocking, || match how.at {
            None => file.read(chunk),
            Some(offset) => file.read_at(chunk, offset + done as u64),
        });
        let got = match result {
            Ok(got) => got,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        let copied = buffers.copy_out(&mm, done, &bounce[..got]);
        let lost = got - copied.unwrap_or(0);
        if lost > 0 && how.at.is_none() && file.ops().is_seekable() {
            // What the guest's memory did not take has not been read.
            let _ = file.seek(-(lost as i64), libc::SEEK_CUR as u32);
        }
        match copied {
            Ok(n) => done += n,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno.into()),
        }
        if lost > 0 || got < want || done == buffers.len() {
            break;
        }
    }
    Ok(done as u64)
}

/// Writes the guest's buffers: all of them, unless something comes between.
fn write_file(
    cx: &TaskContext<'_>,
    file: &Arc<OpenFile>,
    mut buffers: UserBuffers,
    how: How,
) -> CallResult {
    let append = how.append || file.flags().contains(OpenFlags::APPEND) && !how.noappend;
    if buffers.len() > 0 {
        let allowed = check_size_limit(cx, file, how.at, append)?;
        buffers.limit(usize::try_from(allowed).unwrap_or(usize::MAX));
    }
    let mm = cx.mm();
    let mut bounce = Bounce::new(buffers.len());
    let mut done = 0;
    loop {
        let want = (buffers.len() - done).min(CHUNK);
        let have = match buffers.copy_in(&mm, done, &mut bounce[..want]) {
            Ok(have) => have,
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno.into()),
        };
        let (written, error) =
            write_all(cx, file, &bounce[..have], how.nonblocking, |bytes, at| {
                let offset = how.at.map(|offset| offset + (done + at) as u64);
                match offset {
                    _ if how.append => file.append(bytes),
                    Some(offset) if how.noappend => file.ops().write(file, bytes, offset),
                    Some(offset) => file.write_at(bytes, offset),
                    None => write_now(cx, file, bytes),
                }
            });
        done += written;
        match error {
            Some(error) if done == 0 => return Err(error),
            Some(_) => break,
            None => {}
        }
        if written < want || done == buffers.len() {
            break;
        }
    }
    if let Some(data_only) = how.sync.filter(|_| done > 0) {
        file.ops().sync(data_only)?;
    }
    Ok(done as u64)
}

/// Writes at the current position.
pub(super) fn write_now(cx: &TaskContext<'_>, file: &OpenFile, bytes: &[u8]) -> SysResult<usize> {
    super::sockets::send_bytes(cx, file, bytes).unwrap_or_else(|| file.write(bytes))
}

/// Writes all of `bytes`, waiting where that is needed; `attempt` gets what is left, and how much
/// was written before. Returns how much was written, and why it ended early. EPIPE comes with
/// SIGPIPE.
pub(super) fn write_all(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    bytes: &[u8],
    nonblocking: bool,
    mut attempt: impl FnMut(&[u8], usize) -> SysResult<usize>,
) -> (usize, Option<SysError>) {
    let mut done = 0;
    loop {
        let rest = &bytes[done..];
        match retry(cx, file, PollEvents::OUT, nonblocking, || attempt(rest, done)) {
            Ok(n) => {
                done += n.min(rest.len());
                if done == bytes.len() || n == 0 || !takes_the_rest(file) {
                    return (done, None);
                }
            }
            Err(error) => {
                if error == SysError::Errno(Errno::EPIPE) && raises_sigpipe(file) {
                    cx.task.signal_self(Signal::SIGPIPE);
                }
                return (done, Some(error));
            }
        }
    }
}

/// A socket that is no stream only says EPIPE.
fn raises_sigpipe(file: &OpenFile) -> bool {
    let socket = file.ops_as::<SocketFile>();
    socket.is_none_or(|socket| socket.socket().kind() == SocketKind::Stream)
}

/// After a short write, is the rest to be written too? An eventfd takes eight bytes and no more.
fn takes_the_rest(file: &OpenFile) -> bool {
    let kind = file.path().inode().file_type();
    file.ops().is_seekable()
        || matches!(kind, FileType::Fifo | FileType::Socket | FileType::CharDevice)
}

/// RLIMIT_FSIZE: how many bytes may be written at `at`, the current position or (`append`) the end.
/// EFBIG, with SIGXFSZ, if none.
pub(super) fn check_size_limit(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    at: Option<u64>,
    append: bool,
) -> SysResult<u64> {
    let limit = cx.group().limits().get(Resource::Fsize).cur;
    let counts = file.path().inode().file_type() == FileType::Regular && file.ops().is_seekable();
    if limit == u64::MAX || !counts {
        return Ok(u64::MAX);
    }
    let start = match at {
        _ if append => file.ops().size()?,
        Some(at) => at,
        None => file.pos(),
    };
    check_size(cx, start, limit)
}

fn check_size(cx: &TaskContext<'_>, start: u64, limit: u64) -> SysResult<u64> {
    if start >= limit {
        cx.task.signal_self(Signal::SIGXFSZ);
        return Err(Errno::EFBIG);
    }
    Ok(limit - start)
}

/// RLIMIT_FSIZE for a file that is to have `size` bytes. EFBIG, with SIGXFSZ.
pub(super) fn check_new_size(cx: &TaskContext<'_>, size: u64) -> SysResult<()> {
    let limit = cx.group().limits().get(Resource::Fsize).cur;
    if size > limit { check_size(cx, u64::MAX, limit).map(drop) } else { Ok(()) }
}

/// lseek(2).
pub(crate) fn lseek(cx: &mut TaskContext<'_>, fd: Fd, offset: i64, whence: u32) -> CallResult {
    let file = cx.file(fd)?;
    if whence > libc::SEEK_HOLE as u32 {
        return Err(Errno::EINVAL.into());
    }
    Ok(file.seek(offset, whence)?)
}
