//! Memory files.

use std::ffi::CStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// memfd_create(2), close-on-exec, that can never be executed by exec (where the host knows that).
pub fn memfd(name: &CStr) -> io::Result<OwnedFd> {
    let create = |flags: libc::c_uint| {
        // SAFETY: a live string and a number.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    create(libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL).or_else(|_| create(libc::MFD_CLOEXEC))
}
