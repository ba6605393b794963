//! The life of the sentry process: from what it was started with to the guest's end.
//!
//! The order is the point. What needs the host's files comes first, then the walls, then what
//! speaks to others, and the list of host calls before the first guest instruction.

use crate::config::BootConfig;
use crate::control::{self, FromSentry, ToSentry};
use crate::guest::{Guest, GuestParts};
use crate::isolation::{self, Phases};
use crate::{logging, seccomp};
use platform::host::{inherited, rights};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The descriptors a sentry is started with, beside the guest's standard streams at 0, 1 and 2.
pub mod fds {
    /// The control socket to the front end.
    pub const CONTROL: i32 = 3;
    /// The socket to the gofer.
    pub const GOFER: i32 = 4;
    /// The log.
    pub const LOG: i32 = 5;
}

/// Exit status of a sentry that failed.
const FAILED: i32 = 125;

/// Why a sandbox could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BootError {
    /// Exit status of the command.
    pub code: u8,
    /// For the user.
    pub message: String,
}

impl BootError {
    pub fn own(message: impl Into<String>) -> BootError {
        BootError { code: FAILED as u8, message: message.into() }
    }
}

/// What a guest is made of.
struct Inherited {
    /// A socket, but read(2) and write(2) are all it takes.
    control: File,
    gofer: OwnedFd,
    log: OwnedFd,
    stdio: [OwnedFd; 3],
}

/// The whole life of the process. Returns its exit status.
pub fn run() -> i32 {
    let inherited = match take_descriptors() {
        Ok(inherited) => inherited,
        Err(error) => {
            eprintln!("sandbox: this part of the command is not to be called by hand ({error})");
            return FAILED;
        }
    };
    let Ok(mut answers) = inherited.control.try_clone() else { return FAILED };
    let end = match boot_and_wait(inherited, &mut answers) {
        Ok(end) => end,
        Err(error) => FromSentry::Failed { code: error.code, message: error.message },
    };
    let status = if matches!(end, FromSentry::Exited(_)) { 0 } else { FAILED };
    // A front end that is gone needs no answer.
    let _ = control::send(&mut answers, &end);
    status
}

/// Takes the descriptors over, and puts harmless ones at the numbers of the standard streams: the
/// standard library writes there when it has to die, and that shall not be a file of the guest.
fn take_descriptors() -> io::Result<Inherited> {
    let control = File::from(inherited::take(fds::CONTROL)?);
    let gofer = inherited::take(fds::GOFER)?;
    let log = inherited::take(fds::LOG)?;
    let stdio = [
        io::stdin().as_fd().try_clone_to_owned()?,
        io::stdout().as_fd().try_clone_to_owned()?,
        io::stderr().as_fd().try_clone_to_owned()?,
    ];
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&log)?;
    Ok(Inherited { control, gofer, log, stdio })
}

fn boot_and_wait(inherited: Inherited, answers: &mut File) -> Result<FromSentry, BootError> {
    let mut phases = Phases::start();
    let Inherited { mut control, gofer, log, stdio } = inherited;
    let config = match control::receive::<ToSentry>(&mut control) {
        Ok(Some(ToSentry::Boot(config))) => *config,
        _ => return Err(BootError::own("the front end sent no configuration")),
    };
    logging::start(File::from(log), config.log_level, config.strace);
    // Only a name.
    let _ = rights::set_thread_name(c"sandbox-sentry");
    // What guests see of the machine: nothing that CPUID would not tell them.
    let host = procfs::HostInfo { cpuinfo: std::fs::read("/proc/cpuinfo").unwrap_or_default() };
    phases.end("configuration");

    let remains = isolation::enter(config.memory_limit, &mut phases).map_err(|refused| {
        BootError::own(format!(
            "the host forbids the sentry {}: {}. {}",
            refused.what, refused.error, NAMESPACE_ADVICE
        ))
    })?;
    if !remains.huge_pages {
        tracing::info!("the host gives no huge pages to guests");
    }
    let BootConfig { view, process, hostname, memory_limit, strace, .. } = config;
    let parts = GuestParts {
        memory: remains.memory,
        gofer,
        stdio,
        view,
        process,
        hostname,
        memory_limit,
        strace,
        host,
    };
    let guest = Guest::new(parts, &mut phases)?;
    seccomp::install().map_err(|error| {
        BootError::own(format!("the host refuses a seccomp filter to the sentry: {error}"))
    })?;
    phases.end("seccomp");
    guest.start()?;
    phases.end("program");
    control::send(answers, &FromSentry::Started(phases.finish()))
        .map_err(|error| BootError::own(format!("the front end is gone: {error}")))?;
    let guest = Arc::new(guest);
    let listener = Arc::clone(&guest);
    std::thread::Builder::new()
        .name("control".into())
        .spawn(move || listen(control, &listener))
        .map_err(|error| BootError::own(format!("cannot start a thread: {error}")))?;
    Ok(guest.wait())
}

/// What to do where namespaces are not to be had.
pub const NAMESPACE_ADVICE: &str = "The sandbox needs user namespaces. See \
    /proc/sys/user/max_user_namespaces (not 0), on Debian kernel.unprivileged_userns_clone (1), on \
    Ubuntu kernel.apparmor_restrict_unprivileged_userns (0); in a container, its seccomp profile \
    must allow unshare and mount";

/// Passes on what the front end says, until it is gone; then everything is.
fn listen(mut control: File, guest: &Guest) {
    loop {
        match control::receive::<ToSentry>(&mut control) {
            Ok(Some(ToSentry::Signal(signal))) => guest.signal(signal),
            Ok(Some(ToSentry::Resize)) => guest.signal(libc::SIGWINCH),
            Ok(Some(ToSentry::Boot(_)) | None) | Err(_) => std::process::exit(FAILED),
        }
    }
}
