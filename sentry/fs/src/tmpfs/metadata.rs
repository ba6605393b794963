//! The attributes of an inode that change.

use super::xattr::Xattrs;
use abi::time::Timespec;
use vfs::{SetAttr, TimeChange};

const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;
const S_IXGRP: u32 = 0o010;
/// How old an access time may get before a read updates it anyway (relatime).
const RELATIME_SECONDS: i64 = 24 * 3600;

/// The present, on the clock that file times are taken from.
pub(crate) fn now() -> Timespec {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(Timespec::from).unwrap_or_default()
}

pub(super) struct Metadata {
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub nlink: u32,
    /// A file without a link may get one: made by O_TMPFILE, and not unlinked since.
    pub linkable: bool,
    pub atime: Timespec,
    pub mtime: Timespec,
    pub ctime: Timespec,
    pub btime: Timespec,
    pub xattrs: Xattrs,
}

impl Metadata {
    /// All but the size.
    pub fn apply(&mut self, change: &SetAttr) {
        let now = now();
        let resolve = |time: TimeChange| match time {
            TimeChange::Now => now,
            TimeChange::At(time) => time,
        };
        self.mode = change.mode.map_or(self.mode, |mode| mode & 0o7777);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        self.atime = change.atime.map_or(self.atime, resolve);
        self.mtime = change.mtime.map_or(self.mtime, resolve);
        self.ctime = now;
    }

    /// The data were read: relatime.
    pub fn accessed(&mut self) {
        let now = now();
        if self.atime <= self.mtime
            || self.atime <= self.ctime
            || now.sec - self.atime.sec >= RELATIME_SECONDS
        {
            self.atime = now;
        }
    }

    /// The data, or a directory's entries, were changed.
    pub fn modified(&mut self) {
        let now = now();
        self.mtime = now;
        self.ctime = now;
    }

    /// A regular file was written to: what made it run as its owner goes. (Linux spares writers
    /// with CAP_FSETID; who writes is not known here.)
    pub fn written(&mut self) {
        self.modified();
        if self.mode & (S_ISUID | S_ISGID) != 0 {
            self.mode &= !S_ISUID;
            if self.mode & S_IXGRP != 0 {
                self.mode &= !S_ISGID;
            }
        }
    }

    pub fn changed(&mut self) {
        self.ctime = now();
    }
}
