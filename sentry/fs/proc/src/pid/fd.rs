//! fd: a link for each descriptor, to what is open there.

use super::entry::ino;
use super::{Subject, part};
use crate::node::Flavor;
use crate::node::dir::{DirInode, Directory, FIRST};
use crate::node::intern::Interned;
use crate::node::link::{Link, LinkInode};
use crate::root::parse_pid;
use abi::file::{FileType, OpenFlags};
use abi::{Errno, SysResult};
use std::sync::Arc;
use vfs::{Attr, Credentials, DirEntry, DirSink, Fd, InodeRef, LinkTarget, OpenFile};

/// The directory.
pub(super) fn dir(subject: Subject, parent: u64, ino: u64) -> InodeRef {
    let list = Descriptors { subject, kind: FileType::Symlink, part: part::FD };
    DirInode::make(FdDir { list, parent, ino, held: Interned::default() })
}

/// The descriptors of a task as directory entries: fd and fdinfo list the same names.
pub(super) struct Descriptors {
    pub subject: Subject,
    pub kind: FileType,
    pub part: u64,
}

impl Descriptors {
    /// The descriptor that `name` names. ENOENT where it is not open.
    pub fn find(&self, name: &[u8]) -> SysResult<Fd> {
        let fd = Fd(parse_pid(name)?);
        self.file(fd)?;
        Ok(fd)
    }

    /// What is open there. ENOENT.
    pub fn file(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        self.subject.task()?.files().get(fd).map_err(|_| Errno::ENOENT)
    }

    /// As [`Directory::list`]: a descriptor's position is its number.
    pub fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        let open = self.subject.task()?.files().list();
        for (fd, ..) in open {
            let at = FIRST + fd.0 as u64;
            let name = fd.0.to_string();
            let entry = DirEntry {
                ino: self.ino(fd),
                next: at + 1,
                kind: self.kind,
                name: name.as_bytes(),
            };
            if at >= pos && !sink(entry) {
                break;
            }
        }
        Ok(())
    }

    pub fn ino(&self, fd: Fd) -> u64 {
        ino(&self.subject, self.part, fd.0 as u64)
    }

    /// A task may always look at its own, whatever the mode says.
    pub fn permission(
        &self,
        attr: SysResult<Attr>,
        cred: &Credentials,
        mask: u32,
    ) -> SysResult<()> {
        cred.check(&attr?, mask).or_else(|errno| {
            let caller = kernel::current().ok_or(errno)?;
            let live = self.subject.live()?;
            if Arc::ptr_eq(caller.group(), &live.group) { Ok(()) } else { Err(errno) }
        })
    }
}

struct FdDir {
    list: Descriptors,
    parent: u64,
    ino: u64,
    held: Interned<Fd>,
}

impl Directory for FdDir {
    fn flavor(&self) -> Flavor {
        self.list.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        let attr = self.flavor().attr(FileType::Directory, 0o500, self.ino);
        let open = self.list.subject.task().map_or(0, |task| task.files().list().len());
        self.list.subject.attr(Attr { size: open as u64, ..attr })
    }

    fn parent_ino(&self) -> u64 {
        self.parent
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        let fd = self.list.find(name)?;
        let ino = self.list.ino(fd);
        let subject = &self.list.subject;
        Ok(self.held.get(fd, || LinkInode::make(FdLink { subject: subject.clone(), fd, ino })))
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        self.list.list(pos, sink)
    }

    fn permission(&self, cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        Some(self.list.permission(self.attr(), cred, mask))
    }
}

struct FdLink {
    subject: Subject,
    fd: Fd,
    ino: u64,
}

/// The mode shows how the descriptor is open: read, write.
fn mode(flags: OpenFlags) -> u32 {
    let read = if flags.readable() { 0o500 } else { 0 };
    let write = if flags.writable() { 0o300 } else { 0 };
    read | write
}

impl Link for FdLink {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        let files = self.subject.task()?.files();
        let flags = files.get(self.fd).map_err(|_| Errno::ENOENT)?.flags();
        let attr = self.flavor().attr(FileType::Symlink, mode(flags), self.ino);
        self.subject.attr(Attr { size: 64, ..attr })
    }

    fn target(&self) -> SysResult<LinkTarget> {
        let files = self.subject.task_to_inspect()?.files();
        let file = files.get(self.fd).map_err(|_| Errno::ENOENT)?;
        Ok(LinkTarget::Magic(file.path().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_says_how_it_is_open() {
        assert_eq!(mode(OpenFlags::empty()), 0o500);
        assert_eq!(mode(OpenFlags::WRONLY), 0o300);
        assert_eq!(mode(OpenFlags::RDWR), 0o700);
        assert_eq!(mode(OpenFlags::PATH), 0);
    }
}
