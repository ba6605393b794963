//! Job control of the console: which process group is in the foreground.

use abi::signal::Signal;
use abi::{Errno, SysResult};
use fs::hostio::ConsoleJobControl;
use kernel::{Kernel, Task, current};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// The kernel's part of the console.
pub(crate) struct JobControl(pub Weak<Kernel>);

/// Who asks: the kernel, the task, its process group and session.
struct Asker {
    kernel: Arc<Kernel>,
    task: Arc<Task>,
    pgid: i32,
    sid: i32,
}

impl JobControl {
    /// The current task, if the console is its controlling terminal. ENOTTY.
    fn asker(&self) -> SysResult<Asker> {
        let asker = self.anybody()?;
        let has_tty = {
            let table = asker.kernel.processes.lock();
            table.process(asker.task.group().pid()).is_some_and(|process| process.has_tty)
        };
        if has_tty { Ok(asker) } else { Err(Errno::ENOTTY) }
    }

    fn anybody(&self) -> SysResult<Asker> {
        let kernel = self.0.upgrade().ok_or(Errno::EIO)?;
        let task = current().ok_or(Errno::ENOTTY)?;
        let (pgid, sid) = {
            let table = kernel.processes.lock();
            let process = table.process(task.group().pid()).ok_or(Errno::ENOTTY)?;
            (process.pgid, process.sid)
        };
        Ok(Asker { kernel, task, pgid, sid })
    }
}

impl ConsoleJobControl for JobControl {
    fn foreground_pgrp(&self) -> SysResult<i32> {
        Ok(self.asker()?.kernel.console_pgrp.load(Ordering::Relaxed))
    }

    fn set_foreground_pgrp(&self, pgrp: i32) -> SysResult<()> {
        let asker = self.asker()?;
        if pgrp < 0 {
            return Err(Errno::EINVAL);
        }
        let session = {
            let table = asker.kernel.processes.lock();
            table.members(pgrp).next().map(|process| process.sid)
        };
        if session.ok_or(Errno::ESRCH)? != asker.sid {
            return Err(Errno::EPERM);
        }
        self.check_access(true)?;
        asker.kernel.console_pgrp.store(pgrp, Ordering::Relaxed);
        Ok(())
    }

    fn session(&self) -> SysResult<i32> {
        Ok(self.asker()?.sid)
    }

    fn acquire(&self, steal: bool) -> SysResult<()> {
        let asker = self.anybody()?;
        let pid = asker.task.group().pid();
        let mut table = asker.kernel.processes.lock();
        let taken = table.iter().any(|process| process.has_tty && process.sid != asker.sid);
        let root = asker.task.cred().has_cap(vfs::cred::Caps::SYS_ADMIN);
        if asker.sid != pid || taken && !(steal && root) {
            return Err(Errno::EPERM);
        }
        let pids: Vec<i32> = table.iter().map(|process| process.group.pid()).collect();
        for other in pids {
            if let Some(process) = table.process_mut(other) {
                process.has_tty = process.sid == asker.sid && other == pid;
            }
        }
        asker.kernel.console_pgrp.store(asker.pgid, Ordering::Relaxed);
        Ok(())
    }

    fn release(&self) -> SysResult<()> {
        let asker = self.asker()?;
        let pid = asker.task.group().pid();
        let mut table = asker.kernel.processes.lock();
        if let Some(process) = table.process_mut(pid) {
            process.has_tty = false;
        }
        Ok(())
    }

    fn check_access(&self, write: bool) -> SysResult<()> {
        let Ok(asker) = self.asker() else { return Ok(()) };
        if asker.kernel.console_pgrp.load(Ordering::Relaxed) == asker.pgid {
            return Ok(());
        }
        let signal = if write { Signal::SIGTTOU } else { Signal::SIGTTIN };
        let ignored = asker.task.group().actions().get(signal).handler == abi::signal::SIG_IGN;
        if ignored || asker.task.signal_mask().contains(signal) {
            // Writing is then allowed, reading is not.
            return if write { Ok(()) } else { Err(Errno::EIO) };
        }
        if asker.kernel.processes.lock().is_orphaned(asker.pgid) {
            return Err(Errno::EIO);
        }
        asker.kernel.signal_process_group(asker.pgid, signal);
        // The call waits, is interrupted by the stop, and is made again after it.
        Err(Errno::EAGAIN)
    }
}
