//! A kernel whose platform runs nothing: the tests are its guests. A "system call" of a guest is a
//! closure, run as the kernel runs a handler.

use abi::file::OpenFlags;
use abi::{Errno, SysResult};
use fs::tmpfs::{Tmpfs, TmpfsOptions};
use kernel::{
    CallResult, CloneRequest, InitProcess, Kernel, KernelConfig, Limits, SyscallTable, Task,
    TaskContext, WaitStatus,
};
use mm::MemoryFile;
use platform::{AddressSpace, Event, Guest, MapOp, Next, Platform, ThreadContext};
use procfs::ProcOptions;
use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex};
use vfs::{
    Credentials, Fd, FdTable, InodeRef, Mount, MountFlags, MountTable, NodeKind, OpenFile,
    PathContext, WalkFlags,
};

type Spawned = Arc<Mutex<Vec<(ThreadContext, Arc<dyn Guest>)>>>;

struct NoSpace;

impl AddressSpace for NoSpace {
    fn apply(&self, _ops: &[MapOp]) -> io::Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct NoPlatform(Spawned);

impl Platform for NoPlatform {
    fn name(&self) -> &'static str {
        "none"
    }

    fn new_address_space(&self) -> io::Result<Arc<dyn AddressSpace>> {
        Ok(Arc::new(NoSpace))
    }

    fn spawn(&self, thread: ThreadContext, guest: Arc<dyn Guest>) -> io::Result<()> {
        self.0.lock().unwrap().push((thread, guest));
        Ok(())
    }
}

