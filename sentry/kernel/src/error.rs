//! How a system call can end.

use abi::Errno;

/// How an interrupted call goes on once the signal has been dealt with: the kernel's ERESTART
/// numbers, as a type of its own so that none can leak to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// ERESTARTSYS: again if the handler has SA_RESTART or there is none, else EINTR.
    IfAllowed,
    /// ERESTARTNOHAND: again if no handler ran, else EINTR.
    UnlessHandler,
    /// ERESTARTNOINTR: always again.
    Always,
    /// ERESTART_RESTARTBLOCK: through restart_syscall(2) with what is in the task's restart block
    /// if no handler ran, else EINTR.
    Block,
}

/// The failure of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysError {
    /// This error number.
    Errno(Errno),
    /// A signal came first.
    Restart(Restart),
}

/// What a handler returns: the value for rax, or how it failed.
pub type CallResult<T = u64> = Result<T, SysError>;

impl From<Errno> for SysError {
    fn from(errno: Errno) -> SysError {
        SysError::Errno(errno)
    }
}

/// Why a wait ended before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A signal (or the end of the task) wants attention.
    Signal,
    /// The deadline passed.
    TimedOut,
}

impl Interrupted {
    /// A signal becomes `restart`, the deadline `errno`.
    pub fn or(self, restart: Restart, errno: Errno) -> SysError {
        match self {
            Interrupted::Signal => SysError::Restart(restart),
            Interrupted::TimedOut => SysError::Errno(errno),
        }
    }
}

/// A signal means ERESTARTSYS; a deadline, where there is one, EAGAIN.
impl From<Interrupted> for SysError {
    fn from(interrupted: Interrupted) -> SysError {
        interrupted.or(Restart::IfAllowed, Errno::EAGAIN)
    }
}
