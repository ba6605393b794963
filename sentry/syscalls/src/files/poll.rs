//! poll(2) and ppoll(2), and the wait that select(2) shares with them.

use super::blocking::wait_queue;
use abi::file::{PollEvents, PollFd};
use abi::signal::SigSet;
use abi::time::Timespec;
use abi::{Errno, SysResult, UserAddr};
use kernel::time::{RestartBlock, deadline_in, remaining};
use kernel::{CallResult, Interrupted, Restart, SysError, TaskContext};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vfs::{Fd, NR_OPEN, OpenFile};
use wait::Registration;
use zerocopy::IntoBytes;

/// A file that is watched, and for what.
pub(super) struct Watched {
    pub file: Arc<OpenFile>,
    pub events: PollEvents,
}

/// Reported whether asked for or not.
const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);

/// Waits until `scan` finds something ready (it says how much), or the deadline passes (0). `scan`
/// is asked again after each event on one of the files.
pub(super) fn wait_ready<'a>(
    cx: &TaskContext<'_>,
    files: impl Iterator<Item = &'a Watched>,
    deadline: Option<Instant>,
    mut scan: impl FnMut() -> usize,
) -> Result<usize, Interrupted> {
    let ready = scan();
    if ready > 0 || deadline.is_some_and(|at| at <= Instant::now()) {
        return Ok(ready);
    }
    let mut registrations: Vec<Registration> = Vec::new();
    for watched in files {
        if let Some(queue) = wait_queue(cx, &watched.file) {
            let events = watched.events | ALWAYS;
            registrations.push(queue.register(events.bits(), cx.task.waker()));
        }
    }
    let waited = cx.task.block_registered(deadline, || match scan() {
        0 => None,
        ready => Some(ready),
    });
    match waited {
        Err(Interrupted::TimedOut) => Ok(0),
        other => other,
    }
}

/// The file behind each descriptor of poll(2); None where there is none to ask.
fn find_files(fds: &[PollFd], find: impl Fn(Fd) -> Option<Arc<OpenFile>>) -> Vec<Option<Watched>> {
    let watched = fds.iter().map(|entry| {
        let events = PollEvents::from_bits_truncate(u32::from(entry.events as u16));
        let file = if entry.fd < 0 { None } else { find(Fd(entry.fd)) };
        file.map(|file| Watched { file, events })
    });
    watched.collect()
}

/// Asks each file, and fills in `revents`: how many have something to say.
fn scan(fds: &mut [PollFd], files: &[Option<Watched>]) -> usize {
    let mut ready = 0;
    for (entry, watched) in fds.iter_mut().zip(files) {
        let found = match watched {
            Some(watched) => watched.file.poll() & (watched.events | ALWAYS),
            None if entry.fd < 0 => PollEvents::empty(),
            None => PollEvents::NVAL,
        };
        entry.revents = found.bits() as i16;
        ready += usize::from(!found.is_empty());
    }
    ready
}

/// Polls; Err(Interrupted) inside: nothing was ready when a signal came.
fn poll_set(
    cx: &TaskContext<'_>,
    addr: UserAddr,
    count: u32,
    deadline: Option<Instant>,
) -> SysResult<Result<usize, Interrupted>> {
    if u64::from(count) > cx.group().limits().nofile() {
        return Err(Errno::EINVAL);
    }
    let mut fds: Vec<PollFd> = cx.mm().read_array(addr, count.into(), NR_OPEN as usize)?;
    let table = cx.files();
    let files = find_files(&fds, |fd| table.get_io(fd).ok());
    let waited = wait_ready(cx, files.iter().flatten(), deadline, || scan(&mut fds, &files));
    if waited.is_ok() {
        cx.mm().write_bytes(addr, fds.as_bytes())?;
    }
    Ok(waited)
}

/// poll(2).
pub(crate) fn poll(
    cx: &mut TaskContext<'_>,
    fds: UserAddr,
    count: u32,
    timeout: i32,
) -> CallResult {
    let timeout = u64::try_from(timeout).ok().map(Duration::from_millis);
    poll_until(cx, fds, count, timeout.and_then(deadline_in))
}

/// poll(2) until a given moment; interrupted, it leaves word for restart_syscall(2).
pub(crate) fn poll_until(
    cx: &mut TaskContext<'_>,
    fds: UserAddr,
    count: u32,
    deadline: Option<Instant>,
) -> CallResult {
    match poll_set(cx, fds, count, deadline)? {
        Ok(ready) => Ok(ready as u64),
        Err(_) => {
            cx.task.set_restart_block(RestartBlock::Poll { fds, count, deadline });
            Err(SysError::Restart(Restart::Block))
        }
    }
}

