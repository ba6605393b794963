//! /dev/random and /dev/urandom, which are the same but for the time before the host has enough
//! entropy, long past when a sandbox starts.

use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use rustix::rand::{GetRandomFlags, getrandom};
use std::any::Any;
use vfs::{FileOps, OpenFile};
use wait::WaitQueue;

/// Bytes from the host's generator.
#[derive(Default)]
pub(super) struct Random {
    /// Never notified: it is always ready. It is there because epoll takes this device, unlike
    /// /dev/null.
    queue: WaitQueue,
}

/// RNDGETENTCNT: the entropy estimate, in bits.
const RNDGETENTCNT: u32 = 0x8004_5200;
/// RNDADDTOENTCNT, RNDADDENTROPY, RNDZAPENTCNT, RNDCLEARPOOL, RNDRESEEDCRNG: for the host's
/// administrator.
const ADMIN: [u32; 5] = [0x4004_5201, 0x4008_5203, 0x5204, 0x5206, 0x5207];
/// What Linux always answers once the generator is seeded.
const POOL_BITS: i32 = 256;

impl FileOps for Random {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        let mut done = 0;
        while done < buf.len() {
            match getrandom(&mut buf[done..], GetRandomFlags::empty()) {
                Ok(count) => done += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) if done == 0 => return Err(Errno::from_raw(error.raw_os_error())),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Adds to the pool on Linux; the host's pool is not the guest's to stir.
    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        Ok(buf.len())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn ioctl(&self, _file: &OpenFile, mm: &MemoryManager, cmd: u32, arg: u64) -> SysResult<u64> {
        match cmd {
            RNDGETENTCNT => mm.write(UserAddr(arg), &POOL_BITS).map(|()| 0),
            cmd if ADMIN.contains(&cmd) => Err(Errno::EPERM),
            _ => Err(Errno::EINVAL),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
