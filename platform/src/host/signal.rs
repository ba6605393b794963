//! Signals as descriptors. See signalfd(2), pidfd_send_signal(2), waitid(2).

use super::check;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A signal read from a signalfd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// Who sent it.
    pub pid: i32,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// As a shell puts it: the status, or 128 and the signal's number.
    pub fn shell_status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, made valid by sigemptyset.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a live set.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: a live set; an impossible number is refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

fn block(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: a live set; the old one is not wanted.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Blocks these signals in the calling thread (and those it starts later), and returns a
/// descriptor, non-blocking and close-on-exec, that gives them. Call it before there are other
/// threads: a signal goes to any thread that does not block it.
pub fn signalfd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    block(&set)?;
    // SAFETY: a live set.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    check(fd.into())?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// [`signalfd`] of all signals that can be forwarded: all but KILL and STOP, which cannot be
/// blocked, and those that a fault of our own raises.
pub fn signalfd_of_all() -> io::Result<OwnedFd> {
    let own = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGABRT,
    ];
    let all: Vec<i32> = (1..=libc::SIGRTMAX())
        .filter(|signal| !own.contains(signal))
        // Those that libc keeps for itself.
        .filter(|signal| *signal < 32 || *signal >= libc::SIGRTMIN())
        .collect();
    signalfd(&all)
}

/// The next signal of a signalfd; None when there is none.
pub fn read_signal(fd: &OwnedFd) -> io::Result<Option<Received>> {
    // SAFETY: signalfd_siginfo is plain data, for which zero is a value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    let buffer: *mut libc::signalfd_siginfo = &mut info;
    // SAFETY: the kernel writes at most `size` bytes to the struct, any of which are valid in it.
    let len = unsafe { libc::read(fd.as_raw_fd(), buffer.cast(), size) };
    match check(len as libc::c_long) {
        Ok(len) if len as usize == size => {
            Ok(Some(Received { signal: info.ssi_signo as i32, pid: info.ssi_pid as i32 }))
        }
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// A pidfd of a process (pidfd_open).
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: numbers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to a process by its pidfd; 0 only asks whether it could.
pub fn send(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: numbers, and null for the default siginfo.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, null, 0) })
        .map(drop)
}

/// Waits for the end of a child, and reaps it.
pub fn wait(pidfd: &OwnedFd) -> io::Result<Exit> {
    loop {
        match wait_with(pidfd, libc::WEXITED) {
            Ok(Some(exit)) => return Ok(exit),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// As [`wait`], but None if the child has not ended.
pub fn try_wait(pidfd: &OwnedFd) -> io::Result<Option<Exit>> {
    wait_with(pidfd, libc::WEXITED | libc::WNOHANG)
}

fn wait_with(pidfd: &OwnedFd, options: i32) -> io::Result<Option<Exit>> {
    // SAFETY: siginfo_t is plain data, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: the kernel writes one siginfo_t.
    check(unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, options) }.into())?;
    // SAFETY: waitid has filled in the members for SIGCHLD, or left zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match info.si_code {
        _ if pid == 0 => None,
        libc::CLD_EXITED => Some(Exit::Code(status)),
        _ => Some(Exit::Signal(status)),
    })
}

/// Tells the host not to send SIGCHLD when a child merely stops. The ptrace platform stops its
/// children at every guest call; nobody wants a signal for that.
pub fn ignore_child_stops() -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which zero (SIG_DFL, empty mask) is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = libc::SIG_DFL;
    action.sa_flags = libc::SA_NOCLDSTOP;
    // SAFETY: a live struct that installs no handler.
    check(unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut()) }.into())
        .map(drop)
}
