//! One open end of a pipe.

use super::{Fifo, READABLE, WRITABLE};
use abi::file::{OpenFlags, PollEvents};
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// An open end of a pipe, or with O_RDWR both ends of a FIFO.
pub struct PipeFile {
    fifo: Arc<Fifo>,
    reads: bool,
    writes: bool,
    /// There was no partner when this end was opened: how many had opened it before.
    unseen: Option<u64>,
}

impl PipeFile {
    pub(super) fn new(fifo: Arc<Fifo>, reads: bool, writes: bool, unseen: Option<u64>) -> PipeFile {
        PipeFile { fifo, reads, writes, unseen }
    }

    /// F_GETPIPE_SZ, in bytes.
    pub fn capacity(&self) -> usize {
        self.fifo.capacity()
    }

    /// F_SETPIPE_SZ: the new size, rounded up. EBUSY below what is in use, EPERM above
    /// [`super::PIPE_MAX_SIZE`].
    pub fn set_capacity(&self, bytes: usize) -> SysResult<usize> {
        self.fifo.set_capacity(bytes)
    }

    /// Bytes waiting to be read.
    pub fn available(&self) -> usize {
        self.fifo.available()
    }

    /// Reads without taking, for tee(2). EAGAIN where there is nothing yet; 0 is the end.
    pub fn peek(&self, buf: &mut [u8]) -> SysResult<usize> {
        if !self.reads {
            return Err(Errno::EBADF);
        }
        self.fifo.peek(buf)
    }

    fn events(&self) -> PollEvents {
        self.fifo.polled.store(true, Ordering::Relaxed);
        let state = self.fifo.state.lock();
        let Some(content) = &state.content else { return PollEvents::empty() };
        let mut events = PollEvents::empty();
        if self.reads {
            if !content.buffer.is_empty() {
                events |= READABLE;
            }
            // A reader that came before any writer has not been hung up on.
            if state.writers == 0 && self.unseen != Some(state.writer_opens) {
                events |= PollEvents::HUP;
            }
        }
        if self.writes {
            if !content.buffer.is_full() {
                events |= WRITABLE;
            }
            if state.readers == 0 {
                events |= PollEvents::ERR;
            }
        }
        events
    }
}

impl Drop for PipeFile {
    fn drop(&mut self) {
        self.fifo.close(self.reads, self.writes);
    }
}

impl FileOps for PipeFile {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        if !self.reads {
            return Err(Errno::EBADF);
        }
        self.fifo.read(buf)
    }

    fn write(&self, file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        if !self.writes {
            return Err(Errno::EBADF);
        }
        self.fifo.write(buf, file.flags().contains(OpenFlags::DIRECT))
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.events()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.fifo.queue)
    }

    fn open_pending(&self) -> bool {
        let Some(seen) = self.unseen else { return false };
        let state = self.fifo.state.lock();
        let opens = if self.reads { state.writer_opens } else { state.reader_opens };
        opens == seen
    }

    fn ioctl(&self, _file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        if cmd != crate::anon::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let available = i32::try_from(self.available()).unwrap_or(i32::MAX);
        mm.write(UserAddr(arg), &available)?;
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
