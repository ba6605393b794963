//! Job control of terminals: what the file systems need of the kernel.

use abi::SysResult;
use abi::signal::Signal;
use fs::tty::{self, Terminals};
use kernel::{Kernel, Task, Terminal, current};
use std::sync::{Arc, Weak};

/// The kernel's part of a terminal. Where the kernel or the task is gone, nobody is in anybody's
/// way.
pub(crate) struct JobControl {
    kernel: Weak<Kernel>,
    terminal: Arc<Terminal>,
}

impl JobControl {
    /// Of this terminal.
    pub fn new(kernel: &Arc<Kernel>, terminal: &Arc<Terminal>) -> JobControl {
        JobControl { kernel: Arc::downgrade(kernel), terminal: terminal.clone() }
    }

    /// The kernel and the task that makes the call.
    fn asker(&self) -> Option<(Arc<Kernel>, Arc<Task>)> {
        self.kernel.upgrade().zip(current())
    }

    /// The same for what fails without them.
    fn require_asker(&self) -> SysResult<(Arc<Kernel>, Arc<Task>)> {
        self.asker().ok_or(abi::Errno::ENOTTY)
    }
}

impl tty::JobControl for JobControl {
    fn is_controlling(&self) -> bool {
        self.asker().is_some_and(|(kernel, task)| kernel.is_controlling(&task, &self.terminal))
    }

    fn foreground_pgrp(&self) -> i32 {
        self.terminal.foreground()
    }

    fn set_foreground_pgrp(&self, pgrp: i32) -> SysResult<()> {
        let (kernel, task) = self.require_asker()?;
        kernel.set_foreground(&task, &self.terminal, pgrp)
    }

    fn session(&self) -> i32 {
        self.terminal.session()
    }

    fn acquire(&self, readable: bool, steal: bool) -> SysResult<()> {
        let (kernel, task) = self.require_asker()?;
        kernel.acquire_terminal(&task, &self.terminal, readable, steal)
    }

    fn opened(&self) {
        if let Some((kernel, task)) = self.asker() {
            kernel.terminal_opened(&task, &self.terminal);
        }
    }

    fn release(&self) -> SysResult<()> {
        let (kernel, task) = self.require_asker()?;
        kernel.release_terminal(&task, &self.terminal)
    }

    fn check_access(&self, signal: Signal) -> SysResult<()> {
        let Some((kernel, task)) = self.asker() else { return Ok(()) };
        kernel.check_foreground(&task, &self.terminal, signal)
    }

    fn signal_foreground(&self, signal: Signal) {
        let pgrp = self.terminal.foreground();
        if let Some(kernel) = self.kernel.upgrade().filter(|_| pgrp > 0) {
            kernel.signal_process_group(pgrp, signal);
        }
    }

    fn hang_up(&self) {
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.hang_up_terminal(&self.terminal);
        }
    }
}

/// Where pseudo-terminals come from.
pub(crate) struct KernelTerminals(pub Weak<Kernel>);

impl Terminals for KernelTerminals {
    fn add(&self, rdev: u64) -> Arc<dyn tty::JobControl> {
        Arc::new(JobControl { kernel: self.0.clone(), terminal: Terminal::new(rdev) })
    }

    fn controlling(&self) -> Option<u64> {
        let terminal = self.0.upgrade()?.controlling_terminal(&*current()?)?;
        Some(terminal.rdev())
    }

    fn owner(&self) -> (u32, u32) {
        current().map_or((0, 0), |task| {
            let cred = task.cred();
            (cred.fsuid, cred.fsgid)
        })
    }

    fn timers(&self) -> wait::Timers {
        self.0.upgrade().map(|kernel| kernel.timers.clone()).unwrap_or_default()
    }
}
