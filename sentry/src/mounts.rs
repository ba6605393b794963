//! Builds the guest's mount tree from what the front end decided.

use crate::boot::BootError;
use crate::config::{Attributes, MountKind, Step, ViewConfig};
use abi::Errno;
use abi::stat::makedev;
use abi::time::Timespec;
use fs::dev;
use fs::devpts::DevPts;
use fs::goferfs::GoferFs;
use fs::overlay::OverlayFs;
use fs::tmpfs::{Tmpfs, TmpfsOptions};
use kernel::Kernel;
use std::sync::Arc;
use vfs::filesystem::FileSystemRef;
use vfs::{
    Credentials, Mount, MountFlags, MountTable, NodeKind, Path, PathContext, SetAttr, TimeChange,
    WalkFlags,
};

/// What mounts are made of.
pub(crate) struct Mounter<'a> {
    pub kernel: &'a Arc<Kernel>,
    pub gofer: Arc<gofer::Client>,
    /// Limit of each file system in memory, in bytes.
    pub size: u64,
    /// There is a console.
    pub console: bool,
    /// What /proc shows of the machine.
    pub host: procfs::HostInfo,
    /// Pseudo-terminals.
    pub devpts: Arc<DevPts>,
}

impl Mounter<'_> {
    /// Makes everything, in the order given.
    pub fn build(&self, view: &ViewConfig) -> Result<Arc<MountTable>, BootError> {
        let fail = |path: &[u8]| {
            let path = String::from_utf8_lossy(path).into_owned();
            move |errno: Errno| {
                BootError::own(format!("cannot set up {path} in the sandbox: {errno}"))
            }
        };
        let root = self.mount(&view.root).map_err(fail(b"/"))?;
        let table = MountTable::new(root);
        let tree = Tree { table: &table, root: table.root(), cred: Credentials::new(0, 0, &[]) };
        for step in &view.steps {
            self.take(&tree, step).map_err(fail(step.path()))?;
        }
        // What was made in a directory changed its times.
        for step in &view.steps {
            tree.set_time(step);
        }
        Ok(table)
    }

    fn take(&self, tree: &Tree<'_>, step: &Step) -> Result<(), Errno> {
        match step {
            Step::Directory { path, attributes } => {
                if tree.find(path, WalkFlags::empty()).is_ok() {
                    return Ok(());
                }
                tree.make_directory(path)?;
                set_attributes(&tree.find(path, WalkFlags::empty())?, attributes)
            }
            Step::Symlink { path, target } => {
                match tree.paths().make_node(path, NodeKind::Symlink(target), 0o777) {
                    Ok(_) | Err(Errno::EEXIST) => Ok(()),
                    Err(errno) => Err(errno),
                }
            }
            Step::Mount { path, kind } => {
                let mount = self.mount(kind)?;
                let point = tree.mount_point(path, &mount)?;
                tree.table.attach(mount, &point)
            }
        }
    }

    fn mount(&self, kind: &MountKind) -> Result<Arc<Mount>, Errno> {
        let fs: FileSystemRef = match kind {
            MountKind::Memory { attributes } => self.memory(attributes)?,
            MountKind::Overlay { root } => {
                let upper = self.memory(&Attributes::root_owned(0o755))?;
                OverlayFs::new(self.gofer_root(*root)?, upper)?
            }
            MountKind::Gofer { root, .. } => self.gofer_root(*root)?,
            MountKind::Proc => {
                let host = self.host.clone();
                procfs::ProcFs::new(self.kernel, procfs::ProcOptions { host, net: None })
            }
            MountKind::Sys => procfs::SysFs::new(self.kernel.cpus()),
            MountKind::Pts => self.devpts.clone(),
            MountKind::Dev => {
                let fs = self.memory(&Attributes::root_owned(0o755))?;
                self.fill_dev(&fs)?;
                fs
            }
        };
        let flags = match kind {
            MountKind::Memory { .. } => MountFlags::NOSUID | MountFlags::NODEV,
            MountKind::Overlay { .. } => MountFlags::NODEV,
            MountKind::Gofer { read_only: true, .. } => MountFlags::RDONLY | MountFlags::NODEV,
            MountKind::Gofer { .. } => MountFlags::NODEV,
            MountKind::Proc => MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
            MountKind::Sys => {
                MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC
            }
            MountKind::Dev | MountKind::Pts => MountFlags::NOSUID | MountFlags::NOEXEC,
        };
        Ok(Mount::new(fs, flags | MountFlags::RELATIME))
    }

    fn memory(&self, attributes: &Attributes) -> Result<Arc<Tmpfs>, Errno> {
        let options = TmpfsOptions {
            size: Some(self.size),
            nr_inodes: None,
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
        };
        let fs = Tmpfs::new(self.kernel.memory_file().clone(), options)?;
        if let Some(mtime) = attributes.mtime {
            vfs::FileSystem::root(&*fs).set_attr(&time_change(mtime))?;
        }
        Ok(fs)
    }

    fn gofer_root(&self, id: u32) -> Result<FileSystemRef, Errno> {
        let root = self.gofer.roots().iter().find(|root| root.id == id).ok_or(Errno::ENODEV)?;
        Ok(GoferFs::new(self.gofer.clone(), root, "host"))
    }

    /// The nodes of /dev.
    fn fill_dev(&self, fs: &Arc<Tmpfs>) -> Result<(), Errno> {
        let mount = Mount::new(fs.clone(), MountFlags::empty());
        let table = MountTable::new(mount);
        let tree = Tree { table: &table, root: table.root(), cred: Credentials::new(0, 0, &[]) };
        let paths = tree.paths();
        let console = self.console.then_some(dev::CONSOLE);
        for (name, major, minor, mode) in dev::DEVICES.iter().copied().chain(console) {
            let kind = NodeKind::CharDevice(makedev(major, minor));
            paths.make_node(name.as_bytes(), kind, mode)?;
        }
        for (name, target) in dev::SYMLINKS {
            paths.make_node(name.as_bytes(), NodeKind::Symlink(target.as_bytes()), 0o777)?;
        }
        for (name, mode) in dev::DIRECTORIES {
            paths.make_node(name.as_bytes(), NodeKind::Directory, *mode)?;
        }
        Ok(())
    }
}

