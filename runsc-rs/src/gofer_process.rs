//! The gofer process: what it is given, and how it gives up everything else.
//!
//! # What it may do to files
//!
//! | caller | whose rights | beneath the roots by | capabilities |
//! |---|---|---|---|
//! | ordinary user | the caller's | Landlock, `openat2` beneath an fd | none |
//! | root | root's | the same; an empty mount namespace; roots that are detached, `nodev` and, unless `--rw`, read-only mounts | see [`capabilities`] |
//!
//! An ordinary user's gofer stays in the user namespace of the caller, since in another one all
//! files would seem to belong to nobody. In both cases: no_new_privs, not dumpable, the list of
//! [`gofer::seccomp`] (no open but `openat2`, no exec, no socket), no environment, no descriptors
//! but its own.

use gofer::seccomp::{ALLOWED, Condition as GoferCondition, REFUSED};
use gofer::server::{Access, Limits, Root, Server, Sharing};
use platform::host::refusals::{self, Refusal};
use platform::host::rights::{self, Capabilities};
use platform::host::seccomp::{Condition, Rule};
use platform::host::{inherited, landlock, mount, signal};
use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sentry::config::LogLevel;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The descriptors a gofer is started with; the log is its standard error.
pub mod fds {
    /// The socket to the sentry.
    pub const SENTRY: i32 = 3;
    /// The socket on which the front end sends the configuration.
    pub const CONTROL: i32 = 4;
    /// The first root; the others follow.
    pub const ROOTS: i32 = 5;
    /// How many roots there can be.
    pub const MAX_ROOTS: usize = 58;
}

/// What a gofer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoferConfig {
    /// The roots, in the order of their descriptors.
    pub roots: Vec<RootConfig>,
    /// It was started in namespaces of its own.
    pub own_namespaces: bool,
    /// What to log.
    pub log_level: LogLevel,
}

/// A root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootConfig {
    /// The number by which the sentry knows it.
    pub id: u32,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whether others may change it meanwhile.
    pub shared: bool,
}

/// What a gofer that runs as root keeps, to act for root and other users of the guest: it may look
/// at any file beneath its roots, and change any if a root may be changed. An ordinary user's has
/// nothing to keep.
pub fn capabilities(config: &GoferConfig) -> Capabilities {
    const CHOWN: u64 = 1 << 0;
    const DAC_OVERRIDE: u64 = 1 << 1;
    const DAC_READ_SEARCH: u64 = 1 << 2;
    const FOWNER: u64 = 1 << 3;
    const FSETID: u64 = 1 << 4;
    match config.roots.iter().all(|root| root.read_only) {
        true => Capabilities(DAC_READ_SEARCH),
        false => Capabilities(DAC_READ_SEARCH | DAC_OVERRIDE | CHOWN | FOWNER | FSETID),
    }
}

/// The whole life of the process. Returns its exit status.
pub fn run() -> i32 {
    match prepare().and_then(Server::run) {
        Ok(()) => 0,
        Err(error) => {
            crate::say(&format!("the gofer failed: {error}"));
            i32::from(crate::error::code::OWN)
        }
    }
}

fn prepare() -> io::Result<Server> {
    // Ctrl-C and its like go to all processes of the terminal, and are for the front end to judge.
    // Growing a file beyond the caller's limit is an error for the guest, not the end of the gofer.
    // Only the blocking is wanted; the descriptor is closed at once.
    signal::signalfd_of_all()?;
    let socket = inherited::take(fds::SENTRY)?;
    let mut control = UnixStream::from(inherited::take(fds::CONTROL)?);
    let config: GoferConfig = sentry::control::receive(&mut control)?
        .ok_or_else(|| io::Error::other("the front end sent no configuration"))?;
    drop(control);
    sentry::logging::start(
        File::from(io::stderr().as_fd().try_clone_to_owned()?),
        config.log_level,
        false,
    );
    // Only a name.
    let _ = rights::set_thread_name(c"sandbox-gofer");
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });

    let mut descriptors = Vec::new();
    for (number, _) in (fds::ROOTS..).zip(&config.roots) {
        descriptors.push(inherited::take(number)?);
    }
    // Landlock binds directories; a single file is open already, in its `Root`.
    let (read_only, read_write) = directories(&config, &descriptors)?;
    // Roots look at files through /proc, which is gone after this.
    let roots = roots(&config, descriptors)?;
    if config.own_namespaces {
        mount::enter_empty_root()?;
    } else {
        std::env::set_current_dir("/")?;
    }
    match landlock::restrict(&borrowed(&read_only), &borrowed(&read_write))? {
        landlock::Enforced::Version(version) => tracing::debug!("landlock version {version}"),
        // What is left is the gofer's own: openat2 beneath an fd, and nothing else that opens.
        landlock::Enforced::No => tracing::info!("the host has no Landlock to bind the gofer with"),
    }
    let server = Server::new(socket, roots, Limits::default())?;
    drop((read_only, read_write));
    rights::keep_capabilities(capabilities(&config))?;
    rights::no_new_privs()?;
    rights::not_dumpable()?;
    install_filter()?;
    Ok(server)
}

