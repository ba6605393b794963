//! Queues as files: descriptors, inodes, and the file system they lie on.

use super::Mqueue;
use abi::file::{FileType, OpenFlags, PollEvents};
use abi::stat::StatFs;
use abi::time::Timespec;
use abi::{Errno, SysResult};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use vfs::filesystem::anonymous_dev;
use vfs::{Attr, Credentials, FileOps, FileSystem, Inode, InodeRef, OpenFile, SetAttr, TimeChange};
use wait::WaitQueue;

/// MQUEUE_MAGIC.
const MAGIC: i64 = 0x1980_0202;
/// FILENT_SIZE: what stat(2) says of every queue.
const FILE_SIZE: u64 = 80;

/// The file system.
pub(crate) struct MqueueFs {
    dev: u64,
    root: InodeRef,
    next_ino: AtomicU64,
}

impl MqueueFs {
    pub fn new() -> Arc<MqueueFs> {
        let dev = anonymous_dev();
        let root = Attr {
            dev,
            ino: 1,
            mode: FileType::Directory.mode_bits() | 0o1777,
            nlink: 2,
            blksize: 4096,
            ..Attr::default()
        };
        Arc::new(MqueueFs { dev, root: Arc::new(Root(root)), next_ino: AtomicU64::new(2) })
    }

    pub fn new_attr(&self, mode: u32, cred: &Credentials) -> Attr {
        let time = now();
        Attr {
            dev: self.dev,
            ino: self.next_ino.fetch_add(1, Ordering::Relaxed),
            mode: FileType::Regular.mode_bits() | mode & 0o7777,
            nlink: 1,
            uid: cred.fsuid,
            gid: cred.fsgid,
            size: FILE_SIZE,
            blksize: 4096,
            atime: time,
            mtime: time,
            ctime: time,
            ..Attr::default()
        }
    }
}

fn now() -> Timespec {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().into()
}

fn statfs() -> StatFs {
    StatFs { kind: MAGIC, bsize: 4096, frsize: 4096, namelen: 255, ..StatFs::default() }
}

impl FileSystem for MqueueFs {
    fn name(&self) -> &str {
        "mqueue"
    }

    fn root(&self) -> InodeRef {
        self.root.clone()
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}

/// The directory nobody can reach.
struct Root(Attr);

impl Inode for Root {
    fn file_type(&self) -> FileType {
        FileType::Directory
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.0)
    }

    fn lookup(&self, _name: &[u8]) -> SysResult<InodeRef> {
        Err(Errno::ENOENT)
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::EACCES)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Inode for Mqueue {
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(self.attributes())
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        let now = now();
        let time = |change: TimeChange| match change {
            TimeChange::Now => now,
            TimeChange::At(at) => at,
        };
        // A size is taken without effect, as Linux does.
        let mut attr = self.attr.lock();
        if let Some(mode) = change.mode {
            attr.mode = attr.mode & !0o7777 | mode & 0o7777;
        }
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        attr.atime = change.atime.map_or(attr.atime, time);
        attr.mtime = change.mtime.map_or(attr.mtime, time);
        attr.ctime = now;
        Ok(())
    }

    /// Through /proc/PID/fd: a descriptor of that kind would need the namespace.
    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        debug_assert_eq!(self.fs.dev, self.attributes().dev);
        Ok(statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A message queue descriptor.
pub struct MqueueFile {
    queue: Arc<Mqueue>,
    current_pid: fn() -> i32,
}

impl MqueueFile {
    pub(super) fn new(queue: Arc<Mqueue>, current_pid: fn() -> i32) -> MqueueFile {
        MqueueFile { queue, current_pid }
    }

    /// The queue.
    pub fn queue(&self) -> &Arc<Mqueue> {
        &self.queue
    }
}

impl FileOps for MqueueFile {
    fn read(&self, _file: &OpenFile, buf: &mut [u8], offset: u64) -> SysResult<usize> {
        let text = self.queue.status();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> SysResult<u64> {
        Ok(FILE_SIZE)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        self.queue.poll()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.queue.queue())
    }

    fn flush(&self, _file: &OpenFile) {
        self.queue.unregister((self.current_pid)());
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