/// ppoll(2).
pub(crate) fn ppoll(
    cx: &mut TaskContext<'_>,
    fds: UserAddr,
    count: u32,
    timeout: UserAddr,
    mask: UserAddr,
    mask_size: usize,
) -> CallResult {
    let deadline = Deadline::read(cx, timeout)?;
    set_mask(cx, mask, mask_size)?;
    let result = poll_set(cx, fds, count, deadline.at());
    deadline.finish(cx, flatten(result))
}

/// A signal: again if no handler ran, with the time that is left.
pub(super) fn flatten(result: SysResult<Result<usize, Interrupted>>) -> CallResult {
    match result? {
        Ok(ready) => Ok(ready as u64),
        Err(interrupted) => Err(interrupted.or(Restart::UnlessHandler, Errno::EINTR)),
    }
}

/// The mask for the time of a call: null leaves it as it is. EINVAL for another size than ours.
pub(super) fn set_mask(cx: &TaskContext<'_>, mask: UserAddr, size: usize) -> SysResult<()> {
    let Some(addr) = mask.non_null() else { return Ok(()) };
    if size != size_of::<SigSet>() {
        return Err(Errno::EINVAL);
    }
    let mask: SigSet = cx.read(addr)?;
    cx.task.set_temporary_mask(mask);
    Ok(())
}

/// A relative timeout that the call writes what is left of back to.
pub(super) struct Deadline {
    at: Option<Instant>,
    /// Where to write, unless there is no timeout or it was zero.
    left_to: UserAddr,
    is_timeval: bool,
}

impl Deadline {
    /// From a `struct timespec`; null is never. EINVAL.
    pub fn read(cx: &TaskContext<'_>, addr: UserAddr) -> SysResult<Deadline> {
        let timeout = match addr.non_null() {
            Some(addr) => Some(cx.read::<Timespec>(addr)?.to_duration().ok_or(Errno::EINVAL)?),
            None => None,
        };
        Ok(Deadline::new(timeout, addr, false))
    }

    /// `timeout` was read from `addr`.
    pub fn new(timeout: Option<Duration>, addr: UserAddr, is_timeval: bool) -> Deadline {
        let shown = timeout.is_some_and(|timeout| !timeout.is_zero());
        let left_to = if shown { addr } else { UserAddr::NULL };
        Deadline { at: timeout.and_then(deadline_in), left_to, is_timeval }
    }

    /// The moment.
    pub fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Ends the call: writes back what is left, and the mask comes back unless a signal is to be
    /// dealt with under the temporary one.
    pub fn finish(self, cx: &TaskContext<'_>, result: CallResult) -> CallResult {
        let restart = Err(SysError::Restart(Restart::UnlessHandler));
        if result != restart {
            cx.task.restore_mask();
        }
        if self.left_to.is_null() {
            return result;
        }
        let left = remaining(self.at);
        let written = if self.is_timeval {
            cx.write(self.left_to, &abi::time::Timeval::from(left))
        } else {
            cx.write(self.left_to, &Timespec::from(left))
        };
        // With the whole timeout still in place, making the call again would wait too long.
        if written.is_err() && result == restart { Err(Errno::EINTR.into()) } else { result }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::file::OpenFlags;
    use fs::eventfd::EventFd;

    #[test]
    fn what_is_asked_for_is_reported_and_what_is_closed_too() {
        let event = EventFd::new(1, false);
        let file = fs::anon::open_file("eventfd", event.clone(), OpenFlags::RDWR);
        let entry =
            |fd, events: PollEvents| PollFd { fd, events: events.bits() as i16, revents: 9 };
        let mut fds = vec![
            entry(3, PollEvents::IN),
            entry(3, PollEvents::PRI),
            entry(4, PollEvents::IN),
            entry(-1, PollEvents::IN),
            entry(3, PollEvents::IN | PollEvents::OUT),
        ];
        let files = find_files(&fds, |fd| (fd.0 == 3).then(|| file.clone()));
        assert_eq!(scan(&mut fds, &files), 3);
        let revents: Vec<i16> = fds.iter().map(|entry| entry.revents).collect();
        assert_eq!(revents, [libc::POLLIN, 0, libc::POLLNVAL, 0, libc::POLLIN | libc::POLLOUT]);
        event.take().unwrap();
        assert_eq!(scan(&mut fds, &files), 2);
    }
}
