//! devpts: pseudo-terminals, pty(7) and pts(4).
//!
//! Opening `ptmx` makes a pseudo-terminal and gives its master; its terminal has a number, and a
//! node of that name while the master is open. The number is free again when both are closed.
//!
//! `pty.rs` is the pair with its buffers, `file.rs` the open files, `ioctl.rs` ioctl_tty(2). What
//! is done to bytes is `crate::tty`'s.
//!
//! Lock order: the table of numbers, then a pair's state. Neither is held when the kernel is
//! called, which locks its process table.

mod file;
mod ioctl;
mod pty;

pub use file::{Master, Slave};
pub use pty::Pty;

use crate::anon::AnonAttr;
use crate::tmpfs::read_dots;
use crate::tty::Terminals;
use abi::file::{FileType, OpenFlags};
use abi::stat::{StatFs, makedev};
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use vfs::filesystem::anonymous_dev;
use vfs::{Attr, DirEntry, DirSink, FileOps, FileSystem, Inode, InodeRef, OpenFile, Path, SetAttr};

/// DEVPTS_SUPER_MAGIC.
const MAGIC: i64 = 0x1cd1;
/// kernel.pty.max.
const PTY_MAX: u32 = 4096;
/// Major number of the terminals.
pub(crate) const PTS_MAJOR: u32 = 136;
/// The group `tty`, to which terminals belong so that write(1) can use them.
const GID: u32 = 5;
const MODE: u32 = 0o620;

const ROOT_INO: u64 = 1;
const PTMX_INO: u64 = 2;
const FIRST_INO: u64 = 3;

/// The file system.
pub struct DevPts {
    dev: u64,
    root: Arc<Root>,
}

impl DevPts {
    /// One without terminals. `terminals` is the kernel's part.
    pub fn new(terminals: Arc<dyn Terminals>) -> Arc<DevPts> {
        let dev = anonymous_dev();
        let root = Arc::new_cyclic(|me: &Weak<Root>| Root {
            me: me.clone(),
            dev,
            attrs: attrs(dev, ROOT_INO, FileType::Directory, 0o755, (0, 0)),
            ptmx: Arc::new(Ptmx {
                root: me.clone(),
                attrs: attrs(dev, PTMX_INO, FileType::CharDevice, 0o666, (0, 0)),
            }),
            terminals,
            ptys: Mutex::default(),
        });
        Arc::new(DevPts { dev, root })
    }

    /// A new pseudo-terminal's master. ENOSPC where there are too many.
    pub fn open_master(&self) -> SysResult<Arc<Master>> {
        self.root.open_master()
    }

    /// Opens the terminal of that number. EIO where its master is closed, or has it locked.
    pub fn open_slave(&self, index: u32, flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        let pty = self.root.pty(index).ok_or(Errno::EIO)?;
        Ok(pty.open_slave(flags)?)
    }

    /// The device number of the calling task's controlling terminal, whichever it is.
    pub fn controlling(&self) -> Option<u64> {
        self.root.terminals.controlling()
    }
}

impl FileSystem for DevPts {
    fn name(&self) -> &str {
        "devpts"
    }

    fn options(&self) -> String {
        format!("gid={GID},mode={MODE:o},ptmxmode=666")
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}

fn attrs(dev: u64, ino: u64, kind: FileType, mode: u32, owner: (u32, u32)) -> AnonAttr {
    AnonAttr::with_ino(dev, ino, kind.mode_bits() | mode, owner)
}

fn statfs() -> StatFs {
    StatFs { kind: MAGIC, bsize: 4096, frsize: 4096, namelen: 255, ..StatFs::default() }
}

/// The directory.
struct Root {
    me: Weak<Root>,
    dev: u64,
    attrs: AnonAttr,
    ptmx: Arc<Ptmx>,
    terminals: Arc<dyn Terminals>,
    ptys: Mutex<BTreeMap<u32, Weak<Pty>>>,
}

impl Root {
    fn open_master(&self) -> SysResult<Arc<Master>> {
        let owner = (self.terminals.owner().0, GID);
        let mut ptys = self.ptys.lock();
        ptys.retain(|_, pty| pty.strong_count() > 0);
        let index = (0..PTY_MAX).find(|index| !ptys.contains_key(index)).ok_or(Errno::ENOSPC)?;
        let ino = FIRST_INO + u64::from(index);
        let attrs = attrs(self.dev, ino, FileType::CharDevice, MODE, owner);
        let rdev = makedev(PTS_MAJOR, index);
        let pty = Pty::new(index, attrs, self.terminals.add(rdev), self.terminals.timers());
        ptys.insert(index, Arc::downgrade(&pty));
        Ok(Arc::new(Master::new(pty)))
    }

