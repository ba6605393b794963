//! The open files of a pseudo-terminal.

use super::ioctl;
use super::pty::Pty;
use abi::file::PollEvents;
use abi::{Errno, SysResult};
use mm::MemoryManager;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// The master: what a terminal emulator holds.
pub struct Master {
    pty: Arc<Pty>,
}

impl Master {
    pub(super) fn new(pty: Arc<Pty>) -> Master {
        Master { pty }
    }

    pub(super) fn pty(&self) -> &Arc<Pty> {
        &self.pty
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.pty.close_master();
    }
}

impl FileOps for Master {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        self.pty.master_read(buf)
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        self.pty.master_write(buf)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.pty.master_poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.pty.master_queue)
    }

    fn ioctl(&self, file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        ioctl::master(&self.pty, file, mm, cmd, arg)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The terminal: what programs hold.
pub struct Slave {
    pty: Arc<Pty>,
    /// A read has begun to wait.
    waits: AtomicBool,
}

impl Slave {
    pub(super) fn new(pty: Arc<Pty>) -> Slave {
        Slave { pty, waits: AtomicBool::new(false) }
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.pty.close_slave();
    }
}

impl FileOps for Slave {
    fn read(&self, file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        let nonblocking = file.is_nonblocking();
        match self.pty.slave_read(buf, nonblocking) {
            Ok(Some(count)) => {
                self.waits.store(false, Ordering::Relaxed);
                Ok(count)
            }
            // Whoever waits while it is hung up gets an error, and who comes later the end of the
            // file.
            Ok(None) if self.waits.swap(false, Ordering::Relaxed) => Err(Errno::EIO),
            Ok(None) => Ok(0),
            Err(Errno::EAGAIN) => {
                self.waits.store(!nonblocking, Ordering::Relaxed);
                Err(Errno::EAGAIN)
            }
            Err(errno) => Err(errno),
        }
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        self.pty.slave_write(buf)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.pty.slave_poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.pty.slave_queue)
    }

    fn ioctl(&self, file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        ioctl::slave(&self.pty, file, mm, cmd, arg)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
