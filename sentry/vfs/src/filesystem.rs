//! A mounted file system.

use crate::inode::InodeRef;
use std::sync::Arc;

/// A file system instance; several mounts may show it.
pub trait FileSystem: Send + Sync {
    /// The type, as /proc/mounts shows it ("tmpfs", "overlay", "proc").
    fn name(&self) -> &str;

    /// The source, as /proc/mounts shows it.
    fn source(&self) -> String {
        self.name().to_owned()
    }

    /// Its options beyond ro and rw, as /proc/mounts shows them, without a leading comma.
    fn options(&self) -> String {
        String::new()
    }

    /// The root directory (or file: a single file can be mounted too).
    fn root(&self) -> InodeRef;

    /// `st_dev` of its files.
    fn dev(&self) -> u64;
}

/// A shared file system.
pub type FileSystemRef = Arc<dyn FileSystem>;

/// Gives out device numbers for file systems without a device: major 0, as Linux does.
pub fn anonymous_dev() -> u64 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(20);
    abi::stat::makedev(0, NEXT.fetch_add(1, Ordering::Relaxed) & 0xf_ffff)
}
