//! sendfile(2) and copy_file_range(2).

use super::buffers::{Bounce, CHUNK, MAX_RW_COUNT};
use super::transfer::{check_size_limit, write_all, write_now};
use crate::args::Flags;
use abi::file::{FileType, OpenFlags};
use abi::{Errno, SysResult, UserAddr};
use kernel::{CallResult, SysError, TaskContext};
use std::sync::Arc;
use vfs::{Fd, OpenFile};

/// Copies up to `count` bytes at `from`, to `to` or (None) the current position. Returns how many,
/// and why it ended early.
fn copy(
    cx: &TaskContext<'_>,
    (input, from): (&OpenFile, u64),
    (output, to): (&OpenFile, Option<u64>),
    count: usize,
) -> (usize, Option<SysError>) {
    let mut bounce = Bounce::new(count);
    let mut done = 0;
    while done < count {
        let want = (count - done).min(CHUNK);
        let got = match input.read_at(&mut bounce[..want], from + done as u64) {
            Ok(0) => break,
            Ok(got) => got,
            Err(errno) => return (done, Some(errno.into())),
        };
        let (written, error) = write_all(cx, output, &bounce[..got], false, |bytes, at| match to {
            Some(to) => output.write_at(bytes, to + (done + at) as u64),
            None => write_now(cx, output, bytes),
        });
        done += written;
        if error.is_some() || written < got {
            return (done, error);
        }
    }
    (done, None)
}

/// The offset at `addr`, if there is one. EINVAL below zero.
pub(super) fn read_offset(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<Option<u64>> {
    let Some(addr) = addr.non_null() else { return Ok(None) };
    let offset: i64 = cx.read(addr)?;
    u64::try_from(offset).map(Some).map_err(|_| Errno::EINVAL)
}

/// Says where a copy has come to: at `addr` if the offset was given there, else by moving the
/// position.
pub(super) fn advance(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    addr: UserAddr,
    offset: u64,
) -> SysResult<()> {
    match addr.non_null() {
        Some(addr) => cx.write(addr, &offset),
        None => file.seek(offset as i64, libc::SEEK_SET as u32).map(drop),
    }
}

/// sendfile(2).
pub(crate) fn sendfile(
    cx: &mut TaskContext<'_>,
    out: Fd,
    input: Fd,
    offset: UserAddr,
    count: usize,
) -> CallResult {
    let at = read_offset(cx, offset)?;
    let input = cx.file(input)?;
    input.check_readable()?;
    if at.is_some() && !input.ops().is_seekable() {
        return Err(Errno::ESPIPE.into());
    }
    let output = cx.file(out)?;
    output.check_writable()?;
    let is_dir = input.path().inode().file_type() == FileType::Directory;
    if !input.ops().is_seekable() || is_dir || output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL.into());
    }
    let count = allowed(cx, &output, None, count)?;
    let from = at.unwrap_or_else(|| input.pos());
    let (done, error) = copy(cx, (&input, from), (&output, None), count);
    match error {
        Some(error) if done == 0 => return Err(error),
        _ => advance(cx, &input, offset, from + done as u64)?,
    }
    Ok(done as u64)
}

/// How many bytes may be copied to `output` at `at`.
fn allowed(
    cx: &TaskContext<'_>,
    output: &OpenFile,
    at: Option<u64>,
    count: usize,
) -> SysResult<usize> {
    let count = count.min(MAX_RW_COUNT);
    if count == 0 {
        return Ok(0);
    }
    let limit = check_size_limit(cx, output, at, false)?;
    Ok(count.min(usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// copy_file_range(2).
pub(crate) fn copy_file_range(
    cx: &mut TaskContext<'_>,
    input: Fd,
    input_offset: UserAddr,
    output: Fd,
    output_offset: UserAddr,
    count: usize,
    flags: Flags,
) -> CallResult {
    let input = cx.file(input)?;
    let output = cx.file(output)?;
    let from = read_offset(cx, input_offset)?;
    let to = read_offset(cx, output_offset)?;
    if flags.0 != 0 {
        return Err(Errno::EINVAL.into());
    }
    check_files(&input, &output)?;
    let from = from.unwrap_or_else(|| input.pos());
    let to = to.unwrap_or_else(|| output.pos());
    let available = input.ops().size()?.saturating_sub(from);
    let count = count.min(usize::try_from(available).unwrap_or(usize::MAX));
    let same = Arc::ptr_eq(input.path().inode(), output.path().inode());
    if same && from < to + count as u64 && to < from + count as u64 {
        return Err(Errno::EINVAL.into());
    }
    let count = allowed(cx, &output, Some(to), count)?;
    let (done, error) = copy(cx, (&input, from), (&output, Some(to)), count);
    match error {
        Some(error) if done == 0 => return Err(error),
        _ => {}
    }
    advance(cx, &input, input_offset, from + done as u64)?;
    advance(cx, &output, output_offset, to + done as u64)?;
    Ok(done as u64)
}

/// Both regular files, opened for it.
fn check_files(input: &OpenFile, output: &OpenFile) -> SysResult<()> {
    let kinds = [input, output].map(|file| file.path().inode().file_type());
    if kinds.contains(&FileType::Directory) {
        return Err(Errno::EISDIR);
    }
    let regular = |file: &OpenFile| {
        file.path().inode().file_type() == FileType::Regular && file.ops().is_seekable()
    };
    if !regular(input) || !regular(output) {
        return Err(Errno::EINVAL);
    }
    input.check_readable()?;
    output.check_writable()?;
    if output.flags().contains(OpenFlags::APPEND) { Err(Errno::EBADF) } else { Ok(()) }
}
