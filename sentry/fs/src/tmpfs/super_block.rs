//! A tmpfs instance: what its files share, and its limits.

use super::inode::{NewInode, TmpfsInode};
use super::options::TmpfsOptions;
use abi::stat::StatFs;
use abi::{Errno, NAME_MAX, PAGE_SIZE, SysResult};
use mm::MemoryFile;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vfs::{FileSystem, InodeRef, NewNode, NodeKind};

/// statfs(2)'s `f_type`.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// What one inode counts against the inode limit, in bytes; attributes count by their size.
/// Linux's BOGO_INODE_SIZE.
pub(super) const INODE_SPACE: u64 = 1024;

/// A counter with a limit.
struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    fn new(max: u64) -> Budget {
        Budget { used: AtomicU64::new(0), max }
    }

    /// ENOSPC where it does not fit.
    fn charge(&self, amount: u64) -> SysResult<()> {
        let fits = |used: u64| used.checked_add(amount).filter(|sum| *sum <= self.max);
        let result = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        result.map(|_| ()).map_err(|_| Errno::ENOSPC)
    }

    fn release(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    fn free(&self) -> u64 {
        self.max.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

/// What the files of one tmpfs share.
pub(crate) struct SuperBlock {
    pub(super) dev: u64,
    pub(super) memory: Arc<MemoryFile>,
    pages: Budget,
    /// In units of bytes, see [`INODE_SPACE`].
    inodes: Budget,
    next_ino: AtomicU64,
    /// Held by whatever locks two directories, and by what moves one.
    pub(super) rename: Mutex<()>,
}

impl SuperBlock {
    /// Takes `count` pages of the size limit. ENOSPC.
    pub(super) fn charge_pages(&self, count: u64) -> SysResult<()> {
        self.pages.charge(count)
    }

    pub(super) fn release_pages(&self, count: u64) {
        self.pages.release(count);
    }

    /// Takes `bytes` of the inode limit. ENOSPC.
    pub(super) fn charge_inode_space(&self, bytes: u64) -> SysResult<()> {
        self.inodes.charge(bytes)
    }

    pub(super) fn release_inode_space(&self, bytes: u64) {
        self.inodes.release(bytes);
    }

    pub(super) fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn statfs(&self) -> StatFs {
        StatFs {
            kind: TMPFS_MAGIC,
            bsize: PAGE_SIZE as i64,
            frsize: PAGE_SIZE as i64,
            blocks: self.pages.max,
            bfree: self.pages.free(),
            bavail: self.pages.free(),
            files: self.inodes.max / INODE_SPACE,
            ffree: self.inodes.free() / INODE_SPACE,
            fsid: [self.dev as i32, 0],
            namelen: NAME_MAX as i64,
            ..StatFs::default()
        }
    }
}

/// A mounted tmpfs, or one that only the kernel uses (memfd, the upper layer of an overlay).
pub struct Tmpfs {
    shared: Arc<SuperBlock>,
    root: Arc<TmpfsInode>,
    options: TmpfsOptions,
}

impl Tmpfs {
    /// An empty file system with its data in `memory`.
    pub fn new(memory: Arc<MemoryFile>, options: TmpfsOptions) -> SysResult<Arc<Tmpfs>> {
        let size = options.size.unwrap_or(TmpfsOptions::DEFAULT_SIZE);
        let inodes = options.nr_inodes.unwrap_or(TmpfsOptions::DEFAULT_INODES);
        let shared = Arc::new(SuperBlock {
            dev: vfs::filesystem::anonymous_dev(),
            memory,
            pages: Budget::new(size.div_ceil(PAGE_SIZE)),
            inodes: Budget::new(inodes.saturating_mul(INODE_SPACE)),
            next_ino: AtomicU64::new(1),
            rename: Mutex::new(()),
        });
        let (mode, uid, gid) = (options.mode, options.uid, options.gid);
        let root = NewNode { kind: NodeKind::Directory, mode, uid, gid };
        let root = TmpfsInode::new(&shared, NewInode::of(&root))?;
        Ok(Arc::new(Tmpfs { shared, root, options }))
    }

    /// A file outside of any directory, for memfd_create(2): give the kernel a tmpfs of its own for
    /// these. `seals`: those it starts with, [`super::seals::SEAL`] for one that cannot be sealed.
    pub fn new_memfd(&self, mode: u32, uid: u32, gid: u32, seals: u32) -> SysResult<InodeRef> {
        let node = NewNode { kind: NodeKind::Regular, mode, uid, gid };
        let inode = TmpfsInode::new(&self.shared, NewInode { seals, ..NewInode::of(&node) })?;
        Ok(inode)
    }

    /// A node without a name. The overlay keeps its upper layer so.
    pub(crate) fn new_node(&self, new: NewInode<'_>) -> SysResult<Arc<TmpfsInode>> {
        TmpfsInode::new(&self.shared, new)
    }

    /// Counts a further name of a file that has one, where names are kept elsewhere. ENOSPC.
    pub(crate) fn charge_link(&self) -> SysResult<()> {
        self.shared.charge_inode_space(INODE_SPACE)
    }

    pub(crate) fn release_links(&self, count: u32) {
        self.shared.release_inode_space(u64::from(count) * INODE_SPACE);
    }

    /// What statfs(2) shows.
    pub fn statfs(&self) -> StatFs {
        self.shared.statfs()
    }
}

impl FileSystem for Tmpfs {
    fn name(&self) -> &str {
        "tmpfs"
    }

    fn options(&self) -> String {
        let TmpfsOptions { size, nr_inodes, mode, uid, gid } = self.options;
        let mut shown = Vec::new();
        if let Some(size) = size {
            shown.push(format!("size={}k", size.div_ceil(1024)));
        }
        if let Some(inodes) = nr_inodes {
            shown.push(format!("nr_inodes={inodes}"));
        }
        if mode != 0o1777 {
            shown.push(format!("mode={mode:o}"));
        }
        if uid != 0 {
            shown.push(format!("uid={uid}"));
        }
        if gid != 0 {
            shown.push(format!("gid={gid}"));
        }
        shown.join(",")
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.shared.dev
    }
}
