//! Job control of a terminal: what the kernel does for every driver.

use abi::signal::Signal;
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use std::sync::Arc;

/// The kernel's part of one terminal: sessions and process groups. All methods are called on the
/// thread of the task that made the call; the implementation knows which task that is.
pub trait JobControl: Send + Sync {
    /// Is it the controlling terminal of the task?
    fn is_controlling(&self) -> bool;

    /// The foreground process group, as the task sees the number; 0 where there is none.
    fn foreground_pgrp(&self) -> i32;

    /// TIOCSPGRP. ENOTTY, EPERM (a group of another session), ESRCH as tcsetpgrp(3) says.
    fn set_foreground_pgrp(&self, pgrp: i32) -> SysResult<()>;

    /// The session it controls; 0 where it controls none.
    fn session(&self) -> i32;

    /// TIOCSCTTY: becomes the controlling terminal of the task's session. `readable`: the file is
    /// open for reading. EPERM.
    fn acquire(&self, readable: bool, steal: bool) -> SysResult<()>;

    /// It was opened for reading, and without O_NOCTTY: a session leader without a terminal gets
    /// it.
    fn opened(&self);

    /// TIOCNOTTY: the task gives up its controlling terminal. ENOTTY.
    fn release(&self) -> SysResult<()>;

    /// Before a read (SIGTTIN), and before a write or a change of settings (SIGTTOU): a task in the
    /// background is stopped. EINTR: the call is made again after that.
    fn check_access(&self, signal: Signal) -> SysResult<()>;

    /// To the foreground process group: what the keyboard sends, and SIGWINCH.
    fn signal_foreground(&self, signal: Signal);

    /// The terminal is gone.
    fn hang_up(&self);
}

/// The terminals of the sandbox, as the file systems need them of the kernel.
pub trait Terminals: Send + Sync {
    /// The job control of a new terminal with this device number.
    fn add(&self, rdev: u64) -> Arc<dyn JobControl>;

    /// The device number of the controlling terminal of the task that makes the call.
    fn controlling(&self) -> Option<u64>;

    /// The file-system ids of the task that makes the call.
    fn owner(&self) -> (u32, u32);

    /// The timers of the sandbox.
    fn timers(&self) -> wait::Timers;
}

const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCNOTTY: u32 = 0x5422;
const TIOCGSID: u32 = 0x5429;

/// How an ioctl reached the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Through {
    /// Through the master of a pseudo-terminal, which is nobody's controlling terminal.
    pub master: bool,
    /// Through a file that is open for reading.
    pub readable: bool,
}

/// The ioctls of job control. None for others.
pub fn ioctl(
    jobs: &dyn JobControl,
    mm: &MemoryManager,
    cmd: u32,
    arg: u64,
    through: Through,
) -> Option<SysResult<u64>> {
    let addr = UserAddr(arg);
    // Only a session's own terminal tells about it.
    let check_own = || {
        let own = through.master || jobs.is_controlling();
        if own { Ok(()) } else { Err(Errno::ENOTTY) }
    };
    let get_pgrp = || {
        check_own()?;
        mm.write(addr, &jobs.foreground_pgrp())
    };
    let set_pgrp = || {
        // What EIO means elsewhere.
        let check = jobs.check_access(Signal::SIGTTOU);
        check.map_err(|errno| if errno == Errno::EIO { Errno::ENOTTY } else { errno })?;
        jobs.set_foreground_pgrp(mm.read(addr)?)
    };
    let get_session = || {
        check_own()?;
        match jobs.session() {
            0 => Err(Errno::ENOTTY),
            session => mm.write(addr, &session),
        }
    };
    let result = match cmd {
        TIOCGPGRP => get_pgrp(),
        TIOCSPGRP => set_pgrp(),
        TIOCGSID => get_session(),
        TIOCSCTTY => jobs.acquire(through.readable, arg == 1),
        TIOCNOTTY if through.master => Err(Errno::ENOTTY),
        TIOCNOTTY => jobs.release(),
        _ => return None,
    };
    Some(result.map(|()| 0))
}
