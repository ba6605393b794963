//! How brokers tell results: by the *length* of a message on a pipe.
//!
//! Guest threads have no call that could write there, and there is no memory involved that they
//! could. The pipes are made at start, for a sentry that is locked down can make none.

use parking_lot::{Condvar, Mutex};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// How many orders can be in the making at once.
const COUNT: usize = 16;
/// The longest message: an error number and one more.
const MAX_LEN: usize = 4096;

/// Pipes that nobody uses for the moment.
pub(super) struct Pipes {
    free: Mutex<Vec<(PipeReader, PipeWriter)>>,
    returned: Condvar,
}

/// A pipe in use.
pub(super) struct Pipe<'a> {
    pipes: &'a Pipes,
    ends: Option<(PipeReader, PipeWriter)>,
}

impl Pipes {
    pub(super) fn new() -> io::Result<Pipes> {
        let pipes = (0..COUNT).map(|_| pipe()).collect::<io::Result<_>>()?;
        Ok(Pipes { free: Mutex::new(pipes), returned: Condvar::new() })
    }

    /// Takes a pipe; where all are in use, waits for one, which is soon.
    pub(super) fn take(&self) -> Pipe<'_> {
        let mut free = self.free.lock();
        loop {
            match free.pop() {
                Some(ends) => return Pipe { pipes: self, ends: Some(ends) },
                None => self.returned.wait(&mut free),
            }
        }
    }

    /// Sends a message of length 1 to who waits at the other end of `fd`.
    pub(super) fn write(&self, fd: RawFd) {
        let byte = 0u8;
        // SAFETY: one live byte. The pipes are as old as `self`, so the descriptor is one of them.
        unsafe { libc::write(fd, (&raw const byte).cast(), 1) };
    }
}

/// A pipe that keeps messages apart.
fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let mut fds = [0; 2];
    // SAFETY: the kernel writes two descriptors to the array.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_DIRECT | libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: two new descriptors that nobody else has.
    let [read, write] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    Ok((read.into(), write.into()))
}

impl Pipe<'_> {
    /// Where the message is to go.
    pub(super) fn write_fd(&self) -> RawFd {
        self.ends.as_ref().map_or(-1, |(_, write)| write.as_raw_fd())
    }

    fn read_fd(&self) -> RawFd {
        self.ends.as_ref().map_or(-1, |(read, _)| read.as_raw_fd())
    }

    /// Waits for a message; its length.
    pub(super) fn read(&self) -> io::Result<usize> {
        let mut buffer = [0u8; MAX_LEN];
        loop {
            // SAFETY: the kernel writes at most MAX_LEN bytes to the buffer.
            let len = unsafe { libc::read(self.read_fd(), buffer.as_mut_ptr().cast(), MAX_LEN) };
            if len > 0 {
                return Ok(len as usize);
            }
            let error = io::Error::last_os_error();
            if len == 0 || error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Discards the messages that are there.
    pub(super) fn drain(&self) {
        let (events, null) = (libc::POLLIN, std::ptr::null::<libc::sigset_t>());
        let mut poll = libc::pollfd { fd: self.read_fd(), events, revents: 0 };
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: one live pollfd and a live timespec, no signal set.
        while unsafe { libc::ppoll(&raw mut poll, 1, &raw const now, null) } > 0
            && self.read().is_ok()
        {}
    }
}

impl Drop for Pipe<'_> {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.take() {
            self.pipes.free.lock().push(ends);
            self.pipes.returned.notify_one();
        }
    }
}
