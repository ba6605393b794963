//! The sandbox's console: a host terminal with the sandbox's own job control.

use super::file::HostFile;
use super::source::Source;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vfs::FileOps;

/// Job control of the console, which is the kernel's business: the sandbox has sessions of its own,
/// and the host's are none of the guest's. All methods are called on the thread of the task that
/// made the call; the implementation knows which task that is.
pub trait ConsoleJobControl: Send + Sync {
    /// TIOCGPGRP, as the task sees the number. ENOTTY where the console is not its controlling
    /// terminal.
    fn foreground_pgrp(&self) -> SysResult<i32>;

    /// TIOCSPGRP. ENOTTY, EPERM (a group of another session), ESRCH as tcsetpgrp(3) says.
    fn set_foreground_pgrp(&self, pgrp: i32) -> SysResult<()>;

    /// TIOCGSID. ENOTTY as for TIOCGPGRP.
    fn session(&self) -> SysResult<i32>;

    /// TIOCSCTTY: becomes the controlling terminal of the task's session. EPERM.
    fn acquire(&self, steal: bool) -> SysResult<()>;

    /// TIOCNOTTY: the task gives up its controlling terminal. ENOTTY.
    fn release(&self) -> SysResult<()>;

    /// Before a transfer and before settings change: a task in the background is stopped by SIGTTIN
    /// (or SIGTTOU for `write`); the error makes the call restart.
    fn check_access(&self, write: bool) -> SysResult<()> {
        let _ = write;
        Ok(())
    }
}

/// The console of a sandbox.
pub struct Console {
    source: Arc<Source>,
    job_control: Mutex<Option<Arc<dyn ConsoleJobControl>>>,
}

impl Console {
    /// The console on the terminal `fd`. ENOTTY where it is none.
    pub fn new(fd: OwnedFd) -> SysResult<Arc<Console>> {
        let source = Arc::new(Source::new(fd)?);
        if !source.is_tty() {
            return Err(Errno::ENOTTY);
        }
        Ok(Arc::new(Console { source, job_control: Mutex::new(None) }))
    }

    /// Plugs the kernel's job control in. Until then there is none.
    pub fn set_job_control(&self, job_control: Arc<dyn ConsoleJobControl>) {
        *self.job_control.lock() = Some(job_control);
    }

    /// Another open file on the console: what /dev/console and /dev/tty give.
    pub fn open(self: &Arc<Console>) -> Arc<dyn FileOps> {
        self.open_host_file()
    }

    /// The same, as what it is.
    pub fn open_host_file(self: &Arc<Console>) -> Arc<HostFile> {
        HostFile::over(self.source.clone(), Some(self.clone()))
    }

    /// ENOTTY without job control.
    pub(super) fn job_control(&self) -> SysResult<Arc<dyn ConsoleJobControl>> {
        self.job_control.lock().clone().ok_or(Errno::ENOTTY)
    }

    pub(super) fn check_access(&self, write: bool) -> SysResult<()> {
        let job_control = self.job_control.lock().clone();
        job_control.map_or(Ok(()), |job_control| job_control.check_access(write))
    }
}
