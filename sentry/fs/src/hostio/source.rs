//! A host descriptor: transfers that do not block, and its readiness.

use super::host_error;
use super::poller::Watch;
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::stat::major;
use abi::{Errno, SysResult};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType as HostType, OFlags, Stat, fcntl_getfl, fstat};
use rustix::io::Errno as HostErrno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use wait::WaitQueue;

/// Bytes a host pipe, socket or terminal surely takes once it says it is writable: PIPE_BUF.
const CHUNK: usize = 4096;
/// Major number of /dev/null and its like, which epoll(7) refuses.
const MEM_MAJOR: u32 = 1;

/// A host descriptor.
pub(super) struct Source {
    fd: OwnedFd,
    kind: FileType,
    is_tty: bool,
    /// Can it be waited for? Regular files cannot: they are always ready.
    is_pollable: bool,
    access: OpenFlags,
    queue: WaitQueue,
    watch: Watch,
}

impl Source {
    pub fn new(fd: OwnedFd) -> SysResult<Source> {
        let stat = fstat(&fd).map_err(host_error)?;
        let flags = fcntl_getfl(&fd).map_err(host_error)?;
        let kind = match HostType::from_raw_mode(stat.st_mode) {
            HostType::Fifo => FileType::Fifo,
            HostType::CharacterDevice => FileType::CharDevice,
            HostType::BlockDevice => FileType::BlockDevice,
            HostType::Socket => FileType::Socket,
            HostType::RegularFile | HostType::Unknown => FileType::Regular,
            // Names are the gofer's; a descriptor of a directory would be a way around it.
            HostType::Directory | HostType::Symlink => return Err(Errno::EINVAL),
        };
        let is_char = kind == FileType::CharDevice;
        let is_pollable = match kind {
            FileType::Fifo | FileType::Socket => true,
            FileType::CharDevice => major(stat.st_rdev) != MEM_MAJOR,
            _ => false,
        };
        let queue = WaitQueue::new();
        Ok(Source {
            is_tty: is_char && rustix::termios::isatty(&fd),
            fd,
            kind,
            is_pollable,
            access: access_of(flags),
            watch: Watch::new(queue.clone()),
            queue,
        })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn kind(&self) -> FileType {
        self.kind
    }

    pub fn is_tty(&self) -> bool {
        self.is_tty
    }

    /// Access mode, and O_APPEND.
    pub fn access(&self) -> OpenFlags {
        self.access
    }

    /// None for what is always ready.
    pub fn queue(&self) -> Option<&WaitQueue> {
        self.is_pollable.then_some(&self.queue)
    }

    pub fn stat(&self) -> SysResult<Stat> {
        fstat(&self.fd).map_err(host_error)
    }

    fn ready(&self, events: PollEvents) -> PollEvents {
        let flags = PollFlags::from_bits_retain(events.bits() as u16);
        let mut fds = [PollFd::new(&self.fd, flags)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(_) => PollEvents::from_bits_retain(u32::from(fds[0].revents().bits())),
            // Not known: whoever waits asks again when the poller says so.
            Err(_) => PollEvents::empty(),
        }
    }

    /// What it is ready for. If somebody waits for the rest, it will be told.
    pub fn poll(&self) -> PollEvents {
        let always = PollEvents::IN | PollEvents::RDNORM | PollEvents::OUT | PollEvents::WRNORM;
        if !self.is_pollable {
            return always;
        }
        let events = self.ready(always | PollEvents::PRI | PollEvents::RDHUP);
        let mut missing = PollEvents::empty();
        if self.access.readable() && !events.contains(PollEvents::IN) {
            missing |= PollEvents::IN | PollEvents::RDHUP;
        }
        if self.access.writable() && !events.contains(PollEvents::OUT) {
            missing |= PollEvents::OUT;
        }
        // After an error or a hang-up there is nothing to wait for.
        if !events.intersects(PollEvents::ERR | PollEvents::HUP) {
            self.await_events(missing);
        }
        events
    }

    fn await_events(&self, events: PollEvents) {
        // Whoever waits registers first and looks second, so nobody is overlooked.
        if !events.is_empty()
            && self.queue.has_waiters()
            && let Err(error) = self.watch.arm(self.fd(), events)
        {
            tracing::warn!(%error, "cannot watch a host descriptor");
        }
    }

    /// EAGAIN unless one of `events`, an error or a hang-up is there.
    fn check_ready(&self, events: PollEvents) -> SysResult<()> {
        if self.is_pollable && self.ready(events).is_empty() {
            self.await_events(events);
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    /// Reads from the descriptor's own position. EAGAIN where that would block.
    pub fn read(&self, buf: &mut [u8]) -> SysResult<usize> {
        loop {
            self.check_ready(PollEvents::IN)?;
            match rustix::io::read(&self.fd, &mut *buf) {
                Ok(count) => return Ok(count),
                Err(HostErrno::INTR) => {}
                Err(error) => return Err(self.transfer_error(error, PollEvents::IN)),
            }
        }
    }

    /// Writes at the descriptor's own position. EAGAIN where not even a part can be taken.
    pub fn write(&self, buf: &[u8]) -> SysResult<usize> {
        let chunk = if self.is_pollable { CHUNK } else { buf.len().max(1) };
        let mut done = 0;
        while done < buf.len() {
            let end = buf.len().min(done + chunk);
            let result = self.write_once(&buf[done..end]);
            match result {
                Ok(count) => done += count,
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_once(&self, bytes: &[u8]) -> SysResult<usize> {
        loop {
            self.check_ready(PollEvents::OUT)?;
            match rustix::io::write(&self.fd, bytes) {
                Ok(count) => return Ok(count),
                Err(HostErrno::INTR) => {}
                Err(error) => return Err(self.transfer_error(error, PollEvents::OUT)),
            }
        }
    }

    fn transfer_error(&self, error: HostErrno, events: PollEvents) -> Errno {
        // Whoever shares the description may have made it non-blocking.
        if error == HostErrno::AGAIN {
            self.await_events(events);
        }
        host_error(error)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.watch.remove(self.fd.as_fd());
    }
}

fn access_of(flags: OFlags) -> OpenFlags {
    OpenFlags::from_bits_retain(flags.bits() & 3)
        | (OpenFlags::from_bits_retain(flags.bits()) & OpenFlags::APPEND)
}
