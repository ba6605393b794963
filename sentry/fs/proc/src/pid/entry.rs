//! What the files of /proc/PID are: an entry of the table, about a [`Subject`].

use super::{Live, Subject, TABLE, access};
use crate::node::Flavor;
use crate::node::dir::{DirInode, Directory, FIRST};
use crate::node::intern::Interned;
use crate::node::link::{Link, LinkInode};
use crate::node::text::{Text, TextInode};
use abi::file::FileType;
use abi::{Errno, SysResult};
use kernel::Pid;
use vfs::cred::MAY_WRITE;
use vfs::{Attr, Credentials, DirEntry, DirSink, InodeRef, LinkTarget};

/// Makes a text.
pub(super) type Generate = fn(&Live) -> SysResult<Vec<u8>>;
/// Takes a write.
pub(super) type Store = fn(&Live, &[u8]) -> SysResult<()>;
/// Finds where a link leads.
pub(super) type Target = fn(&Subject) -> SysResult<LinkTarget>;
/// Makes an inode, given `st_ino` of the directory it is in, and its own.
pub(super) type Make = fn(Subject, u64, u64) -> InodeRef;

/// Where a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Both,
    /// In /proc/PID only.
    Process,
    /// In /proc/PID/task/TID only.
    Thread,
}

/// What a file is.
pub(super) enum Node {
    /// `guarded`: opening needs the right to look into the process.
    Text {
        generate: Generate,
        guarded: bool,
        store: Option<Store>,
    },
    Link(Target),
    Other(Make),
}

/// A file.
pub(super) struct Entry {
    pub name: &'static str,
    pub mode: u32,
    pub scope: Scope,
    pub node: Node,
}

impl Entry {
    fn is_in(&self, whole: bool) -> bool {
        match self.scope {
            Scope::Both => true,
            Scope::Process => whole,
            Scope::Thread => !whole,
        }
    }

    fn kind(&self) -> FileType {
        match self.node {
            Node::Text { .. } => FileType::Regular,
            Node::Link(_) => FileType::Symlink,
            Node::Other(_) if self.mode & 0o111 != 0 => FileType::Directory,
            Node::Other(_) => FileType::Regular,
        }
    }
}

/// `st_ino` of a file of a process or thread. `part` below 512: which; `number` below 2^22: which
/// of several (a descriptor). Ids are below 2^22 too, so no two are the same.
pub(super) fn ino(subject: &Subject, part: u64, number: u64) -> u64 {
    dir_ino(subject.tid(), subject.is_whole()) | part << 22 | number & 0x3f_ffff
}

/// `st_ino` of /proc/PID (`whole`) or /proc/PID/task/TID.
pub(crate) fn dir_ino(tid: Pid, whole: bool) -> u64 {
    (tid.max(0) as u64) << 32 | u64::from(!whole) << 31
}

fn entry_ino(subject: &Subject, index: usize) -> u64 {
    ino(subject, index as u64 + 1, 0)
}

/// The directory of a process or a thread, in the directory numbered `parent`.
pub(crate) fn process_dir(subject: Subject, parent: u64) -> InodeRef {
    DirInode::make(PidDir { subject, parent, held: Interned::default() })
}

struct PidDir {
    subject: Subject,
    parent: u64,
    held: Interned<usize>,
}

impl PidDir {
    fn ino(&self) -> u64 {
        dir_ino(self.subject.tid(), self.subject.is_whole())
    }

    fn entries(&self) -> impl Iterator<Item = (usize, &'static Entry)> {
        let whole = self.subject.is_whole();
        TABLE.iter().enumerate().filter(move |(_, entry)| entry.is_in(whole))
    }

    fn make(&self, index: usize, entry: &'static Entry) -> InodeRef {
        let ino = entry_ino(&self.subject, index);
        let file = File { subject: self.subject.clone(), entry, ino };
        match entry.node {
            Node::Text { .. } => TextInode::make(file),
            Node::Link(_) => LinkInode::make(file),
            Node::Other(make) => make(self.subject.clone(), self.ino(), ino),
        }
    }
}

impl Directory for PidDir {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        let attr = self.flavor().attr(FileType::Directory, 0o555, self.ino());
        let subdirs = self.entries().filter(|(_, e)| e.kind() == FileType::Directory).count();
        self.subject.attr(Attr { nlink: 2 + subdirs as u32, ..attr })
    }

    fn parent_ino(&self) -> u64 {
        self.parent
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        self.subject.live().map_err(|_| Errno::ENOENT)?;
        let found = self.entries().find(|(_, entry)| entry.name.as_bytes() == name);
        let (index, entry) = found.ok_or(Errno::ENOENT)?;
        Ok(self.held.get(index, || self.make(index, entry)))
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        self.subject.live().map_err(|_| Errno::ENOENT)?;
        for ((index, entry), at) in self.entries().zip(FIRST..).filter(|(_, at)| *at >= pos) {
            let entry = DirEntry {
                ino: entry_ino(&self.subject, index),
                next: at + 1,
                kind: entry.kind(),
                name: entry.name.as_bytes(),
            };
            if !sink(entry) {
                break;
            }
        }
        Ok(())
    }
}

struct File {
    subject: Subject,
    entry: &'static Entry,
    ino: u64,
}

impl File {
    fn attr(&self) -> SysResult<Attr> {
        let flavor = self.subject.proc.flavor;
        self.subject.attr(flavor.attr(self.entry.kind(), self.entry.mode, self.ino))
    }
}

impl Text for File {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        File::attr(self)
    }

    fn check_open(&self) -> SysResult<()> {
        match self.entry.node {
            Node::Text { guarded: true, .. } => access::check(&self.subject.live()?),
            _ => Ok(()),
        }
    }

    fn generate(&self) -> SysResult<Vec<u8>> {
        match self.entry.node {
            Node::Text { generate, .. } => generate(&self.subject.live()?),
            _ => Err(Errno::EINVAL),
        }
    }

    fn store(&self, data: &[u8]) -> SysResult<()> {
        match self.entry.node {
            Node::Text { store: Some(store), .. } => store(&self.subject.live()?, data),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A process may always write its own name.
    fn permission(&self, _cred: &Credentials, mask: u32) -> Option<SysResult<()>> {
        if self.entry.name != "comm" || mask & MAY_WRITE == 0 {
            return None;
        }
        let (caller, live) = (kernel::current()?, self.subject.live().ok()?);
        std::sync::Arc::ptr_eq(caller.group(), &live.group).then_some(Ok(()))
    }
}

impl Link for File {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        File::attr(self)
    }

    fn target(&self) -> SysResult<LinkTarget> {
        match self.entry.node {
            Node::Link(target) => target(&self.subject),
            _ => Err(Errno::EINVAL),
        }
    }
}
