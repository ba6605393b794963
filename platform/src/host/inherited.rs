//! Descriptors that a process was started with, at numbers agreed on beforehand.

use super::check;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes over an inherited descriptor, once. To be called at the start of `main`, before anything
/// opens a file: only then can the number belong to nobody else.
///
/// # Errors
/// EBADF where there is none; EINVAL for the standard streams (which the standard library keeps
/// for itself), for numbers from 64 on, and for what was taken before.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    if !(3..64).contains(&number) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a number.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    if TAKEN.fetch_or(1 << number, Ordering::Relaxed) >> number & 1 == 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is open, and as the caller promises nobody in this process owns it: it is not
    // one of the standard streams, and was not taken before.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_be_taken() {
        for number in [-1, 0, 1, 2, 64, RawFd::MAX] {
            assert_eq!(take(number).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(take(63).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
