//! cmdline and environ: memory of the process, as it left it.

use super::Live;
use crate::node::text::MAX_TEXT;
use abi::{Errno, PAGE_SIZE, SysResult, UserAddr};
use mm::MemoryManager;

/// Reads what there is in `start..end`, up to the first hole.
pub(super) fn read_range(mm: &MemoryManager, start: u64, end: u64) -> Vec<u8> {
    let mut bytes = vec![0; end.saturating_sub(start).min(MAX_TEXT as u64) as usize];
    let count = mm.read_forced(UserAddr(start), &mut bytes).unwrap_or(0);
    bytes.truncate(count);
    bytes
}

/// The arguments, each with its NUL; or the title that the process has written over them
/// (setproctitle(3)).
pub(super) fn cmdline(live: &Live) -> SysResult<Vec<u8>> {
    let Some(mm) = live.mm() else { return Ok(Vec::new()) };
    let layout = mm.layout();
    let args = read_range(&mm, layout.arg_start, layout.arg_end);
    let is_title = args.last().is_some_and(|last| *last != 0);
    if !is_title || layout.env_start != layout.arg_end {
        return Ok(args);
    }
    // The last NUL is overwritten: the title goes on in the environment.
    let mut title =
        read_range(&mm, layout.arg_start, layout.env_end.min(layout.arg_start + PAGE_SIZE));
    if let Some(nul) = title.iter().position(|b| *b == 0) {
        title.truncate(nul + 1);
    }
    Ok(title)
}

/// The environment, as it was at exec.
pub(super) fn environ(live: &Live) -> SysResult<Vec<u8>> {
    let mm = live.mm().ok_or(Errno::ESRCH)?;
    let layout = mm.layout();
    Ok(read_range(&mm, layout.env_start, layout.env_end))
}
