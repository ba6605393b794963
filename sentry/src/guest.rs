//! The guest: a kernel, its file systems, and the first process.

use crate::boot::BootError;
use crate::config::{ProcessConfig, ViewConfig};
use crate::console::{JobControl, KernelTerminals};
use crate::control::{FromSentry, Status};
use crate::isolation::Phases;
use crate::mounts::Mounter;
use abi::signal::Signal;
use abi::{Errno, SysResult};
use fs::devpts::DevPts;
use fs::hostio::{Console, HostFile, HostPoller};
use kernel::{InitProcess, Kernel, KernelConfig, Limits, WaitStatus};
use mm::MemoryFile;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use vfs::{Credentials, Fd, FdTable, MountTable, OpenFile};

/// What a guest is made of.
pub(crate) struct GuestParts {
    pub memory: OwnedFd,
    pub gofer: OwnedFd,
    pub stdio: [OwnedFd; 3],
    pub view: ViewConfig,
    pub process: ProcessConfig,
    pub hostname: String,
    pub memory_limit: u64,
    pub strace: bool,
    pub host: procfs::HostInfo,
}

/// A guest, started or about to be.
pub(crate) struct Guest {
    kernel: Arc<Kernel>,
    init: Mutex<Option<InitProcess>>,
}

/// Exit codes of the command for a program that could not be started, as env(1) has them.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

impl Guest {
    /// Puts everything together. What needs host calls that the running sentry may not make is done
    /// here.
    pub fn new(parts: GuestParts, phases: &mut Phases) -> Result<Guest, BootError> {
        let own = |what: &'static str| {
            move |error: &dyn std::fmt::Display| BootError::own(format!("{what}: {error}"))
        };
        let platform = platform::ptrace::PtracePlatform::new()
            .map_err(|error| own("ptrace does not work here")(&error))?;
        phases.end("platform");
        let memory_file =
            MemoryFile::new(parts.memory).map_err(|error| own("no guest memory")(&error))?;
        let kernel = Kernel::new(KernelConfig {
            platform: Arc::new(platform),
            memory_file,
            hostname: parts.hostname,
            table: &syscalls::TABLE,
            strace: parts.strace,
            memory_limit: parts.memory_limit,
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32),
        });
        kernel.timers.start().map_err(|error| own("no timer thread")(&error))?;
        HostPoller::start().map_err(|error| own("cannot watch the standard streams")(&error))?;
        let gofer = gofer::Client::connect(parts.gofer)
            .map_err(|error| own("the gofer does not answer")(&error))?;
        phases.end("gofer");

        let streams = Streams::new(parts.stdio, &parts.process, &kernel)
            .map_err(|error| own("cannot use the standard streams")(&error))?;
        let devpts = DevPts::new(Arc::new(KernelTerminals(Arc::downgrade(&kernel))));
        fs::dev::set_devpts(Some(devpts.clone()));
        let mounter = Mounter {
            kernel: &kernel,
            gofer: Arc::new(gofer),
            size: parts.memory_limit,
            console: streams.console.is_some(),
            host: parts.host,
            devpts,
        };
        let mounts = mounter.build(&parts.view)?;
        phases.end("mounts");
        let init = first_process(parts.process, mounts, streams);
        Ok(Guest { kernel, init: Mutex::new(Some(init)) })
    }

    /// Starts the program.
    pub fn start(&self) -> Result<(), BootError> {
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(init) = init else { return Ok(()) };
        self.kernel.start_init(init).map_err(|error| {
            if !error.program {
                return BootError::own(format!("{}: {}", error.what, describe(error.errno)));
            }
            let code = match error.errno {
                Errno::ENOENT => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            };
            BootError { code, message: explain(&error.what, error.errno) }
        })
    }

    /// A signal from outside.
    pub fn signal(&self, signal: i32) {
        if let Ok(signal) = Signal::new(signal) {
            self.kernel.signal_foreground(signal);
        }
    }

    /// Blocks until the first process has ended.
    pub fn wait(&self) -> FromSentry {
        match self.kernel.wait_init() {
            WaitStatus::Exited(code) => FromSentry::Exited(Status::Exited(code as u8)),
            WaitStatus::Signaled { signal, .. } => {
                FromSentry::Exited(Status::Signaled(signal.number() as u8))
            }
            WaitStatus::Lost => FromSentry::Failed {
                code: 125,
                message: "a process that the sandbox is made of was killed".to_owned(),
            },
        }
    }
}

/// What was wrong with a program, and what can be done.
fn explain(what: &str, errno: Errno) -> String {
    match errno {
        Errno::ENOENT => {
            format!("{what}: not found in the sandbox; if it is on the host, show it with --ro DIR")
        }
        Errno::EACCES => format!("{what}: not an executable file, or no permission to execute it"),
        Errno::ENOEXEC => format!("{what}: not an x86-64 Linux program"),
        Errno::E2BIG => format!("{what}: arguments and environment are too long"),
        other => format!("{what}: cannot be executed: {other}"),
    }
}

/// An error with the directory to start in, in words.
fn describe(errno: Errno) -> String {
    match errno {
        Errno::ENOENT => "there is no such directory in the sandbox to start in".to_owned(),
        Errno::ENOTDIR => "not a directory to start in".to_owned(),
        other => format!("cannot start there: {other}"),
    }
}

/// The standard streams, ready to be installed.
struct Streams {
    files: [Arc<OpenFile>; 3],
    console: Option<Arc<Console>>,
}

impl Streams {
    fn new(
        stdio: [OwnedFd; 3],
        process: &ProcessConfig,
        kernel: &Arc<Kernel>,
    ) -> SysResult<Streams> {
        let mut console: Option<Arc<Console>> = None;
        let mut open = |fd: OwnedFd| -> SysResult<Arc<OpenFile>> {
            let file = if rustix::termios::isatty(&fd) {
                let console = match &console {
                    Some(console) => console.clone(),
                    None => console.insert(Console::new(fd)?).clone(),
                };
                console.open_host_file()
            } else {
                HostFile::new(fd)?
            };
            Ok(file.open_file(process.uid, process.gid))
        };
        let [stdin, stdout, stderr] = stdio;
        let files = [open(stdin)?, open(stdout)?, open(stderr)?];
        if let Some(console) = &console {
            console.set_job_control(Arc::new(JobControl::new(kernel, &kernel.console)));
        }
        fs::dev::set_console(console.clone());
        Ok(Streams { files, console })
    }
}

fn first_process(process: ProcessConfig, mounts: Arc<MountTable>, streams: Streams) -> InitProcess {
    let files = FdTable::new();
    for (number, file) in streams.files.into_iter().enumerate() {
        // The table is empty: the lowest free number is the next one.
        let installed = files.install(file, false, 0, 1024);
        debug_assert_eq!(installed, Ok(Fd(number as i32)));
    }
    InitProcess {
        mounts,
        cwd: process.cwd,
        program: process.program,
        argv: process.argv,
        env: process.env,
        cred: Credentials::new(process.uid, process.gid, &process.groups),
        files,
        umask: process.umask,
        limits: Limits::with(&process.limits),
        has_tty: streams.console.is_some(),
    }
}
