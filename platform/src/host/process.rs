//! Starting a process of ours: this same program, in new namespaces, with the descriptors and the
//! environment it is given and nothing else.

use super::check;
use super::id_map::{IdMaps, write_id_maps};
use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

bitflags::bitflags! {
    /// The namespaces that the process gets of its own. See namespaces(7).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Namespaces: u64 {
        /// User ids and capabilities. Ordinary users need it for any of the others.
        const USER = libc::CLONE_NEWUSER as u64;
        /// Process ids: the process is number 1, and takes all others with it when it dies.
        const PID = libc::CLONE_NEWPID as u64;
        /// Mounts.
        const MOUNT = libc::CLONE_NEWNS as u64;
        /// Network interfaces and sockets.
        const NET = libc::CLONE_NEWNET as u64;
        /// System V IPC.
        const IPC = libc::CLONE_NEWIPC as u64;
        /// Host name.
        const UTS = libc::CLONE_NEWUTS as u64;
        /// Control groups' root.
        const CGROUP = libc::CLONE_NEWCGROUP as u64;
    }
}

/// How to start a process.
#[derive(Debug)]
pub struct SpawnOptions {
    argv: Vec<CString>,
    env: Vec<CString>,
    fds: Vec<(OwnedFd, RawFd)>,
    namespaces: Namespaces,
    id_maps: Option<IdMaps>,
    die_with_parent: bool,
}

/// A process that was started. Dropping this does not end it.
#[derive(Debug)]
pub struct Child {
    /// Its id, in the caller's pid namespace.
    pub pid: i32,
    /// Its pidfd: readable when it has ended. See pidfd_open(2), and [`super::signal`].
    pub pidfd: OwnedFd,
}

impl SpawnOptions {
    /// This same program (/proc/self/exe), with these arguments, the first being its name; with
    /// an empty environment and no descriptors.
    pub fn this_program<S: AsRef<str>>(argv: &[S]) -> io::Result<Self> {
        let argv = argv.iter().map(|arg| CString::new(arg.as_ref())).collect::<Result<_, _>>()?;
        Ok(SpawnOptions {
            argv,
            env: Vec::new(),
            fds: Vec::new(),
            namespaces: Namespaces::empty(),
            id_maps: None,
            die_with_parent: false,
        })
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> io::Result<Self> {
        self.env.push(CString::new(format!("{name}={value}"))?);
        Ok(self)
    }

    /// Gives a descriptor, at this number. The caller's copy is closed when the options are
    /// dropped.
    pub fn fd(mut self, fd: OwnedFd, number: RawFd) -> Self {
        self.fds.push((fd, number));
        self
    }

    /// Namespaces of its own.
    pub fn namespaces(mut self, namespaces: Namespaces) -> Self {
        self.namespaces = namespaces;
        self
    }

    /// The ids of its user namespace; in it the process is uid 0, gid 0. Implies
    /// [`Namespaces::USER`]. (An ordinary user's caller must be dumpable, or /proc hides the maps
    /// from it.)
    pub fn id_maps(mut self, maps: IdMaps) -> Self {
        self.id_maps = Some(maps);
        self.namespaces |= Namespaces::USER;
        self
    }

    /// The host kills the process (SIGKILL) when the calling *thread* ends.
    pub fn die_with_parent(mut self) -> Self {
        self.die_with_parent = true;
        self
    }

    /// Starts it. Returns when the program is running, or an error saying which step failed.
    pub fn spawn(&self) -> io::Result<Child> {
        let program = File::open("/proc/self/exe")?;
        // Both pipes are close-on-exec.
        let (go, mut say_go) = io::pipe()?;
        let (mut failure, tell_failure) = io::pipe()?;
        let mut targets: Vec<(RawFd, RawFd)> =
            self.fds.iter().map(|(fd, number)| (fd.as_raw_fd(), *number)).collect();
        targets.sort_by_key(|(_, number)| *number);
        if targets.iter().any(|(_, number)| *number < 0)
            || targets.windows(2).any(|pair| pair[0].1 == pair[1].1)
        {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut plan = Plan {
            program: program.as_raw_fd(),
            argv: pointers(&self.argv),
            env: pointers(&self.env),
            fds: targets,
            go: go.as_raw_fd(),
            say_go: say_go.as_raw_fd(),
            failure: tell_failure.as_raw_fd(),
            become_root: self.id_maps.is_some(),
            may_setgroups: self.id_maps.as_ref().is_some_and(|maps| !maps.deny_setgroups),
            die_with_parent: self.die_with_parent,
        };
        let (pid, pidfd) = clone(self.namespaces, &mut plan)?;
        drop((go, tell_failure));
        let child = Child { pid, pidfd };
        let started = self
            .id_maps
            .as_ref()
            .map_or(Ok(()), |maps| {
                write_id_maps(pid, maps).map_err(|error| step("id maps", &error))
            })
            .and_then(|()| say_go.write_all(&[1]))
            .and_then(|()| {
                let mut report = Vec::new();
                failure.read_to_end(&mut report)?;
                match report[..] {
                    [] => Ok(()),
                    [at, a, b, c, d, ..] => {
                        let error = io::Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d]));
                        Err(step(STEPS.get(usize::from(at)).unwrap_or(&"?"), &error))
                    }
                    _ => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            });
        match started {
            Ok(()) => Ok(child),
            Err(error) => {
                let _ = super::signal::send(&child.pidfd, libc::SIGKILL);
                let _ = super::signal::wait(&child.pidfd);
                Err(error)
            }
        }
    }
}

