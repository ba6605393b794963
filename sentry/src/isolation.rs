//! The walls around the sentry, but for the list of host calls (see [`crate::seccomp`]).
//!
//! The front end starts it as process 1 of new user, pid, mount, net, ipc, uts and cgroup
//! namespaces, with an empty environment and six descriptors. Here it gives up the rest: its way to
//! the host's files, its capabilities, and the possibility to be looked into.

use crate::control::Phase;
use platform::host::{memory, mount, rights, signal};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// What is left of the host after [`enter`].
pub struct Remains {
    /// An empty file for all guest memory.
    pub memory: OwnedFd,
    /// Whether guests get huge pages there for large areas.
    pub huge_pages: bool,
}

/// Something the host refused.
#[derive(Debug)]
pub struct Refused {
    /// What was tried.
    pub what: &'static str,
    /// How it ended.
    pub error: io::Error,
}

/// Gives everything up. To be called while there is one thread.
pub fn enter(memory_limit: u64, phases: &mut Phases) -> Result<Remains, Refused> {
    let refused = |what| move |error: io::Error| Refused { what, error };
    // The number of files that guests may have open is theirs, not the caller's shell's. Not being
    // allowed to raise it is no reason to stop.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    // A session of its own: the terminal's job control shall stop guests, not the sentry. EPERM:
    // it has one already.
    let _ = rustix::process::setsid();
    // Nor any of the caller's groups. An ordinary user's namespace may not drop them, where they
    // mean nothing without a way to open files.
    let _ = rustix::thread::set_thread_groups(&[]);
    // Writing past a file size limit, or to a terminal from the background, is the guest's
    // business: with the signal blocked the call returns an error or succeeds. Only the blocking
    // is wanted of this; the descriptor is closed at once.
    signal::signalfd(&[libc::SIGXFSZ, libc::SIGTTOU, libc::SIGTTIN])
        .map_err(refused("blocking signals"))?;

    let (memory, huge_pages) = private_memory(memory_limit)?;
    phases.end("memory");
    mount::enter_empty_root().map_err(refused("leaving the host's file systems"))?;
    rights::keep_capabilities(rights::Capabilities::NONE)
        .map_err(refused("giving up capabilities"))?;
    rights::no_new_privs().map_err(refused("setting no_new_privs"))?;
    rights::not_dumpable().map_err(refused("closing /proc/PID to others"))?;
    phases.end("isolation");
    Ok(Remains { memory, huge_pages })
}

/// A file on a tmpfs of our own, where the size is exact and huge pages can be asked for.
///
/// A host that does not let a user namespace mount tmpfs is not one where the rest would work, but
/// one without the new mount calls (before Linux 5.2) is: there a memfd does, and the limit is
/// kept by the memory file alone.
fn private_memory(limit: u64) -> Result<(OwnedFd, bool), Refused> {
    match mount::tmpfs(limit) {
        Ok(tmpfs) => {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            match rustix::fs::openat(&tmpfs.root, ".", flags, mode) {
                Ok(file) => Ok((file, tmpfs.huge)),
                Err(error) => Err(Refused { what: "making the memory file", error: error.into() }),
            }
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            tracing::info!("no private tmpfs for guest memory ({error}); using a memfd");
            let file = memory::memfd(c"guest-memory");
            let file = file.map_err(|error| Refused { what: "making the memory file", error })?;
            Ok((file, false))
        }
        Err(error) => Err(Refused { what: "mounting a tmpfs in its own namespaces", error }),
    }
}

/// Measures the phases of starting up.
pub struct Phases {
    since: Instant,
    list: Vec<Phase>,
}

impl Phases {
    /// Starts the clock.
    pub fn start() -> Phases {
        Phases { since: Instant::now(), list: Vec::new() }
    }

    /// The time since the last call was this phase.
    pub fn end(&mut self, name: &str) {
        let now = Instant::now();
        self.list.push(Phase { name: name.to_owned(), took: now - self.since });
        self.since = now;
    }

    /// All of them.
    pub fn finish(self) -> Vec<Phase> {
        self.list
    }
}
