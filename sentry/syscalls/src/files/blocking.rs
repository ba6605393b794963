//! Waiting for files.

use super::signalfd::SignalFd;
use abi::file::PollEvents;
use abi::{Errno, SysResult};
use kernel::time::deadline_in;
use kernel::{CallResult, Interrupted, Restart, SysError, TaskContext};
use net::SocketFile;
use std::time::Instant;
use vfs::OpenFile;
use wait::WaitQueue;

/// Where the caller waits for a file. A signalfd is about the signals of whoever reads it.
pub(super) fn wait_queue(cx: &TaskContext<'_>, file: &OpenFile) -> Option<WaitQueue> {
    if file.ops_as::<SignalFd>().is_some() {
        return Some(cx.group().signal_events.clone());
    }
    file.ops().wait_queue().cloned()
}

/// Does `attempt` until it is anything but EAGAIN, waiting for `events` between tries; once only if
/// the description or the call must not block, and no longer than the timeout of a socket
/// (SO_RCVTIMEO, SO_SNDTIMEO).
pub(super) fn retry<R>(
    cx: &TaskContext<'_>,
    file: &OpenFile,
    events: PollEvents,
    nonblocking: bool,
    mut attempt: impl FnMut() -> SysResult<R>,
) -> CallResult<R> {
    let first = attempt();
    if nonblocking || file.is_nonblocking() || !matches!(first, Err(Errno::EAGAIN)) {
        return restartable(first);
    }
    let Some(queue) = wait_queue(cx, file) else { return restartable(first) };
    let deadline = deadline(file, events);
    // An error or a hang-up ends every wait.
    let events = events | PollEvents::ERR | PollEvents::HUP;
    let waited = cx.task.block_on(&[(&queue, events.bits())], deadline, || match attempt() {
        Err(Errno::EAGAIN) => None,
        other => Some(other),
    });
    match waited {
        Ok(result) => restartable(result),
        // Made again, the call would have its whole timeout again.
        Err(Interrupted::Signal) if deadline.is_some() => Err(Errno::EINTR.into()),
        Err(interrupted) => Err(interrupted.into()),
    }
}

/// When the timeout of a socket is over, if it has one.
fn deadline(file: &OpenFile, events: PollEvents) -> Option<Instant> {
    let options = file.ops_as::<SocketFile>()?.socket().options();
    let timeout = match events.contains(PollEvents::IN) {
        true => options.receive_timeout(),
        false => options.send_timeout(),
    };
    deadline_in(timeout?)
}

/// EINTR from a file means that it sent the caller a signal instead (a terminal, to a task in the
/// background): the call is made again afterwards.
pub(super) fn restartable<R>(result: SysResult<R>) -> CallResult<R> {
    result.map_err(|errno| match errno {
        Errno::EINTR => SysError::Restart(Restart::IfAllowed),
        errno => errno.into(),
    })
}