    /// The terminal of that number, while it has a node.
    fn pty(&self, index: u32) -> Option<Arc<Pty>> {
        let pty = self.ptys.lock().get(&index)?.upgrade()?;
        pty.has_master().then_some(pty)
    }
}

impl Inode for Root {
    fn file_type(&self) -> FileType {
        FileType::Directory
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(Attr { nlink: 2, ..self.attrs.get() })
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        self.attrs.set(change)
    }

    fn lookup(&self, name: &[u8]) -> SysResult<InodeRef> {
        if name == b"ptmx" {
            return Ok(self.ptmx.clone());
        }
        let number = std::str::from_utf8(name).ok().and_then(|name| name.parse::<u32>().ok());
        // One name each: not "01", not "+1".
        let number = number.filter(|number| number.to_string().as_bytes() == name);
        let pty = number.and_then(|number| self.pty(number)).ok_or(Errno::ENOENT)?;
        Ok(pty)
    }

    /// Terminals come and go by themselves.
    fn caches_lookups(&self) -> bool {
        false
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Ok(Arc::new(Directory(self.me.upgrade().ok_or(Errno::ENOENT)?)))
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The directory, open.
struct Directory(Arc<Root>);

impl FileOps for Directory {
    fn read(&self, _file: &OpenFile, _buf: &mut [u8], _offset: u64) -> SysResult<usize> {
        Err(Errno::EISDIR)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    /// Positions: 0 and 1 are the dots, 2 is ptmx, then the numbers.
    fn read_dir(&self, _file: &OpenFile, pos: u64, sink: &mut DirSink<'_>) -> SysResult<()> {
        if !read_dots(pos, ROOT_INO, ROOT_INO, sink) {
            return Ok(());
        }
        let kind = FileType::CharDevice;
        let ptmx = DirEntry { ino: PTMX_INO, next: 3, kind, name: b"ptmx" };
        if pos <= 2 && !sink(ptmx) {
            return Ok(());
        }
        let from = u32::try_from(pos.saturating_sub(3)).unwrap_or(u32::MAX);
        let numbers: Vec<u32> = self.0.ptys.lock().range(from..).map(|(index, _)| *index).collect();
        for index in numbers.into_iter().filter(|index| self.0.pty(*index).is_some()) {
            let (ino, next) = (FIRST_INO + u64::from(index), 4 + u64::from(index));
            if !sink(DirEntry { ino, next, kind, name: index.to_string().as_bytes() }) {
                break;
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The node that makes pseudo-terminals.
struct Ptmx {
    root: Weak<Root>,
    attrs: AnonAttr,
}

impl Inode for Ptmx {
    fn file_type(&self) -> FileType {
        FileType::CharDevice
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(Attr { rdev: makedev(5, 2), ..self.attrs.get() })
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        self.attrs.set(change)
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Ok(self.root.upgrade().ok_or(Errno::ENXIO)?.open_master()?)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// TIOCGPTPEER: another open file of the terminal that `master` belongs to, wherever its node may
/// be. None: it is no master. ENODEV where `master` was not opened in a devpts.
pub fn open_peer(master: &OpenFile, flags: OpenFlags) -> Option<SysResult<Arc<OpenFile>>> {
    let pty = master.ops_as::<Master>()?.pty();
    let open = || {
        let mount = &master.path().mount;
        if mount.fs().name() != "devpts" {
            return Err(Errno::ENODEV);
        }
        let dentry = mount.root().lookup(pty.index().to_string().as_bytes())?;
        let ops = pty.open_slave(flags)?;
        Ok(OpenFile::new(ops, Path { mount: mount.clone(), dentry }, flags))
    };
    Some(open())
}

#[cfg(test)]
mod tests;
