//! open(2), fcntl(2), poll(2), getdents(2), uio structures and flags.

#![allow(missing_docs)] // bitflags' own constants; each is described in its man page

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// The flags of open(2), access mode included (the low two bits).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[allow(missing_docs)]
    pub struct OpenFlags: u32 {
        const WRONLY = libc::O_WRONLY as u32;
        const RDWR = libc::O_RDWR as u32;
        const CREAT = libc::O_CREAT as u32;
        const EXCL = libc::O_EXCL as u32;
        const NOCTTY = libc::O_NOCTTY as u32;
        const TRUNC = libc::O_TRUNC as u32;
        const APPEND = libc::O_APPEND as u32;
        const NONBLOCK = libc::O_NONBLOCK as u32;
        const DSYNC = libc::O_DSYNC as u32;
        const ASYNC = libc::O_ASYNC as u32;
        const DIRECT = libc::O_DIRECT as u32;
        /// What O_LARGEFILE is in the kernel; always 0 in user space on x86-64.
        const LARGEFILE = 0o100000;
        const DIRECTORY = libc::O_DIRECTORY as u32;
        const NOFOLLOW = libc::O_NOFOLLOW as u32;
        const NOATIME = libc::O_NOATIME as u32;
        const CLOEXEC = libc::O_CLOEXEC as u32;
        /// The bit that O_SYNC has beyond O_DSYNC.
        const SYNC_ONLY = 0o4000000;
        const PATH = libc::O_PATH as u32;
        /// The bit that O_TMPFILE has beyond O_DIRECTORY.
        const TMPFILE_ONLY = 0o20000000;
        const SYNC = Self::SYNC_ONLY.bits() | Self::DSYNC.bits();
        const TMPFILE = Self::TMPFILE_ONLY.bits() | Self::DIRECTORY.bits();
    }
}

impl OpenFlags {
    /// May the description be read from (access mode O_RDONLY or O_RDWR)?
    pub fn readable(self) -> bool {
        !self.contains(OpenFlags::PATH) && self.bits() & 3 != 1 && self.bits() & 3 != 3
    }

    /// May the description be written to (access mode O_WRONLY or O_RDWR)?
    pub fn writable(self) -> bool {
        !self.contains(OpenFlags::PATH) && (self.bits() & 3 == 1 || self.bits() & 3 == 2)
    }
}

bitflags! {
    /// Readiness, in the terms of poll(2) and epoll(7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    #[allow(missing_docs)]
    pub struct PollEvents: u32 {
        const IN = libc::POLLIN as u32;
        const PRI = libc::POLLPRI as u32;
        const OUT = libc::POLLOUT as u32;
        const ERR = libc::POLLERR as u32;
        const HUP = libc::POLLHUP as u32;
        const NVAL = libc::POLLNVAL as u32;
        const RDNORM = libc::POLLRDNORM as u32;
        const RDBAND = libc::POLLRDBAND as u32;
        const WRNORM = libc::POLLWRNORM as u32;
        const WRBAND = libc::POLLWRBAND as u32;
        const RDHUP = libc::POLLRDHUP as u32;
    }
}

/// `struct iovec`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
pub struct IoVec {
    /// iov_base: a guest address.
    pub base: u64,
    /// iov_len, in bytes.
    pub len: u64,
}

/// `struct pollfd`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct PollFd {
    pub fd: i32,
    pub events: i16,
    pub revents: i16,
}

/// `struct flock` (64 bit).
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[allow(missing_docs)]
pub struct Flock {
    pub kind: i16,
    pub whence: i16,
    pub pad0: u32,
    pub start: i64,
    pub len: i64,
    pub pid: i32,
    pub pad1: u32,
}

/// What kind of file an inode is; the values are the S_IFMT bits of `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum FileType {
    Fifo = libc::S_IFIFO,
    CharDevice = libc::S_IFCHR,
    Directory = libc::S_IFDIR,
    BlockDevice = libc::S_IFBLK,
    Regular = libc::S_IFREG,
    Symlink = libc::S_IFLNK,
    Socket = libc::S_IFSOCK,
}

impl FileType {
    /// From `st_mode`. None where the S_IFMT bits name no type.
    pub fn from_mode(mode: u32) -> Option<FileType> {
        Some(match mode & libc::S_IFMT {
            libc::S_IFIFO => FileType::Fifo,
            libc::S_IFCHR => FileType::CharDevice,
            libc::S_IFDIR => FileType::Directory,
            libc::S_IFBLK => FileType::BlockDevice,
            libc::S_IFREG => FileType::Regular,
            libc::S_IFLNK => FileType::Symlink,
            libc::S_IFSOCK => FileType::Socket,
            _ => return None,
        })
    }

    /// The S_IFMT bits.
    pub fn mode_bits(self) -> u32 {
        self as u32
    }

    /// The `d_type` of getdents64(2).
    pub fn dirent_type(self) -> u8 {
        (self.mode_bits() >> 12) as u8
    }
}
