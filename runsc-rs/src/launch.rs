//! Starting the processes of a sandbox, each with the descriptors it needs and nothing else.
//!
//! ```text
//!   front end ---- control ---- sentry (pid 1 of its namespaces) ---- stubs
//!       |                          |
//!       `-------- gofer -----------'
//! ```

use crate::error::{Context, Failure, Result, describe};
use crate::gofer_process::{self, GoferConfig, RootConfig};
use crate::view::{Host, HostRoot, View};
use platform::host::id_map::{IdMaps, IdRange};
use platform::host::process::{Child, Namespaces, SpawnOptions};
use platform::host::{detached, rights, signal};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use sentry::boot::{self, NAMESPACE_ADVICE};
use sentry::config::BootConfig;
use sentry::control::{self, ToSentry};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The name under which the sentry is started (and shows in `ps`).
pub const SENTRY: &str = "sandbox-sentry";
/// The name under which the gofer is started.
pub const GOFER: &str = "sandbox-gofer";

/// The user and group that root's sentry is on the host: nobody.
const NOBODY: u32 = 65534;

const CAP_SYS_ADMIN: u32 = 21;

/// The processes of a running sandbox. Dropping it ends them, at once.
#[derive(Debug)]
pub struct Sandbox {
    /// The control socket, non-blocking at this end.
    pub control: UnixStream,
    /// The sentry.
    pub sentry: Process,
    /// The gofer.
    pub gofer: Process,
}

/// A process that is killed and reaped when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Readable when it has ended.
    pub fn pidfd(&self) -> &OwnedFd {
        &self.0.pidfd
    }

    /// How it ended; None if it has not.
    pub fn ended(&self) -> Option<signal::Exit> {
        signal::try_wait(&self.0.pidfd).ok().flatten()
    }

    /// Kills it, without waiting for its end.
    pub fn kill(&self) {
        // It may be gone already.
        let _ = signal::send(&self.0.pidfd, libc::SIGKILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // For the sentry this waits for all that was in its pid namespace. ECHILD: reaped before.
        let _ = signal::wait(&self.0.pidfd);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Both at once, before either is waited for.
        self.sentry.kill();
        self.gofer.kill();
    }
}

/// Does this process have the rights of root, or only its name?
pub fn is_privileged() -> bool {
    let has_admin = rights::capabilities().is_ok_and(|caps| caps.0 >> CAP_SYS_ADMIN & 1 == 1);
    has_admin && rustix::process::geteuid().is_root()
}

/// Opens the roots: nothing but these descriptors ever leads the sandbox to the host's files.
pub fn open_roots(host: &Host, view: &View) -> Result<Vec<OwnedFd>> {
    if view.roots.len() > gofer_process::fds::MAX_ROOTS {
        return Err(Failure::own(format!(
            "too many directories are to be shown: {} (at most {})",
            view.roots.len(),
            gofer_process::fds::MAX_ROOTS
        )));
    }
    let privileged = is_privileged();
    view.roots.iter().map(|root| open_root(host, root, privileged)).collect()
}

fn open_root(host: &Host, root: &HostRoot, privileged: bool) -> Result<OwnedFd> {
    let path = host.locate(&root.source);
    let fail = |what: &str, error: io::Error| {
        Failure::own(format!("cannot {what} {}: {}", root.source.display(), describe(&error)))
    };
    // The path was followed to its end before. A link that is there now was put there meanwhile.
    let fd = rustix::fs::openat2(
        rustix::fs::CWD,
        &path,
        OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        ResolveFlags::NO_SYMLINKS,
    )
    .map_err(|error| fail("open", error.into()))?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| fail("open", error.into()))?;
    let access = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK,
        _ => rustix::fs::Access::READ_OK,
    };
    // Better said now than found out by the guest.
    rustix::fs::accessat(rustix::fs::CWD, &path, access, AtFlags::EACCESS)
        .map_err(|error| fail("read", error.into()))?;
    if privileged {
        return detached::detached_copy(fd.as_fd(), root.read_only)
            .map_err(|error| fail("make a detached mount of", error));
    }
    Ok(fd)
}

/// Starts the processes. The sentry then reads its configuration, boots, and reports.
pub fn start(
    view: &View,
    roots: Vec<OwnedFd>,
    config: BootConfig,
    log: OwnedFd,
) -> Result<Sandbox> {
    let pair = |kind| {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .context(|| "cannot make a socket".into())
    };
    let copy = |fd: &OwnedFd| fd.try_clone().context(|| "cannot copy a descriptor".into());
    let (gofer_end, sentry_end) = pair(SocketType::SEQPACKET)?;
    let gofer =
        start_gofer(view, roots, gofer_end, copy(&log)?, &config, pair(SocketType::STREAM)?)?;
    let (control, control_end) = pair(SocketType::STREAM)?;
    let sentry = start_sentry([control_end, sentry_end, log])?;
    let mut control = UnixStream::from(control);
    let sent = control::send(&mut control, &ToSentry::Boot(Box::new(config)));
    // A sentry that died already is the monitor's to explain.
    if let Err(error) = sent.and_then(|()| control.set_nonblocking(true))
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(Failure::own(format!("cannot talk to the sentry: {}", describe(&error))));
    }
    Ok(Sandbox { control, sentry, gofer })
}

