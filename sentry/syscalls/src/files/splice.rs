//! splice(2), tee(2) and vmsplice(2): by copying, which nobody can tell but by a clock.

use super::blocking::retry;
use super::buffers::{Bounce, CHUNK};
use super::copy::{advance, read_offset};
use super::transfer::{self, write_all, write_now};
use crate::args::Flags;
use abi::file::{OpenFlags, PollEvents};
use abi::{Errno, SysResult, UserAddr};
use fs::pipe::{PIPE_BUF, PipeFile};
use kernel::{CallResult, TaskContext};
use std::sync::Arc;
use vfs::{Fd, OpenFile};

/// SPLICE_F_MOVE, NONBLOCK, MORE, GIFT.
const KNOWN: u32 = 15;
const NONBLOCK: u32 = libc::SPLICE_F_NONBLOCK;

fn is_pipe(file: &OpenFile) -> bool {
    file.ops_as::<PipeFile>().is_some()
}

/// splice(2).
pub(crate) fn splice(
    cx: &mut TaskContext<'_>,
    input: Fd,
    input_offset: UserAddr,
    output: Fd,
    output_offset: UserAddr,
    count: usize,
    flags: Flags,
) -> CallResult {
    if flags.0 & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    if count == 0 {
        return Ok(0);
    }
    let (input, output) = (cx.file(input)?, cx.file(output)?);
    input.check_readable()?;
    output.check_writable()?;
    check_ends(&input, !input_offset.is_null(), &output, !output_offset.is_null())?;
    let from = End::new(input, read_offset(cx, input_offset)?);
    let to = End::new(output, read_offset(cx, output_offset)?);
    let done = transfer(cx, &from, &to, count, flags.0 & NONBLOCK != 0)?;
    from.finish(cx, input_offset, done)?;
    to.finish(cx, output_offset, done)?;
    Ok(done as u64)
}

/// One end must be a pipe, and pipes have no offsets.
fn check_ends(
    input: &Arc<OpenFile>,
    input_offset: bool,
    output: &Arc<OpenFile>,
    output_offset: bool,
) -> SysResult<()> {
    let pipes = (is_pipe(input), is_pipe(output));
    if !pipes.0 && !pipes.1 {
        return Err(Errno::EINVAL);
    }
    if pipes.0 && input_offset || pipes.1 && output_offset {
        return Err(Errno::ESPIPE);
    }
    let same_pipe = Arc::ptr_eq(input.path().inode(), output.path().inode());
    let no_offsets =
        input_offset && !input.ops().is_seekable() || output_offset && !output.ops().is_seekable();
    let appends = !pipes.1 && output.flags().contains(OpenFlags::APPEND);
    if same_pipe || no_offsets || appends { Err(Errno::EINVAL) } else { Ok(()) }
}

/// One end of a transfer.
struct End {
    file: Arc<OpenFile>,
    /// Where in the file; None for what has no offsets.
    at: Option<u64>,
}

impl End {
    fn new(file: Arc<OpenFile>, offset: Option<u64>) -> End {
        let at = file.ops().is_seekable().then(|| offset.unwrap_or_else(|| file.pos()));
        End { file, at }
    }

    fn finish(&self, cx: &TaskContext<'_>, addr: UserAddr, done: usize) -> SysResult<()> {
        self.at.map_or(Ok(()), |at| advance(cx, &self.file, addr, at + done as u64))
    }
}

/// Moves some bytes. What is taken from a stream must not be lost: it is taken only when there is
/// room for it at the other end.
fn transfer(
    cx: &TaskContext<'_>,
    from: &End,
    to: &End,
    count: usize,
    nonblocking: bool,
) -> CallResult<usize> {
    let mut limit = CHUNK;
    if to.at.is_none() {
        // A pipe or a socket that can be written to takes this much.
        limit = PIPE_BUF;
        let ready = PollEvents::OUT | PollEvents::ERR | PollEvents::HUP;
        retry(cx, &to.file, PollEvents::OUT, nonblocking && is_pipe(&to.file), || {
            if to.file.poll().intersects(ready) { Ok(()) } else { Err(Errno::EAGAIN) }
        })?;
    }
    let mut bounce = Bounce::new(count.min(limit));
    let nonblocking_read = nonblocking && is_pipe(&from.file);
    let got = retry(cx, &from.file, PollEvents::IN, nonblocking_read, || match from.at {
        Some(at) => from.file.read_at(&mut bounce, at),
        None => from.file.read(&mut bounce),
    })?;
    if got == 0 {
        return Ok(0);
    }
    let (done, error) = write_all(cx, &to.file, &bounce[..got], false, |bytes, done| match to.at {
        Some(at) => to.file.write_at(bytes, at + done as u64),
        None => write_now(cx, &to.file, bytes),
    });
    match error {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// tee(2): as splice between two pipes, but the bytes stay in the first.
pub(crate) fn tee(
    cx: &mut TaskContext<'_>,
    input: Fd,
    output: Fd,
    count: usize,
    flags: Flags,
) -> CallResult {
    if flags.0 & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    if count == 0 {
        return Ok(0);
    }
    let (input, output) = (cx.file(input)?, cx.file(output)?);
    input.check_readable()?;
    output.check_writable()?;
    let same_pipe = Arc::ptr_eq(input.path().inode(), output.path().inode());
    let (Some(pipe), true, false) = (input.ops_as::<PipeFile>(), is_pipe(&output), same_pipe)
    else {
        return Err(Errno::EINVAL.into());
    };
    let nonblocking = flags.0 & NONBLOCK != 0;
    let mut bounce = Bounce::new(count.min(PIPE_BUF));
    let got = retry(cx, &input, PollEvents::IN, nonblocking, || pipe.peek(&mut bounce))?;
    if got == 0 {
        return Ok(0);
    }
    let (done, error) =
        write_all(cx, &output, &bounce[..got], nonblocking, |bytes, _| output.write(bytes));
    match error {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done as u64),
    }
}

/// vmsplice(2): into the writing end of a pipe, or out of the reading end.
pub(crate) fn vmsplice(
    cx: &mut TaskContext<'_>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    flags: Flags,
) -> CallResult {
    if flags.0 & !KNOWN != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = cx.file(fd)?;
    if !is_pipe(&file) {
        return Err(Errno::EBADF.into());
    }
    let nonblocking = flags.0 & NONBLOCK != 0;
    if file.flags().writable() {
        transfer::write_to_pipe(cx, fd, iov, count, nonblocking)
    } else {
        transfer::read_from_pipe(cx, fd, iov, count, nonblocking)
    }
}
