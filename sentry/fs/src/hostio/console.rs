//! The sandbox's console: a host terminal with the sandbox's own job control.

use super::file::HostFile;
use super::source::Source;
use crate::tty::JobControl;
use abi::signal::Signal;
use abi::{Errno, SysResult};
use parking_lot::Mutex;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vfs::FileOps;

/// The console of a sandbox.
pub struct Console {
    source: Arc<Source>,
    job_control: Mutex<Option<Arc<dyn JobControl>>>,
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
    pub fn set_job_control(&self, job_control: Arc<dyn JobControl>) {
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

    /// Job control, once it is plugged in.
    pub(super) fn job_control(&self) -> Option<Arc<dyn JobControl>> {
        self.job_control.lock().clone()
    }

    /// See [`JobControl::check_access`].
    pub(super) fn check_access(&self, signal: Signal) -> SysResult<()> {
        self.job_control().map_or(Ok(()), |job_control| job_control.check_access(signal))
    }
}
