//! sockfs: the inodes of sockets, which no directory has.

use abi::file::{FileType, OpenFlags};
use abi::stat::StatFs;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;
use vfs::filesystem::anonymous_dev;
use vfs::{Attr, Dentry, FileOps, FileSystem, Inode, InodeRef, Mount, MountFlags, Path, SetAttr};

/// SOCKFS_MAGIC.
const SOCKFS_MAGIC: i64 = 0x534f_434b;

/// The inode of a socket.
pub struct SocketInode(Mutex<Attr>);

static DEV: LazyLock<u64> = LazyLock::new(anonymous_dev);
static MOUNT: LazyLock<Arc<Mount>> =
    LazyLock::new(|| Mount::new(Arc::new(SockFs), MountFlags::default()));

impl SocketInode {
    /// A new one.
    pub fn new(uid: u32, gid: u32) -> Arc<SocketInode> {
        static NEXT_INO: AtomicU64 = AtomicU64::new(1);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Arc::new(SocketInode(Mutex::new(Attr {
            dev: *DEV,
            ino: NEXT_INO.fetch_add(1, Ordering::Relaxed),
            mode: FileType::Socket.mode_bits() | 0o777,
            nlink: 1,
            uid,
            gid,
            blksize: 4096,
            atime: now.into(),
            mtime: now.into(),
            ctime: now.into(),
            ..Attr::default()
        })))
    }

    /// Its place, "socket:\[12\]" by name.
    pub fn path(self: Arc<SocketInode>) -> Path {
        let name = format!("socket:[{}]", self.0.lock().ino);
        Path { mount: MOUNT.clone(), dentry: Dentry::new_anonymous(name.as_bytes(), self) }
    }
}

impl Inode for SocketInode {
    fn file_type(&self) -> FileType {
        FileType::Socket
    }

    fn attr(&self) -> SysResult<Attr> {
        Ok(*self.0.lock())
    }

    fn set_attr(&self, change: &SetAttr) -> SysResult<()> {
        let mut attr = self.0.lock();
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        if let Some(mode) = change.mode {
            attr.mode = attr.mode & !0o7777 | mode & 0o7777;
        }
        Ok(())
    }

    fn open(&self, _flags: OpenFlags) -> SysResult<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }

    fn statfs(&self) -> SysResult<StatFs> {
        Ok(statfs())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn statfs() -> StatFs {
    StatFs { kind: SOCKFS_MAGIC, bsize: 4096, frsize: 4096, namelen: 255, ..StatFs::default() }
}

struct SockFs;

impl FileSystem for SockFs {
    fn name(&self) -> &str {
        "sockfs"
    }

    fn root(&self) -> InodeRef {
        Arc::new(Root)
    }

    fn dev(&self) -> u64 {
        *DEV
    }
}

/// The root directory nobody can reach.
struct Root;

impl Inode for Root {
    fn file_type(&self) -> FileType {
        FileType::Directory
    }

    fn attr(&self) -> SysResult<Attr> {
        let mode = FileType::Directory.mode_bits() | 0o500;
        Ok(Attr { dev: *DEV, mode, nlink: 1, ..Attr::default() })
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
