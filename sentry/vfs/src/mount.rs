//! Mounts, and the table that says where each sits.

#![allow(missing_docs)] // bitflags' own constants; each is described in its man page

use crate::dentry::Dentry;
use crate::filesystem::FileSystemRef;
use crate::inode::InodeRef;
use abi::{Errno, SysResult};
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

bitflags::bitflags! {
    /// Per-mount flags, with the values of mount(2)'s MS_ flags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    #[allow(missing_docs)]
    pub struct MountFlags: u32 {
        const RDONLY = 1;
        const NOSUID = 2;
        const NODEV = 4;
        const NOEXEC = 8;
        const NOATIME = 1024;
        const NODIRATIME = 2048;
        const RELATIME = 1 << 21;
    }
}

/// One showing of a file system at a place.
pub struct Mount {
    id: u64,
    fs: FileSystemRef,
    root: Arc<Dentry>,
    flags: AtomicU32,
    /// Where it sits; None for the root of a namespace and for what is not attached.
    point: RwLock<Option<Path>>,
}

impl Mount {
    /// A mount that is attached nowhere: the file system's root, seen from its top.
    pub fn new(fs: FileSystemRef, flags: MountFlags) -> Arc<Mount> {
        let root = Dentry::new_root(fs.root());
        Mount::with_root(fs, root, flags)
    }

    /// A mount of part of a file system (a bind mount).
    pub fn with_root(fs: FileSystemRef, root: Arc<Dentry>, flags: MountFlags) -> Arc<Mount> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Mount {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fs,
            root,
            flags: AtomicU32::new(flags.bits()),
            point: RwLock::new(None),
        })
    }

    /// The number /proc/PID/mountinfo shows.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The file system.
    pub fn fs(&self) -> &FileSystemRef {
        &self.fs
    }

    /// The top of what is shown.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// The flags now.
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// MS_REMOUNT | MS_BIND.
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Where it is mounted.
    pub fn point(&self) -> Option<Path> {
        self.point.read().clone()
    }

    /// EROFS where it is read-only.
    pub fn check_writable(&self) -> SysResult<()> {
        if self.flags().contains(MountFlags::RDONLY) { Err(Errno::EROFS) } else { Ok(()) }
    }
}

/// A place: an entry, and the mount through which it is seen.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Path {
    pub mount: Arc<Mount>,
    pub dentry: Arc<Dentry>,
}

impl Path {
    /// The top of a mount.
    pub fn root_of(mount: &Arc<Mount>) -> Path {
        Path { mount: mount.clone(), dentry: mount.root.clone() }
    }

    /// The inode.
    pub fn inode(&self) -> &InodeRef {
        self.dentry.inode()
    }

    /// The same place?
    pub fn is_same(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }

    /// The place above, across mounts, but not above `root`; a root's parent is itself.
    pub fn parent(&self, root: &Path) -> Path {
        let mut at = self.clone();
        loop {
            if at.is_same(root) {
                return at;
            }
            if !Arc::ptr_eq(&at.dentry, &at.mount.root) {
                return match at.dentry.parent() {
                    Some(dentry) => Path { mount: at.mount, dentry },
                    None => at,
                };
            }
            match at.mount.point() {
                Some(point) => at = point,
                None => return at,
            }
        }
    }