fn step(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("starting a process: {what}: {error}"))
}

/// What the child does, for messages.
const STEPS: [&str; 7] = [
    "waiting for its parent",
    "becoming root in its user namespace",
    "setting the parent-death signal",
    "moving descriptors",
    "closing descriptors",
    "setting the signal mask",
    "exec",
];

/// What the child needs; made before the clone, for after it the child may not allocate.
struct Plan {
    program: RawFd,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    /// Sorted by the number they are to have.
    fds: Vec<(RawFd, RawFd)>,
    go: RawFd,
    say_go: RawFd,
    failure: RawFd,
    become_root: bool,
    /// Then also without supplementary groups.
    may_setgroups: bool,
    die_with_parent: bool,
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let null = std::iter::once(std::ptr::null());
    strings.iter().map(|string| string.as_ptr()).chain(null).collect()
}

fn clone(namespaces: Namespaces, plan: &mut Plan) -> io::Result<(i32, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain data, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = libc::CLONE_PIDFD as u64 | namespaces.bits();
    args.pidfd = (&raw mut pidfd).expose_provenance() as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM this is fork: the child has a copy of all memory. Other threads'
    // locks are held for ever in it, so it only makes system calls (see `child`).
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) })?;
    if pid == 0 {
        // SAFETY: this is the child.
        unsafe { child(plan) };
    }
    // SAFETY: the kernel has put a new descriptor there, which nobody else has.
    Ok((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The child, from clone to exec.
///
/// # Safety
/// To be called only in a new process.
unsafe fn child(plan: &mut Plan) -> ! {
    // SAFETY: the caller's promise; async-signal-safe calls only.
    unsafe {
        if let Err(step) = prepare(plan) {
            let mut report = [step, 0, 0, 0, 0];
            report[1..].copy_from_slice(&(*libc::__errno_location()).to_ne_bytes());
            libc::write(plan.failure, report.as_ptr().cast(), report.len());
        }
        libc::_exit(127)
    }
}

/// Returns only on error: which step; errno says why.
///
/// # Safety
/// As [`child`].
unsafe fn prepare(plan: &mut Plan) -> Result<(), u8> {
    // SAFETY: plain system calls on numbers and on memory that the plan keeps alive.
    unsafe {
        let test = |step: u8, result: i64| if result < 0 { Err(step) } else { Ok(()) };
        let die = |plan: &Plan| match plan.die_with_parent {
            true => test(2, libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0).into()),
            false => Ok(()),
        };
        die(plan)?;
        // With our copy of the other end closed, this ends when the parent dies: also if it did
        // before the line above.
        libc::close(plan.say_go);
        let mut byte = 0u8;
        if libc::read(plan.go, (&raw mut byte).cast(), 1) != 1 {
            return Err(0);
        }
        if plan.become_root {
            if plan.may_setgroups {
                let none = std::ptr::null::<libc::gid_t>();
                test(1, libc::syscall(libc::SYS_setgroups, 0, none))?;
            }
            test(1, libc::syscall(libc::SYS_setresgid, 0, 0, 0))?;
            test(1, libc::syscall(libc::SYS_setresuid, 0, 0, 0))?;
            // Changing ids has cleared it.
            die(plan)?;
        }
        // First out of the way of all targets, then each to its place.
        let above = plan.fds.last().map_or(0, |(_, number)| *number) + 1;
        let away = |fd: RawFd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above);
        plan.program = away(plan.program);
        plan.failure = away(plan.failure);
        test(3, plan.program.min(plan.failure).into())?;
        for (fd, _) in &mut plan.fds {
            *fd = away(*fd);
            test(3, (*fd).into())?;
        }
        let mut next = 0;
        for (fd, number) in &plan.fds {
            test(3, libc::dup2(*fd, *number).into())?;
            if next < *number {
                test(4, close_range(next, *number - 1, 0))?;
            }
            next = *number + 1;
        }
        // The rest goes at exec, the program and the pipe being needed until then.
        test(4, close_range(next, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC))?;
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        test(
            5,
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()).into(),
        )?;
        let path: &CStr = c"";
        let (argv, env) = (plan.argv.as_ptr(), plan.env.as_ptr());
        let flags = libc::AT_EMPTY_PATH;
        libc::syscall(libc::SYS_execveat, plan.program, path.as_ptr(), argv, env, flags);
        Err(6)
    }
}

/// # Safety
/// Nobody may use the descriptors any more.
unsafe fn close_range(first: RawFd, last: RawFd, flags: u32) -> i64 {
    // SAFETY: numbers; the caller's promise.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }
}
