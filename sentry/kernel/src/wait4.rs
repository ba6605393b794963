//! Waiting for children: wait4(2), waitid(2).
#![allow(missing_docs)] // bitflags' own constants

use crate::error::{CallResult, Restart, SysError};
use crate::exit::WaitStatus;
use crate::group::ThreadGroup;
use crate::process::{Pid, Process, Table};
use crate::task::Task;
use crate::usage::ResourceUsage;
use abi::signal::Signal;
use abi::{Errno, SysResult};
use std::sync::Arc;

/// Which children.
#[derive(Clone)]
pub enum Which {
    /// All.
    Any,
    /// This one.
    Pid(Pid),
    /// Those in this process group.
    Group(Pid),
    /// This one, by a pidfd: another process with its id does not count.
    Process(Arc<ThreadGroup>),
}

bitflags::bitflags! {
    /// The options of wait4(2) and waitid(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub struct WaitOptions: u32 {
        const NOHANG = libc::WNOHANG as u32;
        const STOPPED = libc::WUNTRACED as u32;
        const EXITED = libc::WEXITED as u32;
        const CONTINUED = libc::WCONTINUED as u32;
        const NOWAIT = libc::WNOWAIT as u32;
        const NOTHREAD = libc::__WNOTHREAD as u32;
        const ALL = libc::__WALL as u32;
        const CLONE = libc::__WCLONE as u32;
    }
}

/// What happened to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// It ended.
    Ended(WaitStatus),
    /// It was stopped by a signal.
    Stopped(Signal),
    /// It goes on.
    Continued,
}

/// A child that was found.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Waited {
    pub pid: Pid,
    pub uid: u32,
    pub event: ChildEvent,
    /// What it used, its own waited-for children included.
    pub usage: ResourceUsage,
}

impl ChildEvent {
    /// The `int` of wait4(2).
    pub fn to_user(self) -> i32 {
        match self {
            ChildEvent::Ended(status) => status.to_user(),
            ChildEvent::Stopped(signal) => signal.number() << 8 | 0x7f,
            ChildEvent::Continued => 0xffff,
        }
    }

    /// `si_code` and `si_status`.
    pub fn to_siginfo(self) -> (i32, i32) {
        match self {
            ChildEvent::Ended(status) => status.to_siginfo(),
            ChildEvent::Stopped(signal) => (libc::CLD_STOPPED, signal.number()),
            ChildEvent::Continued => (libc::CLD_CONTINUED, libc::SIGCONT),
        }
    }
}

impl Task {
    /// Waits for a change in a child. None with WNOHANG where there is none yet; ECHILD where there
    /// is no such child.
    pub fn wait_child(
        self: &Arc<Task>,
        which: Which,
        options: WaitOptions,
    ) -> CallResult<Option<Waited>> {
        let queue = self.group().child_events.clone();
        let nohang = options.contains(WaitOptions::NOHANG);
        let found =
            self.block_on(&[(&queue, 1)], None, || match self.find_child(&which, options) {
                Ok(None) if !nohang => None,
                other => Some(other),
            });
        match found {
            Ok(result) => result.map_err(SysError::from),
            Err(_) => Err(SysError::Restart(Restart::IfAllowed)),
        }
    }

    fn find_child(&self, which: &Which, options: WaitOptions) -> SysResult<Option<Waited>> {
        let mut table = self.kernel().processes.lock();
        let own = table.process(self.group().pid()).ok_or(Errno::ECHILD)?;
        let children = own.children.clone();
        let mut any = false;
        for pid in children {
            let Some(child) = table.process(pid) else { continue };
            if !matches(child, which, options) {
                continue;
            }
            if options.contains(WaitOptions::NOTHREAD) && child.parent_tid != self.tid() {
                continue;
            }
            any = true;
            if let Some(event) = event_of(child, options) {
                return Ok(Some(self.take_event(&mut table, pid, event, options)));
            }
        }
        if any { Ok(None) } else { Err(Errno::ECHILD) }
    }

    fn take_event(
        &self,
        table: &mut Table,
        pid: Pid,
        event: ChildEvent,
        options: WaitOptions,
    ) -> Waited {
        let (uid, usage) = table
            .process(pid)
            .map_or_else(Default::default, |child| (child.uid, child.group.usage_with_children()));
        let waited = Waited { pid, uid, event, usage };
        if options.contains(WaitOptions::NOWAIT) {
            return waited;
        }
        match event {
            ChildEvent::Ended(_) => {
                self.group().usage.lock().children.add(&usage);
                table.reap(pid);
            }
            ChildEvent::Stopped(_) => {
                if let Some(child) = table.process_mut(pid) {
                    child.stop_unseen = None;
                }
            }
            ChildEvent::Continued => {
                if let Some(child) = table.process_mut(pid) {
                    child.continued_unseen = false;
                }
            }
        }
        waited
    }
}

fn matches(child: &Process, which: &Which, options: WaitOptions) -> bool {
    let chosen = match which {
        Which::Any => true,
        Which::Pid(pid) => child.group.pid() == *pid,
        Which::Group(pgid) => child.pgid == *pgid,
        Which::Process(group) => Arc::ptr_eq(&child.group, group),
    };
    // A "clone child" is one whose end sends another signal than SIGCHLD.
    let is_clone = child.exit_signal != libc::SIGCHLD;
    let kind =
        options.contains(WaitOptions::ALL) || is_clone == options.contains(WaitOptions::CLONE);
    chosen && kind
}

fn event_of(child: &Process, options: WaitOptions) -> Option<ChildEvent> {
    if let Some(status) = child.zombie {
        return options.contains(WaitOptions::EXITED).then_some(ChildEvent::Ended(status));
    }
    if let (Some(signal), true) = (child.stop_unseen, options.contains(WaitOptions::STOPPED)) {
        return Some(ChildEvent::Stopped(signal));
    }
    let continued = child.continued_unseen && options.contains(WaitOptions::CONTINUED);
    continued.then_some(ChildEvent::Continued)
}