    /// The path from `root`, as getcwd(2) shows it; None where `root` is not above.
    pub fn relative_to(&self, root: &Path) -> Option<Vec<u8>> {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut at = self.clone();
        let reached = loop {
            if at.is_same(root) {
                break true;
            }
            if Arc::ptr_eq(&at.dentry, &at.mount.root) {
                match at.mount.point() {
                    Some(point) => at = point,
                    None => break false,
                }
                continue;
            }
            match at.dentry.parent() {
                Some(parent) => {
                    names.push(at.dentry.name());
                    at.dentry = parent;
                }
                None => break false,
            }
        };
        if !reached {
            return None;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Some(path)
    }

    /// The path as /proc/PID/fd, exe and maps show it: from `root`, " (deleted)" where the name is
    /// gone, the bare name for what has no place.
    pub fn display(&self, root: &Path) -> Vec<u8> {
        if self.dentry.parent().is_none() && self.dentry.is_unlinked() {
            return self.dentry.name().into_vec();
        }
        let mut path = self.relative_to(root).unwrap_or_else(|| {
            let mut path = b"(unreachable)".to_vec();
            path.extend(self.relative_to(&Path::root_of(&self.mount)).unwrap_or_default());
            path
        });
        if self.dentry.is_unlinked() {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.relative_to(&Path::root_of(&self.mount)).unwrap_or_default();
        write!(f, "mount {} {}", self.mount.id, String::from_utf8_lossy(&shown))
    }
}

/// The mounts of one mount namespace.
pub struct MountTable {
    root: Arc<Mount>,
    mounts: RwLock<Mounts>,
}

#[derive(Default)]
struct Mounts {
    /// Keyed by the mount and the entry that are covered. The entry's address is a good key while
    /// it lives, and the covering mount's `point` keeps it alive.
    by_point: HashMap<(u64, usize), Arc<Mount>>,
    by_id: BTreeMap<u64, Arc<Mount>>,
}

/// Linux's default for fs.mount-max.
const MOUNT_MAX: usize = 100_000;

fn key(path: &Path) -> (u64, usize) {
    (path.mount.id, Arc::as_ptr(&path.dentry) as usize)
}

impl MountTable {
    /// A namespace with this root.
    pub fn new(root: Arc<Mount>) -> Arc<MountTable> {
        let mut mounts = Mounts::default();
        mounts.by_id.insert(root.id, root.clone());
        Arc::new(MountTable { root, mounts: RwLock::new(mounts) })
    }

    /// The top of the root mount.
    pub fn root(&self) -> Path {
        Path::root_of(&self.root)
    }

    /// What is mounted on top of `path`, all the way up; `path` itself where nothing is.
    pub fn topmost(&self, mut path: Path) -> Path {
        while path.dentry.is_mountpoint() {
            match self.mounts.read().by_point.get(&key(&path)) {
                Some(mount) => path = Path::root_of(mount),
                None => break,
            }
        }
        path
    }

    /// Mounts `mount` on `path`, which must be a directory if the mount's root is one, and a
    /// non-directory otherwise (ENOTDIR).
    pub fn attach(&self, mount: Arc<Mount>, path: &Path) -> SysResult<()> {
        use abi::file::FileType::Directory;
        let path = self.topmost(path.clone());
        let is_dir = |inode: &InodeRef| inode.file_type() == Directory;
        if is_dir(mount.root.inode()) != is_dir(path.inode()) {
            return Err(Errno::ENOTDIR);
        }
        if path.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let mut mounts = self.mounts.write();
        if mounts.by_id.len() >= MOUNT_MAX {
            return Err(Errno::ENOSPC);
        }
        if mounts.by_point.contains_key(&key(&path)) {
            return Err(Errno::EBUSY);
        }
        path.dentry.add_mount();
        mounts.by_id.insert(mount.id, mount.clone());
        mounts.by_point.insert(key(&path), mount.clone());
        *mount.point.write() = Some(path);
        Ok(())
    }

    /// Takes a mount out of the tree. EINVAL where `path` is not the top of one, EBUSY where
    /// something is mounted below it.
    pub fn detach(&self, path: &Path) -> SysResult<()> {
        if !Arc::ptr_eq(&path.dentry, &path.mount.root) {
            return Err(Errno::EINVAL);
        }
        let mut mounts = self.mounts.write();
        let point = path.mount.point().ok_or(Errno::EINVAL)?;
        if mounts.by_point.keys().any(|(below, _)| *below == path.mount.id) {
            return Err(Errno::EBUSY);
        }
        if mounts.by_point.remove(&key(&point)).is_none() {
            return Err(Errno::EINVAL);
        }
        mounts.by_id.remove(&path.mount.id);
        point.dentry.remove_mount();
        *path.mount.point.write() = None;
        Ok(())
    }

    /// All mounts, parents before children.
    pub fn list(&self) -> Vec<Arc<Mount>> {
        self.mounts.read().by_id.values().cloned().collect()
    }
}