fn start_gofer(
    view: &View,
    roots: Vec<OwnedFd>,
    socket: OwnedFd,
    log: OwnedFd,
    config: &BootConfig,
    (control, control_end): (OwnedFd, OwnedFd),
) -> Result<Process> {
    use gofer_process::fds;
    let own_namespaces = is_privileged();
    let roots_config = view.roots.iter().map(|root| RootConfig {
        id: root.id,
        read_only: root.read_only,
        shared: root.shared,
    });
    let config =
        GoferConfig { roots: roots_config.collect(), own_namespaces, log_level: config.log_level };
    let null = null()?;
    let more_null = null.try_clone().context(|| "cannot copy a descriptor".into())?;
    let mut options = this_program(GOFER)?
        .fd(null, 0)
        .fd(more_null, 1)
        .fd(log, 2)
        .fd(socket, fds::SENTRY)
        .fd(control_end, fds::CONTROL);
    for (number, root) in (fds::ROOTS..).zip(roots) {
        options = options.fd(root, number);
    }
    if own_namespaces {
        options = options.namespaces(
            Namespaces::PID
                | Namespaces::MOUNT
                | Namespaces::NET
                | Namespaces::IPC
                | Namespaces::UTS
                | Namespaces::CGROUP,
        );
    }
    let child = options.spawn().map_err(|error| {
        Failure::own(format!(
            "cannot start the gofer: {}. It needs mount, pid and network namespaces when started \
             by root; in a container, its seccomp profile must allow clone and mount",
            describe(&error)
        ))
    })?;
    let process = Process(child);
    control::send(&mut UnixStream::from(control), &config)
        .context(|| "cannot talk to the gofer".into())?;
    Ok(process)
}

fn start_sentry([control, gofer, log]: [OwnedFd; 3]) -> Result<Process> {
    let stdio = |fd: io::Result<OwnedFd>| fd.context(|| "cannot pass on a standard stream".into());
    let options = this_program(SENTRY)?
        .fd(stdio(io::stdin().as_fd().try_clone_to_owned())?, 0)
        .fd(stdio(io::stdout().as_fd().try_clone_to_owned())?, 1)
        .fd(stdio(io::stderr().as_fd().try_clone_to_owned())?, 2)
        .fd(control, boot::fds::CONTROL)
        .fd(gofer, boot::fds::GOFER)
        .fd(log, boot::fds::LOG)
        .namespaces(
            Namespaces::USER
                | Namespaces::PID
                | Namespaces::MOUNT
                | Namespaces::NET
                | Namespaces::IPC
                | Namespaces::UTS
                | Namespaces::CGROUP,
        )
        .id_maps(sentry_ids());
    let child = options.spawn().map_err(|error| {
        let advice = match error.kind() {
            // The last step is exec, and root's sentry is another user.
            io::ErrorKind::PermissionDenied if error.to_string().contains("exec") => {
                "Every user must be allowed to execute this program (mode 755)"
            }
            _ => NAMESPACE_ADVICE,
        };
        Failure::own(format!("cannot start the sentry: {}. {advice}", describe(&error)))
    })?;
    Ok(Process(child))
}

/// Arenas of malloc(3): enough that threads seldom wait for each other.
const MALLOC_ARENAS: &str = "4";

fn this_program(name: &str) -> Result<SpawnOptions> {
    // The only variable there is: eight arenas a CPU, glibc's rule, are too many for a process that
    // shall be small.
    SpawnOptions::this_program(&[name])
        .and_then(|options| options.env("MALLOC_ARENA_MAX", MALLOC_ARENAS))
        .map(SpawnOptions::die_with_parent)
        .context(|| "cannot start this program again".into())
}

/// Who the sentry is on the host: the caller, or nobody if that is root.
fn sentry_ids() -> IdMaps {
    let is_mapped = |map: &str| {
        std::fs::read_to_string(Path::new("/proc/self").join(map)).is_ok_and(|text| {
            text.lines().any(|line| {
                let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
                match (numbers.next(), numbers.next(), numbers.next()) {
                    (Some(inside), Some(_), Some(count)) => {
                        (inside..u64::saturating_add(inside, count)).contains(&u64::from(NOBODY))
                    }
                    _ => false,
                }
            })
        })
    };
    if is_privileged() && is_mapped("uid_map") && is_mapped("gid_map") {
        let nobody = || vec![IdRange { inside: 0, outside: NOBODY, count: 1 }];
        IdMaps { uids: nobody(), gids: nobody(), deny_setgroups: false }
    } else {
        IdMaps::single()
    }
}

fn null() -> Result<OwnedFd> {
    std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .context(|| "cannot open /dev/null".into())
}
