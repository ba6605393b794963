//! Linux error numbers as they cross the socket.

use std::fmt;

/// A Linux error number, between 1 and 4095. See `errno(3)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident $text:literal)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Errno = Errno(libc::$name);)*

            fn name(self) -> Option<&'static str> {
                match self { $(Errno::$name => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

errnos! {
    EPERM "Operation not permitted."
    ENOENT "No such file or directory."
    EINTR "Interrupted."
    EIO "Input/output error; also every call to a gofer that has died."
    ENXIO "No such device: opening a socket as a file."
    EBADF "Not a node that the gofer knows."
    EACCES "Permission denied."
    EEXIST "File exists."
    EXDEV "Link or rename from one root to another."
    ENOTDIR "Not a directory."
    EISDIR "Is a directory."
    EINVAL "Invalid argument."
    EMFILE "Too many open files in this process."
    ENFILE "Too many nodes, or too many open files on the host."
    EROFS "The root is read-only."
    ERANGE "Result too large."
    ENAMETOOLONG "File name too long."
    ENOTEMPTY "Directory not empty."
    ELOOP "A symbolic link where none may be."
    ENODATA "No such extended attribute."
    EPROTO "A message that could not be decoded."
    EOPNOTSUPP "Operation not supported."
    ESTALE "The name no longer leads to the file that the node stands for: walk again."
    EAGAIN "Try again."
}

impl Errno {
    /// An errno from a number received or computed; one that Linux could not return becomes EIO.
    pub fn from_raw(number: i32) -> Errno {
        if (1..=4095).contains(&number) { Errno(number) } else { Errno::EIO }
    }

    /// The number, as in `errno.h`.
    pub fn raw(self) -> i32 {
        self.0
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Errno {
        Errno::from_raw(errno.raw_os_error())
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> std::io::Error {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&std::io::Error::from_raw_os_error(self.0), f)
    }
}

impl std::error::Error for Errno {}
