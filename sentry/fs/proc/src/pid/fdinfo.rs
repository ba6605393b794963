//! fdinfo: position and flags of each descriptor.

use super::fd::Descriptors;
use super::{Subject, part};
use crate::node::Flavor;
use crate::node::dir::{DirInode, Directory};
use crate::node::intern::Interned;
use crate::node::text::{Text, TextInode};
use abi::file::{FileType, OpenFlags};
use abi::{Errno, SysResult};
use vfs::{Attr, Credentials, DirSink, Fd, InodeRef, OpenFile};

/// The directory.
pub(super) fn dir(subject: Subject, parent: u64, ino: u64) -> InodeRef {
    let list = Descriptors { subject, kind: FileType::Regular, part: part::FDINFO };
    DirInode::make(FdInfoDir { list, parent, ino, held: Interned::default() })
}

struct FdInfoDir {
    list: Descriptors,
    parent: u64,
    ino: u64,
    held: Interned<Fd>,
}

impl Directory for FdInfoDir {
    fn flavor(&self) -> Flavor {
        self.list.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        self.list.subject.attr(self.flavor().attr(FileType::Directory, 0o555, self.ino))
    }

    fn parent_ino(&self) -> u64 {
        self.parent
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        self.list.subject.task_to_inspect()?;
        let fd = self.list.find(name)?;
        let ino = self.list.ino(fd);
        let subject = &self.list.subject;
        Ok(self.held.get(fd, || TextInode::make(FdInfo { subject: subject.clone(), fd, ino })))
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        self.list.subject.task_to_inspect()?;
        self.list.list(pos, sink)
    }

    fn permission(&self, cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        Some(self.list.permission(self.attr(), cred, mask))
    }
}

struct FdInfo {
    subject: Subject,
    fd: Fd,
    ino: u64,
}

impl Text for FdInfo {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        self.subject.attr(self.flavor().attr(FileType::Regular, 0o444, self.ino))
    }

    fn generate(&self) -> SysResult<Vec<u8>> {
        let files = self.subject.task()?.files();
        let file = files.get(self.fd).map_err(|_| Errno::ENOENT)?;
        let close_on_exec = files.close_on_exec(self.fd).unwrap_or(false);
        let ino = file.path().inode().attr()?.ino;
        // This very file may be the one that is read now: its position is locked then.
        let (pos, mount) = (file.try_pos().unwrap_or(0), file.path().mount.id());
        Ok(format(pos, shown_flags(&file, close_on_exec), mount, ino).into_bytes())
    }

    fn store(&self, _data: &[u8]) -> SysResult<()> {
        Err(Errno::EINVAL)
    }
}

/// The flags as the kernel has them: with O_CLOEXEC, and O_LARGEFILE for what was opened by name.
fn shown_flags(file: &OpenFile, close_on_exec: bool) -> OpenFlags {
    let dentry = &file.path().dentry;
    let has_name = dentry.parent().is_some() || !dentry.is_unlinked();
    let mut flags = file.flags();
    flags.set(OpenFlags::CLOEXEC, close_on_exec);
    if has_name && !flags.contains(OpenFlags::PATH) {
        flags |= OpenFlags::LARGEFILE;
    }
    flags
}

fn format(pos: u64, flags: OpenFlags, mount: u64, ino: u64) -> String {
    format!("pos:\t{pos}\nflags:\t0{:o}\nmnt_id:\t{mount}\nino:\t{ino}\n", flags.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_linux_writes_it() {
        let flags = OpenFlags::RDWR | OpenFlags::LARGEFILE;
        assert_eq!(format(7, flags, 26, 9), "pos:\t7\nflags:\t0100002\nmnt_id:\t26\nino:\t9\n");
    }
}
