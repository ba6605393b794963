//! The first process of a sandbox.

use crate::entry::TaskGuest;
use crate::exec::{Arguments, ImageRequest};
use crate::group::ThreadGroup;
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::process::{INIT, Pid, Process};
use crate::schedule::Scheduling;
use crate::signal::{SignalActions, TaskSignals};
use crate::task::{NewTask, Task};
use crate::{FsContext, exec};
use abi::Errno;
use abi::file::FileType;
use std::sync::Arc;
use vfs::cred::MAY_EXEC;
use vfs::{Credentials, FdTable, MountTable, Path, PathContext, WalkFlags};

/// The first process's id. The built-in init is [`INIT`].
pub(crate) const FIRST: Pid = 2;

/// What the first process is.
#[allow(missing_docs)]
pub struct InitProcess {
    pub mounts: Arc<MountTable>,
    /// Working directory: an absolute path in the guest.
    pub cwd: Vec<u8>,
    /// Path, or without a slash a name that is searched in the environment's PATH.
    pub program: Vec<u8>,
    pub argv: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub cred: Credentials,
    pub files: Arc<FdTable>,
    pub umask: u32,
    pub limits: Limits,
    /// The console is its controlling terminal, and it is in the foreground.
    pub has_tty: bool,
}

/// Why the first process could not be started.
#[derive(Debug)]
pub struct StartError {
    /// ENOENT: not found. EACCES, ENOEXEC...: not executable.
    pub errno: Errno,
    /// It is about the program, not about what is around it.
    pub program: bool,
    /// What it was about: the program, the working directory.
    pub what: String,
}

/// Where programs are searched when there is no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Kernel {
    /// Starts the first process. It runs when this returns.
    pub fn start_init(self: &Arc<Kernel>, init: InitProcess) -> Result<(), StartError> {
        let root = init.mounts.topmost(init.mounts.root());
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let paths =
            |start| PathContext { table: &init.mounts, root: &root, start, cred: &init.cred };
        let cwd = paths(&root)
            .walk(&init.cwd, WalkFlags::FOLLOW | WalkFlags::DIRECTORY)
            .map_err(|errno| StartError { errno, program: false, what: shown(&init.cwd) })?;
        let fail = |errno| StartError { errno, program: true, what: shown(&init.program) };
        let (place, name) = find_program(&paths(&cwd), &init).map_err(fail)?;
        let arguments = Arguments { argv: init.argv.clone(), envp: init.env.clone() };
        let request = ImageRequest {
            kernel: self,
            paths: paths(&cwd),
            limits: &init.limits,
            no_randomize: false,
        };
        let image = exec::image_for_init(&request, place, name, arguments).map_err(fail)?;

        let group = ThreadGroup::new(FIRST, SignalActions::new(), init.limits.fork());
        group.set_exe(Some(image.exe));
        let task = Task::new(
            self,
            NewTask {
                tid: FIRST,
                group: group.clone(),
                mm: image.mm.clone(),
                files: init.files,
                fs: FsContext::new(init.mounts.clone(), root.clone(), cwd, init.umask),
                cred: Arc::new(image.cred),
                comm: image.comm,
                signals: TaskSignals::default(),
                scheduling: Scheduling::new(self.cpus()),
            },
        );
        {
            let mut table = self.processes.lock();
            table.add_process(Process {
                group,
                tasks: Vec::new(),
                parent: INIT,
                parent_tid: INIT,
                children: Vec::new(),
                pgid: FIRST,
                sid: FIRST,
                exit_signal: libc::SIGCHLD,
                zombie: None,
                leader_status: None,
                stop_unseen: None,
                continued_unseen: false,
                tty: init.has_tty.then(|| self.console.clone()),
                tty_old_pgrp: 0,
                uid: init.cred.uid,
                comm: task.comm(),
            });
            table.add_task(&task);
        }
        if init.has_tty {
            self.console.set(FIRST, FIRST);
        }
        let thread = platform::ThreadContext::new(
            exec::start_registers(image.entry, image.stack_pointer),
            image.mm.address_space().clone(),
            task.interrupt.clone(),
        );
        self.cpu_threads_added(task.group());
        let guest = Arc::new(TaskGuest(task));
        let spawned = self.platform().spawn(thread, guest);
        spawned.map_err(|error| StartError {
            errno: error.into(),
            program: false,
            what: "the first guest thread".to_owned(),
        })
    }
}

/// As execvp(3): the first executable file of that name; EACCES if there were only others.
fn find_program(paths: &PathContext<'_>, init: &InitProcess) -> Result<(Path, Vec<u8>), Errno> {
    let program = &init.program;
    if program.contains(&b'/') {
        return Ok((paths.walk(program, WalkFlags::FOLLOW)?, program.clone()));
    }
    if program.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = init.env.iter().rev().find_map(|entry| entry.strip_prefix(b"PATH="));
    let mut result = Errno::ENOENT;
    for dir in path.unwrap_or(DEFAULT_PATH).split(|b| *b == b':') {
        let dir = if dir.is_empty() { b"." } else { dir };
        let name = [dir, b"/", program.as_slice()].concat();
        match paths.walk(&name, WalkFlags::FOLLOW) {
            Ok(place) if place.inode().file_type() == FileType::Regular => {
                match paths.access(&place, MAY_EXEC) {
                    Ok(()) => return Ok((place, name)),
                    Err(errno) => result = errno,
                }
            }
            Ok(_) => result = Errno::EACCES,
            Err(Errno::EACCES) => result = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(result)
}
