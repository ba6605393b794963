//! The guest's buffers, and what data passes through on its way.

use abi::file::IoVec;
use abi::{Errno, SysResult, UserAddr};
use kernel::TaskContext;
use mm::MemoryManager;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// MAX_RW_COUNT: the most that one call transfers.
pub(super) const MAX_RW_COUNT: usize = 0x7fff_f000;

/// UIO_MAXIOV.
pub(super) const MAX_VECTORS: usize = 1024;

/// The most that is in the sentry's memory at once.
pub(super) const CHUNK: usize = 256 << 10;

/// The longest message of a socket: what Linux lets SO_SNDBUF be set to, rounded up.
pub(super) const MAX_MESSAGE: usize = 512 << 10;

/// TASK_SIZE_MAX: guest addresses are below.
const ADDRESS_END: u64 = 0x7fff_ffff_f000;

/// The buffers of one transfer, as if they were one.
pub(super) struct UserBuffers {
    vectors: Vectors,
    len: usize,
}

enum Vectors {
    One([IoVec; 1]),
    Many(Vec<IoVec>),
}

fn check_range(base: u64, len: u64) -> SysResult<()> {
    match base.checked_add(len) {
        Some(end) if end <= ADDRESS_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

impl UserBuffers {
    /// One buffer. EFAULT where it cannot be the guest's.
    pub fn one(addr: UserAddr, len: usize) -> SysResult<UserBuffers> {
        check_range(addr.0, len as u64)?;
        let len = len.min(MAX_RW_COUNT);
        let vectors = Vectors::One([IoVec { base: addr.0, len: len as u64 }]);
        Ok(UserBuffers { vectors, len })
    }

    /// Those of readv(2). EINVAL for more than 1024 and for a length below zero; EFAULT.
    pub fn read(cx: &TaskContext<'_>, addr: UserAddr, count: usize) -> SysResult<UserBuffers> {
        let vectors = cx.mm().read_array(addr, count as u64, MAX_VECTORS)?;
        UserBuffers::from_vectors(vectors)
    }

    fn from_vectors(mut vectors: Vec<IoVec>) -> SysResult<UserBuffers> {
        if vectors.iter().any(|vector| vector.len > i64::MAX as u64) {
            return Err(Errno::EINVAL);
        }
        let mut len = 0;
        for vector in &mut vectors {
            check_range(vector.base, vector.len)?;
            // As Linux: what is beyond the most that can be transferred is left out.
            vector.len = vector.len.min((MAX_RW_COUNT - len) as u64);
            len += vector.len as usize;
        }
        Ok(UserBuffers { vectors: Vectors::Many(vectors), len })
    }

    /// All their bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No more than the first `len` bytes.
    pub fn limit(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn vectors(&self) -> &[IoVec] {
        match &self.vectors {
            Vectors::One(one) => one,
            Vectors::Many(many) => many,
        }
    }

    /// Calls `copy` for the pieces of the `len` bytes at `offset`, each with where it is in those
    /// bytes, until one is cut short. EFAULT where nothing at all could be copied.
    fn pieces(
        &self,
        offset: usize,
        len: usize,
        mut copy: impl FnMut(UserAddr, std::ops::Range<usize>) -> SysResult<usize>,
    ) -> SysResult<usize> {
        let (mut skip, mut done) = (offset as u64, 0);
        for vector in self.vectors() {
            if done == len {
                break;
            }
            if skip >= vector.len {
                skip -= vector.len;
                continue;
            }
            let want = ((vector.len - skip) as usize).min(len - done);
            match copy(UserAddr(vector.base + skip), done..done + want) {
                Ok(n) => {
                    done += n;
                    if n < want {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
            skip = 0;
        }
        Ok(done)
    }

    /// Copies the bytes from `offset` on out of guest memory: how many, up to the first that cannot
    /// be read. EFAULT if none.
    pub fn copy_in(&self, mm: &MemoryManager, offset: usize, buf: &mut [u8]) -> SysResult<usize> {
        self.pieces(offset, buf.len(), |addr, part| mm.read_partial(addr, &mut buf[part]))
    }

    /// Copies into guest memory, likewise.
    pub fn copy_out(&self, mm: &MemoryManager, offset: usize, buf: &[u8]) -> SysResult<usize> {
        self.pieces(offset, buf.len(), |addr, part| mm.write_partial(addr, &buf[part]))
    }
}

thread_local! {
    /// Kept from call to call, as making and clearing one costs more than a short call.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Memory for data on its way, at most [`CHUNK`] bytes (or [`MAX_MESSAGE`]). What is in it at first may be anything.
pub(super) struct Bounce {
    memory: Vec<u8>,
    len: usize,
}

impl Bounce {
    /// For a transfer of `len` bytes.
    pub fn new(len: usize) -> Bounce {
        Bounce::with(len.min(CHUNK))
    }

    /// For a message that must not be cut in two.
    pub fn for_message(len: usize) -> Bounce {
        Bounce::with(len.min(MAX_MESSAGE))
    }

    fn with(len: usize) -> Bounce {
        let mut memory = SPARE.take();
        if memory.len() < len {
            memory.resize(len.next_power_of_two(), 0);
        }
        Bounce { memory, len }
    }
}

impl Deref for Bounce {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl DerefMut for Bounce {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }
}

impl Drop for Bounce {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(base: u64, len: u64) -> IoVec {
        IoVec { base, len }
    }

    fn pieces(buffers: &UserBuffers, offset: usize, len: usize) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        let all = buffers.pieces(offset, len, |addr, part| {
            found.push((addr.0, part.len()));
            Ok(part.len())
        });
        assert_eq!(all, Ok(found.iter().map(|(_, len)| len).sum()));
        found
    }

    #[test]
    fn many_buffers_are_like_one() {
        let vectors = vec![vector(0x1000, 3), vector(0x2000, 0), vector(0x3000, 5)];
        let buffers = UserBuffers::from_vectors(vectors).unwrap();
        assert_eq!(buffers.len(), 8);
        assert_eq!(pieces(&buffers, 0, 8), [(0x1000, 3), (0x3000, 5)]);
        assert_eq!(pieces(&buffers, 2, 3), [(0x1002, 1), (0x3000, 2)]);
        assert_eq!(pieces(&buffers, 3, 5), [(0x3000, 5)]);
        assert_eq!(pieces(&buffers, 8, 1), []);
    }

    #[test]
    fn a_fault_cuts_short() {
        let buffers = UserBuffers::from_vectors(vec![vector(1, 4), vector(9, 4)]).unwrap();
        let copy =
            |bad: u64| {
                buffers.pieces(0, 8, |addr, part| {
                    if addr.0 == bad { Err(Errno::EFAULT) } else { Ok(part.len()) }
                })
            };
        assert_eq!((copy(1), copy(9), copy(0)), (Err(Errno::EFAULT), Ok(4), Ok(8)));
        assert_eq!(buffers.pieces(0, 8, |_, _| Ok(2)), Ok(2));
    }

    #[test]
    fn limits_are_those_of_linux() {
        let check = |vectors| UserBuffers::from_vectors(vectors).map(|buffers| buffers.len());
        assert_eq!(check(vec![vector(0, u64::MAX)]), Err(Errno::EINVAL));
        assert_eq!(check(vec![vector(u64::MAX, 1)]), Err(Errno::EFAULT));
        assert_eq!(check(vec![vector(0, 1 << 40), vector(0, 5)]), Ok(MAX_RW_COUNT));
        assert!(UserBuffers::one(UserAddr(ADDRESS_END), 1).is_err());
        assert!(UserBuffers::one(UserAddr(0), 0).is_ok());
    }

    #[test]
    fn memory_is_kept_for_the_next_call() {
        let address = |len| Bounce::new(len).as_ptr() as usize;
        let first = address(5000);
        assert_eq!(address(6000), first);
        assert_eq!(Bounce::new(1 << 30).len(), CHUNK);
    }
}
