//! Which signals of the front end are the guest's.

use crate::error::{Context, Result};
use platform::host::signal;
use std::os::fd::OwnedFd;

/// What the guest is told of. Another Ctrl-C is just another signal: programs differ in what they
/// make of it, and SIGKILL ends everything.
const FORWARDED: &[i32] = &[
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTSTP,
    libc::SIGCONT,
];

/// What ends a sandbox that has no guest yet.
const ENDING: &[i32] = &[libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP];

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It is the guest's.
    Forward(i32),
    /// The terminal has another size.
    Resize,
    /// Nothing.
    Ignore,
}

/// The signals of this process.
pub(crate) struct Signals {
    fd: OwnedFd,
    /// Those that whoever started the front end wanted ignored (nohup, background jobs of sh).
    ignored: u64,
}

impl Signals {
    /// Blocks all signals and takes them as they come. To be called while there is one thread.
    pub fn take() -> Result<Signals> {
        let fd = signal::signalfd_of_all().context(|| "cannot take signals".into())?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Signals { fd, ignored: ignored(&status) })
    }

    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The next signal, if there is one.
    pub fn next(&self) -> Option<i32> {
        signal::read_signal(&self.fd).ok().flatten().map(|received| received.signal)
    }

    /// What to do about a signal.
    pub fn meaning(&self, signal: i32) -> Meaning {
        let bit = u32::try_from(signal - 1).ok().and_then(|bit| self.ignored.checked_shr(bit));
        match signal {
            libc::SIGWINCH => Meaning::Resize,
            _ if bit.is_some_and(|bits| bits & 1 == 1) => Meaning::Ignore,
            _ if FORWARDED.contains(&signal) => Meaning::Forward(signal),
            _ => Meaning::Ignore,
        }
    }
}

/// Does this signal end a sandbox that is only starting?
pub(crate) fn ends_start(signal: i32) -> bool {
    ENDING.contains(&signal)
}

/// SigIgn of /proc/PID/status.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// The name of a signal, for messages.
pub(crate) fn name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_not_forwarded() {
        let ignored = ignored("Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0\n");
        let fd = std::fs::File::open("/dev/null").unwrap().into();
        let signals = Signals { fd, ignored };
        assert_eq!(signals.meaning(libc::SIGHUP), Meaning::Ignore);
        assert_eq!(signals.meaning(libc::SIGINT), Meaning::Forward(libc::SIGINT));
        assert_eq!(signals.meaning(libc::SIGCHLD), Meaning::Ignore);
        assert_eq!(signals.meaning(libc::SIGWINCH), Meaning::Resize);
    }
}
