//! What a task does about its signals before it returns to the guest.

use super::{DefaultAction, default_action, send};
use crate::error::Restart;
use crate::exit::WaitStatus;
use crate::task::Task;
use abi::Errno;
use abi::signal::{SIG_DFL, SIG_IGN, SigAction, SigInfo, SigSet, Signal};
use platform::ThreadContext;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A call that was interrupted: how it wants to go on, and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interruption {
    pub restart: Restart,
    pub nr: u64,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Back to the guest.
    Resume,
    /// The task ends; so.
    Exit(WaitStatus),
}

/// The length of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;

impl Task {
    /// Deals with exits, stops and signals until there is none left.
    pub(crate) fn deal_with_signals(
        self: &Arc<Task>,
        thread: &mut ThreadContext,
        mut interruption: Option<Interruption>,
    ) -> Outcome {
        while self.attention.swap(false, Ordering::SeqCst) {
            if let Some(status) = self.end_wanted() {
                return Outcome::Exit(status);
            }
            if self.stop_if_wanted() {
                self.attention.store(true, Ordering::SeqCst);
                continue;
            }
            let Some(info) = self.next_signal() else { continue };
            self.attention.store(true, Ordering::SeqCst);
            if let Some(status) = self.act(thread, info, &mut interruption) {
                return Outcome::Exit(status);
            }
        }
        if let Some(Interruption { restart, nr }) = interruption {
            // No handler ran: the call is made again.
            thread.regs.rax =
                if restart == Restart::Block { libc::SYS_restart_syscall as u64 } else { nr };
            thread.regs.rip = thread.regs.rip.wrapping_sub(SYSCALL_LEN);
        }
        self.restore_mask();
        Outcome::Resume
    }

    /// Does the group exit, or another thread call exec?
    fn end_wanted(&self) -> Option<WaitStatus> {
        let group = self.group().signals.lock();
        if let Some(status) = group.exit {
            return Some(status);
        }
        if let Some(status) = *self.own_exit.lock() {
            return Some(status);
        }
        let exec_by_other = group.exec_by.is_some_and(|tid| tid != self.tid());
        (exec_by_other || self.is_killed()).then_some(WaitStatus::Exited(0))
    }

    fn next_signal(&self) -> Option<SigInfo> {
        let allowed = SigSet(u64::MAX).without(self.signals.lock().mask);
        self.take_signal(allowed)
    }

    /// Acts on one signal. Some: the process ends so.
    fn act(
        self: &Arc<Task>,
        thread: &mut ThreadContext,
        info: SigInfo,
        interruption: &mut Option<Interruption>,
    ) -> Option<WaitStatus> {
        let signal = Signal::new(info.signo).ok()?;
        let actions = self.group().actions();
        let action = actions.get(signal);
        match action.handler {
            SIG_IGN => None,
            SIG_DFL => match default_action(signal) {
                DefaultAction::Ignore | DefaultAction::Continue => None,
                DefaultAction::Stop => {
                    self.begin_stop(signal);
                    None
                }
                kind @ (DefaultAction::Terminate | DefaultAction::Core) => {
                    let core = kind == DefaultAction::Core && self.dumps_core();
                    Some(self.exit_group(WaitStatus::Signaled { signal, core }))
                }
            },
            _ => {
                if action.flags & libc::SA_RESETHAND as u64 != 0 {
                    actions.set(signal, SigAction { handler: SIG_DFL, ..action });
                }
                self.finish_interrupted_call(thread, action, interruption.take());
                match self.push_frame(thread, signal, &info, action) {
                    Ok(()) => None,
                    // No place for the frame: SIGSEGV, fatal if that was it already.
                    Err(_) => self.frame_failed(signal),
                }
            }
        }
    }

    /// The kernel says "core dumped" where the limit allows a dump; there is no dump itself.
    fn dumps_core(&self) -> bool {
        self.group().limits().get(crate::Resource::Core).cur != 0
            && self.group().dumpable.load(Ordering::Relaxed) == 1
    }

    /// A handler is about to run: the interrupted call ends with EINTR, or will be made again
    /// after it.
    fn finish_interrupted_call(
        &self,
        thread: &mut ThreadContext,
        action: SigAction,
        interruption: Option<Interruption>,
    ) {
        let Some(Interruption { restart, nr }) = interruption else { return };
        let again = match restart {
            Restart::Always => true,
            Restart::IfAllowed => action.flags & libc::SA_RESTART as u64 != 0,
            Restart::UnlessHandler | Restart::Block => false,
        };
        if again {
            thread.regs.rax = nr;
            thread.regs.rip = thread.regs.rip.wrapping_sub(SYSCALL_LEN);
        } else {
            thread.regs.rax = Errno::EINTR.to_return();
        }
    }

    fn frame_failed(self: &Arc<Task>, signal: Signal) -> Option<WaitStatus> {
        if signal == Signal::SIGSEGV {
            let core = self.dumps_core();
            return Some(self.exit_group(WaitStatus::Signaled { signal, core }));
        }
        self.force_signal(SigInfo::new(Signal::SIGSEGV, libc::SI_KERNEL));
        None
    }

    /// A stop signal takes effect: all threads go and stand still.
    fn begin_stop(self: &Arc<Task>, signal: Signal) {
        let mut table = self.kernel().processes.lock();
        // The terminal's stop signals do nothing to an orphaned process group.
        let pid = self.group().pid();
        let Some(process) = table.process(pid) else { return };
        if signal != Signal::SIGSTOP && table.is_orphaned(process.pgid) {
            return;
        }
        let tasks = process.tasks.clone();
        {
            let mut group = self.group().signals.lock();
            // SIGCONT or SIGKILL may have come since the signal was taken.
            if group.exit.is_some() || group.stop.is_some() {
                return;
            }
            group.stop = Some(signal);
            group.stopped_threads = 0;
        }
        if let Some(process) = table.process_mut(pid) {
            process.continued_unseen = false;
        }
        for task in tasks.iter().filter(|task| !Arc::ptr_eq(task, self)) {
            task.kick();
        }
    }

    /// Stands still while the process is stopped. False: it is not.
    fn stop_if_wanted(self: &Arc<Task>) -> bool {
        {
            let mut table = self.kernel().processes.lock();
            let mut group = self.group().signals.lock();
            let Some(signal) = group.stop else { return false };
            group.stopped_threads += 1;
            let arrived = group.stopped_threads;
            drop(group);
            let pid = self.group().pid();
            if let Some(process) = table.process_mut(pid)
                && arrived == process.tasks.len()
            {
                process.stop_unseen = Some(signal);
                send::notify_parent(&mut table, pid, libc::CLD_STOPPED, signal.number());
            }
        }
        loop {
            {
                let group = self.group().signals.lock();
                if group.stop.is_none() || group.exit.is_some() || self.is_killed() {
                    return true;
                }
            }
            self.sleep(None);
        }
    }
}
