//! A tree of host files, named through the gofer.
//!
//! Names and attributes come from the gofer, in few messages; data do not pass through it: it
//! hands over an fd, and reading and writing are pread(2) and pwrite(2) of the sentry.
//!
//! A tree that nobody else changes (**exclusive**) is asked about once: a directory is fetched
//! whole, with all attributes, as soon as somebody lists it or looks up more than a few names, and
//! after that answers without a message, "no" included. A **shared** tree is asked each time.
//! Caches are bounded ([`Limits`]), so that a guest that looks at everything does not make the
//! sentry grow.
//!
//! One file is one inode, whatever name led to it, for as long as somebody holds it. A child holds
//! its parent; a parent knows its children weakly.
//!
//! Lock order: each lock is a leaf, but for a directory's cache, which is held over the locks of
//! the tables in `Shared`. None is held while the gofer is asked, or while mappings are
//! invalidated; but a file's I/O lock is, so that truncation excludes writers.
//!
//! Start reading in `inode.rs`; `names.rs` for lookups and changes, `open.rs` for data.

mod cache;
mod convert;
mod directory;
mod inode;
mod names;
mod open;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use self::cache::Clock;
use self::convert::{attr_of, errno};
use self::inode::{GoferInode, Place};
use abi::SysResult;
use gofer::Client;
use gofer::protocol::RootInfo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use vfs::{FileSystem, InodeRef};

/// How much is kept of what nobody uses at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Inodes: directories, and files that were opened or looked up one by one.
    pub inodes: usize,
    /// Directory entries with their attributes, in all listings together.
    pub entries: usize,
    /// Open host files.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        // Some 60 MB when full, of which a guest that only looks around fills half.
        Limits { inodes: 65_536, entries: 65_536, files: 512 }
    }
}

/// What identifies a host file: device and inode.
type Key = (u64, u64);

/// What the inodes of one root share.
struct Shared {
    client: Arc<Client>,
    exclusive: bool,
    read_only: bool,
    limits: Limits,
    /// The file system is gone: nothing is kept any more.
    closed: AtomicBool,
    /// All inodes there are.
    table: Mutex<HashMap<Key, Weak<GoferInode>>>,
    /// Inodes kept although nobody may be using them.
    recent: Mutex<Clock<Arc<GoferInode>>>,
    /// Inodes that keep a host file open for the next to open them.
    files: Mutex<Clock<Weak<GoferInode>>>,
    /// Directories with a cached listing, and how long it was.
    listings: Mutex<Clock<(Weak<GoferInode>, usize)>>,
}

/// A root of the gofer as a file system.
pub struct GoferFs {
    root: Arc<GoferInode>,
    source: String,
}

impl GoferFs {
    /// `root` is one of `client.roots()`; it says whether the tree is exclusive, and read-only.
    /// `source` is shown in /proc/mounts.
    pub fn new(client: Arc<Client>, root: &RootInfo, source: &str) -> Arc<GoferFs> {
        GoferFs::with_limits(client, root, source, Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(
        client: Arc<Client>,
        root: &RootInfo,
        source: &str,
        limits: Limits,
    ) -> Arc<GoferFs> {
        let shared = Arc::new(Shared {
            client,
            exclusive: !root.shared,
            read_only: root.read_only,
            limits,
            closed: AtomicBool::new(false),
            table: Mutex::default(),
            recent: Mutex::default(),
            files: Mutex::default(),
            listings: Mutex::default(),
        });
        let attr = attr_of(&root.attr);
        let root = GoferInode::new(&shared, attr, Place::Root(root.node), None);
        shared.table.lock().insert((attr.dev, attr.ino), Arc::downgrade(&root));
        Arc::new(GoferFs { root, source: source.to_owned() })
    }

    /// statfs(2) and the like fail from here on, because the gofer is dead.
    pub fn is_dead(&self) -> bool {
        self.root.shared.client.is_dead()
    }

    /// Writes what the gofer holds of references not needed any more. For tests and idle times.
    pub fn flush(&self) -> SysResult<()> {
        self.root.shared.client.flush_forgotten();
        self.root.shared.client.stat_fs(self.root.node()?).map(|_| ()).map_err(errno)
    }
}

impl FileSystem for GoferFs {
    /// As gVisor and virtiofs have it: programs that look at the type of their root know it.
    fn name(&self) -> &str {
        "9p"
    }

    fn source(&self) -> String {
        self.source.clone()
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.root.key.0
    }
}

impl Drop for GoferFs {
    fn drop(&mut self) {
        // Inodes hold what is shared, and that holds the recent ones.
        self.root.shared.closed.store(true, Ordering::Relaxed);
        let recent = std::mem::take(&mut *self.root.shared.recent.lock());
        drop(recent);
    }
}
