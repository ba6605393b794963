//! The root, working directory and umask of a task: what CLONE_FS shares.

use parking_lot::Mutex;
use std::sync::Arc;
use vfs::{MountTable, Path};

/// Root, working directory, umask, and the mount namespace they are in.
pub struct FsContext {
    mounts: Arc<MountTable>,
    inner: Mutex<Inner>,
}

#[derive(Clone)]
struct Inner {
    root: Path,
    cwd: Path,
    umask: u32,
}

impl FsContext {
    /// A new one.
    pub fn new(mounts: Arc<MountTable>, root: Path, cwd: Path, umask: u32) -> Arc<FsContext> {
        Arc::new(FsContext { mounts, inner: Mutex::new(Inner { root, cwd, umask }) })
    }

    /// A copy that changes by itself from now on.
    pub fn fork(&self) -> Arc<FsContext> {
        let inner = Mutex::new(self.inner.lock().clone());
        Arc::new(FsContext { mounts: self.mounts.clone(), inner })
    }

    /// The mounts.
    pub fn mounts(&self) -> &Arc<MountTable> {
        &self.mounts
    }

    /// Both, as of one moment.
    pub fn root_and_cwd(&self) -> (Path, Path) {
        let inner = self.inner.lock();
        (inner.root.clone(), inner.cwd.clone())
    }

    /// chdir(2).
    pub fn set_cwd(&self, cwd: Path) {
        let old = std::mem::replace(&mut self.inner.lock().cwd, cwd);
        drop(old); // outside the lock: it may be the last one of a tree
    }

    /// chroot(2).
    pub fn set_root(&self, root: Path) {
        let old = std::mem::replace(&mut self.inner.lock().root, root);
        drop(old);
    }

    /// The umask.
    pub fn umask(&self) -> u32 {
        self.inner.lock().umask
    }

    /// umask(2): sets it, returns the old one.
    pub fn set_umask(&self, umask: u32) -> u32 {
        std::mem::replace(&mut self.inner.lock().umask, umask & 0o777)
    }
}
