//! /dev/null, /dev/zero and /dev/full.

use abi::{Errno, SysResult};
use std::any::Any;
use vfs::{FileOps, OpenFile};

/// The devices that hold nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mem {
    Null,
    Zero,
    Full,
}

/// Is this /dev/zero? mmap(2) of it is anonymous memory: private as such, shared as a new unnamed
/// file; so it has no [`FileOps::mappable`] of its own.
pub fn is_dev_zero(file: &OpenFile) -> bool {
    file.ops_as::<Mem>() == Some(&Mem::Zero)
}

impl FileOps for Mem {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        if *self == Mem::Null {
            return Ok(0);
        }
        buf.fill(0);
        Ok(buf.len())
    }

    fn write(&self, _file: &OpenFile, buf: &[u8], _offset: u64) -> SysResult<usize> {
        if *self == Mem::Full && !buf.is_empty() {
            return Err(Errno::ENOSPC);
        }
        Ok(buf.len())
    }

    fn append(&self, file: &OpenFile, buf: &[u8]) -> SysResult<(usize, u64)> {
        Ok((self.write(file, buf, 0)?, 0))
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
