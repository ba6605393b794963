//! The trees that a gofer serves.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::host;
use crate::errno::Errno;
use crate::protocol::{Attr, FileType, OpenFlags};

/// Whether a root may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every change is refused with EROFS.
    ReadOnly,
    /// Changes are done.
    ReadWrite,
}

/// Whether anybody else changes the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody does: what was learned stays true.
    Exclusive,
    /// Somebody may: what was learned must be asked again.
    Shared,
}

/// A directory, or a single file, that the gofer serves.
pub struct Root {
    id: u32,
    access: Access,
    sharing: Sharing,
    special_files: bool,
    attr: Attr,
    fd: Arc<OwnedFd>,
    /// For a root that is a regular file: open for reading, and for writing.
    reader: Option<Arc<OwnedFd>>,
    writer: Option<Arc<OwnedFd>>,
}

impl Root {
    /// A root from an fd; `O_PATH` is enough.
    ///
    /// A regular file (the bind mount of a file) is opened here, through `/proc/self/fd`, since it
    /// has no directory from which it could be opened by name later. All who open such a root get
    /// the same open file description, and must therefore use positional reads and writes.
    pub fn new(id: u32, fd: OwnedFd, access: Access, sharing: Sharing) -> io::Result<Root> {
        let attr = host::stat_fd(&fd)?;
        let (mut reader, mut writer) = (None, None);
        if attr.file_type() == FileType::Regular {
            reader = reopen(&fd, &attr, OFlags::RDONLY).ok();
            if access == Access::ReadWrite {
                writer = reopen(&fd, &attr, OFlags::RDWR).ok();
            }
        }
        let fd = Arc::new(fd);
        Ok(Root { id, access, sharing, special_files: false, attr, fd, reader, writer })
    }

    /// Lets FIFOs and character devices beneath this root be opened. Sockets are still refused.
    #[must_use]
    pub fn allow_special_files(mut self) -> Root {
        self.special_files = true;
        self
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    pub(super) fn shared(&self) -> bool {
        self.sharing == Sharing::Shared
    }

    pub(super) fn attr(&self) -> &Attr {
        &self.attr
    }

    pub(super) fn fd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }

    /// The root itself, opened, if it is a regular file.
    pub(super) fn open_file(&self, flags: OpenFlags) -> Result<Arc<OwnedFd>, Errno> {
        match self.attr.file_type() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EACCES),
        }
        let fd = if flags.is_change() { &self.writer } else { &self.reader };
        fd.clone().ok_or(Errno::EACCES)
    }

    /// Whether a file of this type may be opened here, and if not, why.
    ///
    /// Devices are refused as on a `nodev` mount, sockets as `open(2)` always does.
    pub(super) fn may_open(&self, file_type: FileType) -> Result<(), Errno> {
        match file_type {
            FileType::Regular => Ok(()),
            FileType::Directory => Err(Errno::EISDIR),
            FileType::Symlink => Err(Errno::ELOOP),
            FileType::Socket => Err(Errno::ENXIO),
            FileType::Fifo | FileType::CharDevice if self.special_files => Ok(()),
            _ => Err(Errno::EACCES),
        }
    }
}

fn reopen(fd: &OwnedFd, attr: &Attr, access: OFlags) -> io::Result<Arc<OwnedFd>> {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let opened =
        rustix::fs::open(path, access | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    if !host::stat_fd(&opened)?.same_file(attr) {
        return Err(Errno::ESTALE.into());
    }
    Ok(Arc::new(opened))
}
