//! eventfd(2): a counter that one side adds to and the other waits for.
//!
//! Locks: one, a leaf. Waiters are woken after it is released.

use abi::file::PollEvents;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// The counter.
pub struct EventFd {
    count: Mutex<u64>,
    /// EFD_SEMAPHORE: each read takes one.
    semaphore: bool,
    queue: WaitQueue,
}

/// The most a write can leave in the counter.
const MAX: u64 = u64::MAX - 1;

impl EventFd {
    /// A counter at `initial`. The name for /proc/PID/fd is `[eventfd]`: see
    /// [`crate::anon::open_file`].
    pub fn new(initial: u32, semaphore: bool) -> Arc<EventFd> {
        let count = Mutex::new(u64::from(initial));
        Arc::new(EventFd { count, semaphore, queue: WaitQueue::new() })
    }

    /// Takes the count, or one of it. EAGAIN at zero.
    pub fn take(&self) -> SysResult<u64> {
        let mut count = self.count.lock();
        if *count == 0 {
            return Err(Errno::EAGAIN);
        }
        let taken = if self.semaphore { 1 } else { *count };
        *count -= taken;
        drop(count);
        self.queue.notify((PollEvents::OUT | PollEvents::WRNORM).bits());
        Ok(taken)
    }

    /// Adds to the count. EAGAIN where it would go beyond 2^64 - 2, EINVAL for 2^64 - 1.
    pub fn add(&self, value: u64) -> SysResult<()> {
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        let mut count = self.count.lock();
        if value > MAX - *count {
            return Err(Errno::EAGAIN);
        }
        *count += value;
        drop(count);
        // Each write wakes: edge-triggered epoll users count writes, not transitions.
        self.queue.notify((PollEvents::IN | PollEvents::RDNORM).bits());
        Ok(())
    }

    /// The count now, for /proc/PID/fdinfo.
    pub fn count(&self) -> u64 {
        *self.count.lock()
    }
}

impl FileOps for EventFd {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        let Some(out) = buf.first_chunk_mut() else { return Err(Errno::EINVAL) };
        *out = self.take()?.to_ne_bytes();
        Ok(8)
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        let Some(value) = buf.first_chunk() else { return Err(Errno::EINVAL) };
        self.add(u64::from_ne_bytes(*value))?;
        Ok(8)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let count = self.count();
        let mut events = PollEvents::empty();
        if count > 0 {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        if count < MAX {
            events |= PollEvents::OUT | PollEvents::WRNORM;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::file::OpenFlags;
    use wait::Waiter;

    fn open(event: Arc<EventFd>) -> Arc<OpenFile> {
        crate::anon::open_file("eventfd", event, OpenFlags::RDWR)
    }

    #[test]
    fn a_counter() {
        let event = EventFd::new(2, false);
        let file = open(event.clone());
        file.write(&3u64.to_ne_bytes()).unwrap();
        let mut buf = [0; 8];
        assert_eq!(file.read(&mut buf[..7]), Err(Errno::EINVAL));
        assert_eq!(file.read(&mut buf), Ok(8));
        assert_eq!(u64::from_ne_bytes(buf), 5);
        assert_eq!(file.read(&mut buf), Err(Errno::EAGAIN));
        assert_eq!(file.write(&[0; 7]), Err(Errno::EINVAL));
        assert_eq!(&*file.path().dentry.name(), b"anon_inode:[eventfd]");
    }

    #[test]
    fn a_semaphore() {
        let event = EventFd::new(2, true);
        assert_eq!((event.take(), event.take()), (Ok(1), Ok(1)));
        assert_eq!(event.take(), Err(Errno::EAGAIN));
    }

    #[test]
    fn the_end_of_the_range() {
        let event = EventFd::new(0, false);
        let file = open(event.clone());
        assert_eq!(event.add(u64::MAX), Err(Errno::EINVAL));
        event.add(u64::MAX - 1).unwrap();
        assert!(!file.poll().contains(PollEvents::OUT));
        assert_eq!(event.add(1), Err(Errno::EAGAIN));
        assert_eq!(event.add(0), Ok(()));
        assert_eq!(event.take(), Ok(u64::MAX - 1));
        assert_eq!(file.poll(), PollEvents::OUT | PollEvents::WRNORM);
    }

    #[test]
    fn a_reader_is_woken() {
        let event = EventFd::new(0, false);
        let thread = {
            let event = event.clone();
            std::thread::spawn(move || {
                let waiter = Waiter::new();
                let _registration = event.queue.register(PollEvents::IN.bits(), waiter.clone());
                loop {
                    match event.take() {
                        Ok(value) => return value,
                        Err(_) => waiter.wait(None),
                    };
                }
            })
        };
        event.add(7).unwrap();
        assert_eq!(thread.join().unwrap(), 7);
    }
}
