//! ns: the namespaces of a process. There is one of each kind, for all processes.

use super::entry::ino as numbered;
use super::{Subject, part};
use crate::node::dir::{DirInode, Directory, FIRST};
use crate::node::intern::Interned;
use crate::node::link::{Link, LinkInode};
use crate::node::{Flavor, set_attr};
use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, SysResult};
use std::any::Any;
use std::sync::Arc;
use vfs::filesystem::anonymous_dev;
use vfs::{
    Attr, Dentry, DirEntry, DirSink, FileOps, FileSystem, Inode, InodeRef, LinkTarget, Mount,
    MountFlags, Path, SetAttr,
};

/// NSFS_MAGIC.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Link, kind, and the number that Linux gives its first namespace of that kind.
const NAMESPACES: [(&str, &str, u64); 10] = [
    ("net", "net", 4_026_531_840),
    ("uts", "uts", 4_026_531_838),
    ("ipc", "ipc", 4_026_531_839),
    ("pid", "pid", 4_026_531_836),
    ("pid_for_children", "pid", 4_026_531_836),
    ("user", "user", 4_026_531_837),
    ("mnt", "mnt", 4_026_531_841),
    ("cgroup", "cgroup", 4_026_531_835),
    ("time", "time", 4_026_531_834),
    ("time_for_children", "time", 4_026_531_834),
];

/// The namespaces: files of an internal file system, of which only these are ever seen.
pub(crate) struct Namespaces {
    mount: Arc<Mount>,
    inodes: Vec<InodeRef>,
}

impl Namespaces {
    pub fn new() -> Namespaces {
        let flavor = Flavor {
            dev: anonymous_dev(),
            magic: NSFS_MAGIC,
            file_size: 0,
            blksize: 4096,
            made: kernel::time::realtime(),
        };
        let make = |ino| Arc::new(Namespace { flavor, ino });
        let root = make(1);
        let inodes = NAMESPACES.iter().map(|(.., ino)| make(*ino) as InodeRef).collect();
        let fs = Arc::new(NsFs { dev: flavor.dev, root });
        Namespaces { mount: Mount::new(fs, MountFlags::default()), inodes }
    }

    /// The place of the namespace with this index.
    fn path(&self, index: usize) -> Option<Path> {
        let (_, kind, ino) = NAMESPACES.get(index)?;
        let name = format!("{kind}:[{ino}]");
        let dentry = Dentry::new_anonymous(name.as_bytes(), self.inodes.get(index)?.clone());
        Some(Path { mount: self.mount.clone(), dentry })
    }
}

struct NsFs {
    dev: u64,
    root: InodeRef,
}

impl FileSystem for NsFs {
    fn name(&self) -> &str {
        "nsfs"
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}

struct Namespace {
    flavor: Flavor,
    ino: u64,
}

impl Inode for Namespace {
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.flavor.attr(FileType::Regular, 0o444, self.ino))
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        set_attr(change)
    }

    fn open(&self, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        if flags.writable() { Err(Errno::EPERM) } else { Ok(Arc::new(OpenNamespace)) }
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(self.flavor.statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open namespace can only be held and compared.
struct OpenNamespace;

impl FileOps for OpenNamespace {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The directory.
pub(super) fn dir(subject: Subject, parent: u64, ino: u64) -> InodeRef {
    DirInode::make(NsDir { subject, parent, ino, held: Interned::default() })
}

struct NsDir {
    subject: Subject,
    parent: u64,
    ino: u64,
    held: Interned<usize>,
}

impl Directory for NsDir {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        self.subject.attr(self.flavor().attr(FileType::Directory, 0o511, self.ino))
    }

    fn parent_ino(&self) -> u64 {
        self.parent
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        self.subject.task()?;
        let index = NAMESPACES.iter().position(|(link, ..)| link.as_bytes() == name);
        let index = index.ok_or(Errno::ENOENT)?;
        let ino = numbered(&self.subject, part::NS, index as u64);
        let link = || LinkInode::make(NsLink { subject: self.subject.clone(), index, ino });
        Ok(self.held.get(index, link))
    }

    fn list(&self, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        for ((index, (name, ..)), at) in NAMESPACES.iter().enumerate().zip(FIRST..) {
            let entry = DirEntry {
                ino: numbered(&self.subject, part::NS, index as u64),
                next: at + 1,
                kind: FileType::Symlink,
                name: name.as_bytes(),
            };
            if at >= pos && !sink(entry) {
                break;
            }
        }
        Ok(())
    }
}

struct NsLink {
    subject: Subject,
    index: usize,
    ino: u64,
}

impl Link for NsLink {
    fn flavor(&self) -> Flavor {
        self.subject.proc.flavor
    }

    fn attr(&self) -> SysResult<Attr> {
        self.subject.attr(self.flavor().attr(FileType::Symlink, 0o777, self.ino))
    }

    fn target(&self) -> SysResult<LinkTarget> {
        self.subject.task_to_inspect()?;
        let path = self.subject.proc.namespaces.path(self.index);
        path.map(LinkTarget::Magic).ok_or(Errno::ENOENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_links_that_linux_has() {
        let host = std::fs::read_dir("/proc/self/ns").unwrap();
        let mut host: Vec<_> =
            host.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut ours: Vec<_> = NAMESPACES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        host.sort();
        ours.sort();
        assert_eq!(ours, host);
    }

    #[test]
    fn links_show_kind_and_number() {
        let namespaces = Namespaces::new();
        let path = namespaces.path(6).unwrap();
        assert_eq!(path.display(&path), b"mnt:[4026531841]");
        assert_eq!(path.inode().attr().unwrap().ino, 4_026_531_841);
    }
}