fn borrowed(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// Those of the roots that are directories: read-only ones, and those that may be changed.
fn directories(config: &GoferConfig, fds: &[OwnedFd]) -> io::Result<(Vec<OwnedFd>, Vec<OwnedFd>)> {
    let (mut read_only, mut read_write) = (Vec::new(), Vec::new());
    for (root, fd) in config.roots.iter().zip(fds) {
        let mode = rustix::fs::fstat(fd)?.st_mode;
        if FileType::from_raw_mode(mode) == FileType::Directory {
            let list = if root.read_only { &mut read_only } else { &mut read_write };
            list.push(fd.try_clone()?);
        }
    }
    Ok((read_only, read_write))
}

fn roots(config: &GoferConfig, fds: Vec<OwnedFd>) -> io::Result<Vec<Root>> {
    let roots = config.roots.iter().zip(fds).map(|(root, fd)| {
        let access = if root.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let sharing = if root.shared { Sharing::Shared } else { Sharing::Exclusive };
        Root::new(root.id, fd, access, sharing)
    });
    roots.collect()
}

/// The gofer's own list, in the terms of the platform.
fn install_filter() -> io::Result<()> {
    let mut conditions: Vec<Vec<Condition>> = Vec::new();
    for rule in ALLOWED {
        conditions.push(match rule.condition {
            GoferCondition::Any => Vec::new(),
            GoferCondition::Masked { index, mask, value } => vec![condition(index, mask, value)?],
        });
    }
    let rules: Vec<Rule> = ALLOWED
        .iter()
        .zip(conditions)
        // The tables of a process live as long as it does.
        .map(|(rule, when)| Rule { nr: rule.number, when: when.leak(), reason: rule.reason })
        .collect();
    let refused: Vec<Refusal> = REFUSED
        .iter()
        .map(|call| Refusal { nr: call.number, errno: call.errno, reason: call.reason })
        .collect();
    refusals::install(&rules, &refused)
}

fn condition(index: u8, mask: u64, value: u64) -> io::Result<Condition> {
    if mask == u64::MAX {
        return Ok(Condition::equal(index, value));
    }
    match (u32::try_from(mask), u32::try_from(value)) {
        (Ok(mask), Ok(value)) => Ok(Condition::masked32(index, mask, value)),
        _ => Err(io::Error::other("a condition of the gofer's list cannot be expressed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(read_only: &[bool]) -> GoferConfig {
        let roots = read_only.iter().map(|read_only| RootConfig {
            id: 0,
            read_only: *read_only,
            shared: false,
        });
        GoferConfig { roots: roots.collect(), own_namespaces: true, log_level: LogLevel::Warn }
    }

    #[test]
    fn what_may_not_be_changed_needs_no_right_to_change() {
        assert_eq!(capabilities(&config(&[true, true])), Capabilities(4));
        assert_eq!(capabilities(&config(&[true, false])), Capabilities(0b1_1111));
        assert_eq!(capabilities(&config(&[])), Capabilities(4));
    }

    #[test]
    fn every_condition_of_the_list_can_be_expressed() {
        for rule in ALLOWED {
            if let GoferCondition::Masked { index, mask, value } = rule.condition {
                assert!(condition(index, mask, value).is_ok(), "{}", rule.name);
            }
        }
    }
}
