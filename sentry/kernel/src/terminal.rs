//! Terminals, as job control knows them: whose controlling terminal one is, and which process
//! group is in the foreground.
//!
//! What a terminal does with bytes is its driver's business; this is the part that the kernel and
//! every driver share (tty_jobctrl.c in Linux). All of it changes under the lock of the process
//! table only.

use crate::kernel::Kernel;
use crate::process::{Pid, Table};
use crate::signal::{Target, send_locked};
use crate::task::Task;
use abi::signal::{SIG_IGN, SigInfo, Signal};
use abi::{Errno, SysResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use vfs::cred::Caps;

/// A terminal that can be the controlling terminal of a session.
#[derive(Debug)]
pub struct Terminal {
    rdev: u64,
    /// The session it controls; 0 is none.
    session: AtomicI32,
    /// The foreground process group; 0 is none.
    foreground: AtomicI32,
}

impl Terminal {
    /// A terminal nobody uses yet. `rdev`: its device number, which /proc/PID/stat shows.
    pub fn new(rdev: u64) -> Arc<Terminal> {
        Arc::new(Terminal { rdev, session: AtomicI32::new(0), foreground: AtomicI32::new(0) })
    }

    /// Its device number.
    pub fn rdev(&self) -> u64 {
        self.rdev
    }

    /// The session it controls; 0 is none.
    pub fn session(&self) -> Pid {
        self.session.load(Ordering::Relaxed)
    }

    /// The foreground process group; 0 is none.
    pub fn foreground(&self) -> Pid {
        self.foreground.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, session: Pid, foreground: Pid) {
        self.session.store(session, Ordering::Relaxed);
        self.foreground.store(foreground, Ordering::Relaxed);
    }
}

/// Same terminal?
fn is(tty: Option<&Arc<Terminal>>, terminal: &Arc<Terminal>) -> bool {
    tty.is_some_and(|tty| Arc::ptr_eq(tty, terminal))
}

impl Kernel {
    /// The task's controlling terminal.
    pub fn controlling_terminal(&self, task: &Task) -> Option<Arc<Terminal>> {
        self.processes.lock().process(task.group().pid())?.tty.clone()
    }

    /// Is it the task's controlling terminal?
    pub fn is_controlling(&self, task: &Task, terminal: &Arc<Terminal>) -> bool {
        is(self.controlling_terminal(task).as_ref(), terminal)
    }

    /// TIOCSCTTY: it becomes the controlling terminal of the task's session. `readable`: the file
    /// it is asked of is open for reading. EPERM.
    pub fn acquire_terminal(
        &self,
        task: &Task,
        terminal: &Arc<Terminal>,
        readable: bool,
        steal: bool,
    ) -> SysResult<()> {
        let pid = task.group().pid();
        let admin = task.cred().has_cap(Caps::SYS_ADMIN);
        let mut table = self.processes.lock();
        let process = table.process(pid).ok_or(Errno::EPERM)?;
        let leads = process.sid == pid;
        let pgid = process.pgid;
        if leads && terminal.session() == pid {
            return Ok(());
        }
        if !leads || process.tty.is_some() {
            return Err(Errno::EPERM);
        }
        if terminal.session() != 0 {
            if !(steal && admin) {
                return Err(Errno::EPERM);
            }
            clear(&mut table, terminal, terminal.session());
        }
        if !readable && !admin {
            return Err(Errno::EPERM);
        }
        terminal.set(pid, pgid);
        if let Some(process) = table.process_mut(pid) {
            process.tty = Some(terminal.clone());
        }
        Ok(())
    }

    /// A session leader without a terminal that opens one, which is nobody's, gets it.
    pub fn terminal_opened(&self, task: &Task, terminal: &Arc<Terminal>) {
        if terminal.session() == 0 {
            let _ = self.acquire_terminal(task, terminal, true, false);
        }
    }

    /// TIOCNOTTY: the task has no controlling terminal any more; if it leads the session, nobody
    /// in it has. ENOTTY where `terminal` is not it.
    pub fn release_terminal(&self, task: &Task, terminal: &Arc<Terminal>) -> SysResult<()> {
        let pid = task.group().pid();
        let mut table = self.processes.lock();
        let process = table.process(pid).ok_or(Errno::ENOTTY)?;
        if !is(process.tty.as_ref(), terminal) {
            return Err(Errno::ENOTTY);
        }
        if process.sid == pid {
            disassociate(&mut table, pid, false);
        }
        if let Some(process) = table.process_mut(pid) {
            process.tty = None;
        }
        Ok(())
    }

    /// TIOCSPGRP, but for the check of who is in the background. EINVAL, ENOTTY, ESRCH, EPERM as
    /// tcsetpgrp(3) says.
    pub fn set_foreground(
        &self,
        task: &Task,
        terminal: &Arc<Terminal>,
        pgrp: Pid,
    ) -> SysResult<()> {
        if pgrp < 0 {
            return Err(Errno::EINVAL);
        }
        let table = self.processes.lock();
        let process = table.process(task.group().pid()).ok_or(Errno::ENOTTY)?;
        if !is(process.tty.as_ref(), terminal) || terminal.session() != process.sid {
            return Err(Errno::ENOTTY);
        }
        let member = table.members(pgrp).next().ok_or(Errno::ESRCH)?;
        if member.sid != process.sid {
            return Err(Errno::EPERM);
        }
        terminal.set(process.sid, pgrp);
        Ok(())
    }

    /// Before a task reads from its terminal (SIGTTIN) or changes it (SIGTTOU): in the background
    /// its process group gets the signal. EINTR: it did, and the call is to be made again; EIO:
    /// nobody could ever put it in the foreground.
    pub fn check_foreground(
        &self,
        task: &Task,
        terminal: &Arc<Terminal>,
        signal: Signal,
    ) -> SysResult<()> {
        let mut table = self.processes.lock();
        let Some(process) = table.process(task.group().pid()) else { return Ok(()) };
        let (pgid, foreground) = (process.pgid, terminal.foreground());
        if !is(process.tty.as_ref(), terminal) || foreground == 0 || foreground == pgid {
            return Ok(());
        }
        let ignored = task.group().actions().get(signal).handler == SIG_IGN;
        if ignored || task.signal_mask().contains(signal) {
            // Writing is then allowed, reading is not.
            return if signal == Signal::SIGTTIN { Err(Errno::EIO) } else { Ok(()) };
        }
        if table.is_orphaned(pgid) {
            return Err(Errno::EIO);
        }
        signal_pgrp(&mut table, pgid, signal);
        Err(Errno::EINTR)
    }

    /// The terminal is gone: the session leader is told, and nobody has it any more. The
    /// foreground group is told when the leader ends.
    pub fn hang_up_terminal(&self, terminal: &Arc<Terminal>) {
        let mut table = self.processes.lock();
        let (session, foreground) = (terminal.session(), terminal.foreground());
        if session == 0 {
            return;
        }
        clear(&mut table, terminal, session);
        let Some(leader) = table.process_mut(session) else { return };
        leader.tty_old_pgrp = foreground;
        let group = leader.group.clone();
        for signal in [Signal::SIGHUP, Signal::SIGCONT] {
            let info = SigInfo::new(signal, libc::SI_KERNEL);
            let _ = send_locked(&mut table, Target::Group(&group), info);
        }
    }
}

/// It is the controlling terminal of nobody in `session` any more, and of no session.
fn clear(table: &mut Table, terminal: &Arc<Terminal>, session: Pid) {
    let pids: Vec<Pid> = table.iter().map(|process| process.group.pid()).collect();
    for pid in pids {
        if let Some(process) = table.process_mut(pid)
            && process.sid == session
            && is(process.tty.as_ref(), terminal)
        {
            process.tty = None;
        }
    }
    terminal.set(0, 0);
}

/// A session leader gives up its terminal, or ends: the foreground group is hung up on, and the
/// session has no terminal any more. Does nothing for others.
pub(crate) fn disassociate(table: &mut Table, pid: Pid, ends: bool) {
    let Some(process) = table.process_mut(pid).filter(|process| process.sid == pid) else { return };
    let old_pgrp = std::mem::take(&mut process.tty_old_pgrp);
    match process.tty.clone() {
        Some(terminal) => {
            let foreground = terminal.foreground();
            clear(table, &terminal, pid);
            if foreground != 0 {
                signal_pgrp(table, foreground, Signal::SIGHUP);
                if !ends {
                    signal_pgrp(table, foreground, Signal::SIGCONT);
                }
            }
        }
        // Hung up earlier: only the leader has been told.
        None if ends && old_pgrp != 0 => {
            signal_pgrp(table, old_pgrp, Signal::SIGHUP);
            signal_pgrp(table, old_pgrp, Signal::SIGCONT);
        }
        None => {}
    }
}

fn signal_pgrp(table: &mut Table, pgid: Pid, signal: Signal) {
    let groups: Vec<_> = table.members(pgid).map(|process| process.group.clone()).collect();
    for group in groups {
        let info = SigInfo::new(signal, libc::SI_KERNEL);
        let _ = send_locked(table, Target::Group(&group), info);
    }
}