/// The tree as it grows, seen by root.
struct Tree<'a> {
    table: &'a MountTable,
    root: Path,
    cred: Credentials,
}

impl Tree<'_> {
    fn paths(&self) -> PathContext<'_> {
        PathContext { table: self.table, root: &self.root, start: &self.root, cred: &self.cred }
    }

    fn find(&self, path: &[u8], flags: WalkFlags) -> Result<Path, Errno> {
        self.paths().walk(path, flags)
    }

    fn make_directory(&self, path: &[u8]) -> Result<(), Errno> {
        self.paths().make_node(path, NodeKind::Directory, 0o755).map(|_| ())
    }

    /// Gives a made-up directory the time that it shall show; where it is covered, that is nobody's
    /// business.
    fn set_time(&self, step: &Step) {
        let (path, attributes) = match step {
            Step::Directory { path, attributes } => (path, attributes),
            Step::Mount { path, kind: MountKind::Memory { attributes } } => (path, attributes),
            _ => return,
        };
        if let (Some(mtime), Ok(place)) = (attributes.mtime, self.find(path, WalkFlags::empty())) {
            let _ = place.inode().set_attr(&time_change(mtime));
        }
    }

    /// The place to mount on: made, with the directories above it, where it is missing.
    fn mount_point(&self, path: &[u8], mount: &Mount) -> Result<Path, Errno> {
        match self.find(path, WalkFlags::FOLLOW) {
            Err(Errno::ENOENT) => {}
            found => return found,
        }
        for (at, byte) in path.iter().enumerate().skip(1) {
            if *byte == b'/' && self.find(&path[..at], WalkFlags::FOLLOW).is_err() {
                self.make_directory(&path[..at])?;
            }
        }
        let kind = match mount.root().inode().file_type() {
            abi::file::FileType::Directory => NodeKind::Directory,
            _ => NodeKind::Regular,
        };
        self.paths().make_node(path, kind, 0o755)
    }
}

fn time_change((sec, nsec): (i64, u32)) -> SetAttr {
    let at = TimeChange::At(Timespec { sec, nsec: nsec.into() });
    SetAttr { atime: Some(at), mtime: Some(at), ..SetAttr::default() }
}

fn set_attributes(place: &Path, attributes: &Attributes) -> Result<(), Errno> {
    let mut change = attributes.mtime.map(time_change).unwrap_or_default();
    change.mode = Some(attributes.mode);
    change.uid = Some(attributes.uid);
    change.gid = Some(attributes.gid);
    place.inode().set_attr(&change)
}