type Script = Box<dyn FnOnce(&mut TaskContext<'_>)>;

thread_local! {
    static SCRIPT: RefCell<Option<Script>> = const { RefCell::new(None) };
}

struct Scripted;

impl SyscallTable for Scripted {
    fn call(&self, cx: &mut TaskContext<'_>, _nr: u64, _args: [u64; 6]) -> CallResult {
        let script = SCRIPT.take().unwrap();
        script(cx);
        Ok(0)
    }
}

/// A sandbox with /proc, and one process.
pub struct Sandbox {
    pub kernel: Arc<Kernel>,
    spawned: Spawned,
}

/// A program of one page that is never run.
fn program() -> Vec<u8> {
    let mut elf = Vec::new();
    elf.extend(b"\x7fELF\x02\x01\x01");
    elf.resize(16, 0);
    let half = |elf: &mut Vec<u8>, value: u16| elf.extend(value.to_le_bytes());
    half(&mut elf, 2); // ET_EXEC
    half(&mut elf, 62); // EM_X86_64
    elf.extend(1u32.to_le_bytes());
    elf.extend([0x40_0080u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(0u32.to_le_bytes());
    for value in [64, 56, 1, 0, 0, 0] {
        half(&mut elf, value);
    }
    elf.extend([1u32, 5].iter().flat_map(|word| word.to_le_bytes())); // PT_LOAD, r-x
    let segment = [0u64, 0x40_0000, 0x40_0000, 0x1000, 0x1000, 0x1000];
    elf.extend(segment.iter().flat_map(|word| word.to_le_bytes()));
    elf.resize(4096, 0x90);
    elf
}

impl Sandbox {
    pub fn new() -> Sandbox {
        mm::install_fault_handler();
        let spawned = Spawned::default();
        let memory = MemoryFile::new_memfd().unwrap();
        let kernel = Kernel::new(KernelConfig {
            platform: Arc::new(NoPlatform(spawned.clone())),
            memory_file: memory.clone(),
            hostname: "box".to_owned(),
            table: &Scripted,
            strace: false,
            memory_limit: 1 << 30,
            cpus: 2,
        });
        let mounts = Sandbox::mounts(&kernel, memory);
        let init = InitProcess {
            mounts,
            cwd: b"/tmp".to_vec(),
            program: b"/bin/prog".to_vec(),
            argv: vec![b"prog".to_vec(), b"two words".to_vec()],
            env: vec![b"A=b".to_vec()],
            cred: Credentials::new(0, 0, &[7]),
            files: FdTable::new(),
            umask: 0o22,
            has_tty: true,
            limits: Limits::default(),
        };
        kernel.start_init(init).map_err(|error| format!("{error:?}")).unwrap();
        Sandbox { kernel, spawned }
    }

    fn mounts(kernel: &Arc<Kernel>, memory: Arc<MemoryFile>) -> Arc<MountTable> {
        let root = Tmpfs::new(memory, TmpfsOptions { mode: 0o755, ..Default::default() }).unwrap();
        let table = MountTable::new(Mount::new(root, MountFlags::default()));
        let cred = Credentials::new(0, 0, &[]);
        let top = table.root();
        let paths = PathContext { table: &table, root: &top, start: &top, cred: &cred };
        for dir in ["/bin", "/tmp", "/proc", "/sys"] {
            paths.make_node(dir.as_bytes(), NodeKind::Directory, 0o755).unwrap();
        }
        let flags = OpenFlags::WRONLY | OpenFlags::CREAT;
        let file = paths.open(b"/bin/prog", flags, 0o755).unwrap();
        assert_eq!(file.write(&program()).unwrap(), 4096);
        let options = ProcOptions::default();
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let proc = Mount::new(procfs::ProcFs::new(kernel, options), flags);
        table.attach(proc, &paths.walk(b"/proc", WalkFlags::empty()).unwrap()).unwrap();
        let sys = Mount::new(procfs::SysFs::new(kernel.cpus()), flags | MountFlags::RDONLY);
        table.attach(sys, &paths.walk(b"/sys", WalkFlags::empty()).unwrap()).unwrap();
        table
    }

    /// Runs `f` as a system call of the guest thread that was started as number `index`.
    pub fn run<R: 'static>(
        &self,
        index: usize,
        f: impl FnOnce(&mut TaskContext<'_>) -> R + 'static,
    ) -> R {
        self.run_to(index, f).0
    }

    /// As [`Sandbox::run`], with what the kernel says then.
    pub fn run_to<R: 'static>(
        &self,
        index: usize,
        f: impl FnOnce(&mut TaskContext<'_>) -> R + 'static,
    ) -> (R, Next) {
        let result = Arc::new(Mutex::new(None));
        let slot = result.clone();
        let script: Script = Box::new(move |cx| *slot.lock().unwrap() = Some(f(cx)));
        assert!(SCRIPT.replace(Some(script)).is_none());
        let (mut thread, guest) = self.spawned.lock().unwrap().remove(index);
        let next = guest.handle(&mut thread, Event::Syscall { nr: 0, args: [0; 6] });
        self.spawned.lock().unwrap().insert(index, (thread, guest));
        let result = result.lock().unwrap().take().unwrap();
        (result, next)
    }

    /// Ends the thread with this number.
    pub fn exit(&self, index: usize, code: i32) {
        let end = move |cx: &mut TaskContext<'_>| {
            cx.task.exit_group(WaitStatus::Exited(code));
        };
        assert_eq!(self.run_to(index, end).1, Next::Exit);
    }

    /// The platform forgets the thread with this number.
    pub fn forget(&self, index: usize) {
        drop(self.spawned.lock().unwrap().remove(index));
    }
}

/// fork(2). Returns the child's id.
pub fn fork(cx: &mut TaskContext<'_>, flags: abi::process::CloneFlags) -> i32 {
    let request = CloneRequest {
        flags,
        exit_signal: libc::SIGCHLD,
        stack: abi::UserAddr::NULL,
        parent_tid: abi::UserAddr::NULL,
        child_tid: abi::UserAddr::NULL,
        tls: 0,
    };
    cx.clone_task(&request, |_, _| Err(abi::Errno::EINVAL)).unwrap()
}

/// Runs `f` with the caller's root, directory and credentials.
pub fn with_paths<R>(task: &Arc<Task>, f: impl FnOnce(&PathContext<'_>) -> R) -> R {
    let (fs, cred) = (task.fs(), task.cred());
    let (root, cwd) = fs.root_and_cwd();
    f(&PathContext { table: fs.mounts(), root: &root, start: &cwd, cred: &cred })
}

/// open(2), without a descriptor.
pub fn open(task: &Arc<Task>, path: &str, flags: OpenFlags) -> SysResult<Arc<OpenFile>> {
    with_paths(task, |paths| paths.open(path.as_bytes(), flags, 0))
}

/// The inode at `path`; the last component is not followed.
pub fn find(task: &Arc<Task>, path: &str) -> SysResult<InodeRef> {
    with_paths(task, |paths| {
        paths.walk(path.as_bytes(), WalkFlags::empty()).map(|place| place.inode().clone())
    })
}

/// Reads an open file to its end, a few bytes at a time.
pub fn read_all(file: &OpenFile) -> SysResult<Vec<u8>> {
    let (mut all, mut buf) = (Vec::new(), [0; 100]);
    loop {
        match file.read(&mut buf)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buf[..count]),
        }
    }
}

/// The text of a file.
pub fn text(task: &Arc<Task>, path: &str) -> SysResult<String> {
    let bytes = read_all(&*open(task, path, OpenFlags::empty())?)?;
    String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)
}

/// Writes to a file.
pub fn write(task: &Arc<Task>, path: &str, data: &str) -> SysResult<usize> {
    open(task, path, OpenFlags::WRONLY | OpenFlags::TRUNC)?.write(data.as_bytes())
}

/// readlink(2).
pub fn readlink(task: &Arc<Task>, path: &str) -> SysResult<String> {
    let target = with_paths(task, |paths| paths.readlink(path.as_bytes()))?;
    Ok(String::from_utf8(target).unwrap())
}

/// The names in a directory, "." and ".." included, one at a time.
pub fn list(task: &Arc<Task>, path: &str) -> SysResult<Vec<String>> {
    let dir = open(task, path, OpenFlags::DIRECTORY)?;
    let mut names = Vec::new();
    loop {
        let mut taken = false;
        dir.read_dir(&mut |entry| {
            let room = !taken;
            if room {
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
            }
            taken = true;
            room
        })?;
        if !taken {
            return Ok(names);
        }
    }
}

/// Opens a file at the lowest free descriptor.
pub fn install(task: &Arc<Task>, path: &str, flags: OpenFlags) -> Fd {
    let file = open(task, path, flags).unwrap();
    task.files().install(file, false, 0, 1024).unwrap()
}
