//! What a system call handler gets.

use crate::error::CallResult;
use crate::task::Task;
use crate::{FsContext, Kernel, ThreadGroup};
use abi::{SysResult, UserAddr};
use mm::MemoryManager;
use platform::ThreadContext;
use std::sync::Arc;
use vfs::{Credentials, Fd, FdTable, OpenFile, Path, PathContext};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The table of system calls, as the kernel sees it.
pub trait SyscallTable: Send + Sync {
    /// Runs call `nr`. An unknown one is ENOSYS.
    fn call(&self, cx: &mut TaskContext<'_>, nr: u64, args: [u64; 6]) -> CallResult;
}

/// The calling task and the registers it stopped with.
pub struct TaskContext<'a> {
    /// The caller.
    pub task: &'a Arc<Task>,
    /// Its registers and address space on the platform.
    pub thread: &'a mut ThreadContext,
}

impl TaskContext<'_> {
    /// The kernel.
    pub fn kernel(&self) -> &Arc<Kernel> {
        self.task.kernel()
    }

    /// The caller's process.
    pub fn group(&self) -> &Arc<ThreadGroup> {
        self.task.group()
    }

    /// The caller's memory.
    pub fn mm(&self) -> Arc<MemoryManager> {
        self.task.mm()
    }

    /// The caller's descriptors.
    pub fn files(&self) -> Arc<FdTable> {
        self.task.files()
    }

    /// The caller's root, working directory and umask.
    pub fn fs(&self) -> Arc<FsContext> {
        self.task.fs()
    }

    /// The caller's credentials.
    pub fn cred(&self) -> Arc<Credentials> {
        self.task.cred()
    }

    /// The open file behind a descriptor; EBADF, also for O_PATH ones.
    pub fn file(&self, fd: Fd) -> SysResult<Arc<OpenFile>> {
        self.task.files().get_io(fd)
    }

    /// Installs a file at the lowest free descriptor. EMFILE at RLIMIT_NOFILE.
    pub fn install(&self, file: Arc<OpenFile>, close_on_exec: bool) -> SysResult<Fd> {
        let limit = self.group().limits().nofile();
        self.task.files().install(file, close_on_exec, 0, limit)
    }

    /// Copies a value in. EFAULT.
    pub fn read<T: FromBytes>(&self, addr: UserAddr) -> SysResult<T> {
        self.task.mm().read(addr)
    }

    /// Copies a value out. EFAULT.
    pub fn write<T: IntoBytes + Immutable>(&self, addr: UserAddr, value: &T) -> SysResult<()> {
        self.task.mm().write(addr, value)
    }

    /// Copies a path in. EFAULT; ENAMETOOLONG from PATH_MAX bytes on.
    pub fn read_path(&self, addr: UserAddr) -> SysResult<Vec<u8>> {
        self.task.mm().read_cstr(addr, abi::PATH_MAX)
    }

    /// Runs `f` with the context for walking `path` relative to `dirfd` (which may be AT_FDCWD;
    /// it is not looked at for an absolute path).
    pub fn with_path<R>(
        &self,
        dirfd: Fd,
        path: &[u8],
        f: impl FnOnce(&PathContext<'_>) -> SysResult<R>,
    ) -> SysResult<R> {
        let (fs, cred) = (self.fs(), self.cred());
        let (root, cwd) = fs.root_and_cwd();
        let start: Path = if dirfd.0 == libc::AT_FDCWD || path.first() == Some(&b'/') {
            cwd
        } else {
            self.files().get(dirfd)?.path().clone()
        };
        f(&PathContext { table: fs.mounts(), root: &root, start: &start, cred: &cred })
    }
}
