//! Sending signals.

use super::{DefaultAction, PendingQueue, Queued, default_action};
use crate::group::{GroupSignals, ThreadGroup};
use crate::limits::Resource;
use crate::process::{INIT, Pid, Table};
use crate::task::Task;
use crate::{Kernel, exit::WaitStatus};
use abi::signal::{SIG_DFL, SIG_IGN, SigInfo, SigSet, Signal};
use abi::{Errno, SysResult};
use std::sync::Arc;
use vfs::Credentials;
use vfs::cred::Caps;

const STOP_SIGNALS: SigSet = SigSet(
    1 << (libc::SIGSTOP - 1)
        | 1 << (libc::SIGTSTP - 1)
        | 1 << (libc::SIGTTIN - 1)
        | 1 << (libc::SIGTTOU - 1),
);

/// Whom a signal is for.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// One thread (tgkill, faults).
    Task(&'a Arc<Task>),
    /// A process: any thread that does not block it.
    Group(&'a Arc<ThreadGroup>),
}

/// kill(2)'s rule: may `sender` signal a process whose ids are those of `victim`?
pub fn may_signal(sender: &Credentials, victim: &Credentials) -> bool {
    let matches = |id: u32| id == victim.suid || id == victim.uid;
    sender.has_cap(Caps::KILL) || matches(sender.euid) || matches(sender.uid)
}

impl Kernel {
    /// Queues a signal and wakes who should take it. EAGAIN where a real-time signal sent by
    /// sigqueue(3) does not fit the queue.
    pub fn send_signal(&self, target: Target<'_>, info: SigInfo) -> SysResult<()> {
        let mut table = self.processes.lock();
        send_locked(&mut table, target, info)
    }

    /// Sends to every process of a group, as the terminal does.
    pub fn signal_process_group(&self, pgid: Pid, signal: Signal) {
        let info = SigInfo::new(signal, libc::SI_KERNEL);
        let mut table = self.processes.lock();
        let groups: Vec<_> = table.members(pgid).map(|process| process.group.clone()).collect();
        for group in groups {
            let _ = send_locked(&mut table, Target::Group(&group), info);
        }
    }

    /// A signal from outside of the sandbox: to the console's foreground process group, or to
    /// the first process where there is none.
    pub fn signal_foreground(&self, signal: Signal) {
        let pgrp = self.console.foreground();
        let known = pgrp > 0 && self.processes.lock().members(pgrp).next().is_some();
        if known {
            return self.signal_process_group(pgrp, signal);
        }
        let info = SigInfo::new(signal, libc::SI_USER);
        let mut table = self.processes.lock();
        let first = table.process(crate::init::FIRST).map(|process| process.group.clone());
        if let Some(group) = first {
            let _ = send_locked(&mut table, Target::Group(&group), info);
        }
    }
}

/// As [`Kernel::send_signal`], with the process table locked.
pub(crate) fn send_locked(table: &mut Table, target: Target<'_>, info: SigInfo) -> SysResult<()> {
    queue_signal(table, target, Queued { info, timer: None }).map(drop)
}

/// Queues a signal and wakes who should take it. False: nobody wants it, or nobody is there any
/// more.
pub(crate) fn queue_signal(
    table: &mut Table,
    target: Target<'_>,
    queued: Queued,
) -> SysResult<bool> {
    let Queued { info, timer } = queued;
    let signal = Signal::new(info.signo)?;
    let group = match target {
        Target::Task(task) => task.group(),
        Target::Group(group) => group,
    };
    if group.pid() == INIT {
        return Ok(false);
    }
    let tasks = match table.process(group.pid()) {
        Some(process) if process.zombie.is_none() => process.tasks.clone(),
        _ => return Ok(false),
    };
    let mut wanted = false;
    let continued = {
        let mut state = group.signals.lock();
        if state.exit.is_some() {
            return Ok(false);
        }
        let continued = prepare(&mut state, &tasks, signal);
        if is_ignored(group, &tasks, target, signal) {
            None.or(continued)
        } else {
            wanted = true;
            let limit = group.limits().get(Resource::Sigpending).cur;
            let push = |pending: &mut PendingQueue| match timer {
                Some(timer) => {
                    pending.push_timer(signal, info, timer);
                    true
                }
                None => pending.push(signal, info, limit),
            };
            let fits = match target {
                Target::Task(task) => push(&mut task.signals.lock().pending),
                Target::Group(_) => push(&mut state.pending),
            };
            if !fits && info.code == libc::SI_QUEUE {
                return Err(Errno::EAGAIN);
            }
            wake_target(&mut state, &tasks, target, signal);
            continued
        }
    };
    group.signal_events.notify(abi::file::PollEvents::IN.bits());
    if let Some(stopped_by) = continued {
        report_continue(table, group, stopped_by);
    }
    Ok(wanted)
}

/// SIGCONT undoes stop signals, and the other way round. Returns the signal that the process was
/// stopped by, if it goes on now.
fn prepare(state: &mut GroupSignals, tasks: &[Arc<Task>], signal: Signal) -> Option<Signal> {
    // A timer that sends one of these and loses it so stands still until it is set again.
    let discard = |state: &mut GroupSignals, which| {
        drop(state.pending.discard(which));
        for task in tasks {
            drop(task.signals.lock().pending.discard(which));
        }
    };
    if STOP_SIGNALS.contains(signal) {
        discard(state, SigSet::of(Signal::SIGCONT));
        return None;
    }
    if signal == Signal::SIGCONT {
        discard(state, STOP_SIGNALS);
    }
    if signal != Signal::SIGCONT && signal != Signal::SIGKILL {
        return None;
    }
    let stopped_by = state.stop.take();
    state.stopped_threads = 0;
    if stopped_by.is_some() {
        tasks.iter().for_each(|task| task.kick());
    }
    stopped_by.filter(|_| signal == Signal::SIGCONT)
}

/// Not worth queueing: its action is to do nothing, and nobody blocks or waits for it.
fn is_ignored(
    group: &ThreadGroup,
    tasks: &[Arc<Task>],
    target: Target<'_>,
    signal: Signal,
) -> bool {
    let action = group.actions().get(signal);
    let ignores = action.handler == SIG_IGN
        || action.handler == SIG_DFL
            && matches!(default_action(signal), DefaultAction::Ignore | DefaultAction::Continue);
    if !ignores || signal == Signal::SIGKILL || signal == Signal::SIGSTOP {
        return false;
    }
    let wanted = |task: &Arc<Task>| {
        let signals = task.signals.lock();
        signals.mask.contains(signal) || signals.waiting.contains(signal)
    };
    match target {
        Target::Task(task) => !wanted(task),
        Target::Group(_) => !tasks.iter().any(wanted),
    }
}

/// Wakes a thread that takes the signal; for SIGKILL, all of them.
fn wake_target(state: &mut GroupSignals, tasks: &[Arc<Task>], target: Target<'_>, signal: Signal) {
    if signal == Signal::SIGKILL {
        state.exit.get_or_insert(WaitStatus::Signaled { signal, core: false });
        tasks.iter().for_each(|task| task.kill());
        return;
    }
    let takes = |task: &&Arc<Task>| {
        let signals = task.signals.lock();
        !signals.mask.contains(signal) || signals.waiting.contains(signal)
    };
    match target {
        Target::Task(task) => {
            if takes(&task) {
                task.kick();
            }
        }
        Target::Group(_) => {
            if let Some(task) = tasks.iter().find(takes) {
                task.kick();
            }
        }
    }
}

/// Tells the parent that a stopped child goes on.
fn report_continue(table: &mut Table, group: &Arc<ThreadGroup>, _stopped_by: Signal) {
    if let Some(process) = table.process_mut(group.pid()) {
        process.stop_unseen = None;
        process.continued_unseen = true;
    }
    notify_parent(table, group.pid(), libc::CLD_CONTINUED, libc::SIGCONT);
}

/// SIGCHLD for a stop or a continuation, unless the parent does not want those, and a wake-up for
/// its wait4.
pub(crate) fn notify_parent(table: &mut Table, pid: Pid, code: i32, status: i32) {
    let Some(process) = table.process(pid) else { return };
    let uid = process.uid;
    let Some(parent) = table.process(process.parent) else { return };
    let parent = parent.group.clone();
    let action = parent.actions().get(Signal::SIGCHLD);
    if action.flags & libc::SA_NOCLDSTOP as u64 == 0 {
        let info = SigInfo::child(code, pid, uid, status, 0, 0);
        let _ = send_locked(table, Target::Group(&parent), info);
    }
    parent.child_events.notify(1);
}

impl Task {
    /// Is there something that ends an interruptible wait?
    pub fn has_interruption(&self) -> bool {
        if !self.attention.load(std::sync::atomic::Ordering::SeqCst) {
            return false;
        }
        if self.is_killed() {
            return true;
        }
        let group = self.group().signals.lock();
        let own = self.signals.lock();
        group.exit.is_some()
            || group.stop.is_some()
            || !own.pending.set().union(group.pending.set()).without(own.mask).is_empty()
    }

    /// Pending for this thread: its own and its process's.
    pub fn pending_signals(&self) -> (SigSet, SigSet) {
        let group = self.group().signals.lock().pending.set();
        (self.signals.lock().pending.set(), group)
    }

    /// The blocked signals.
    pub fn signal_mask(&self) -> SigSet {
        self.signals.lock().mask
    }

    /// Blocks these signals and no others (never SIGKILL and SIGSTOP). Returns the old mask.
    pub fn set_signal_mask(&self, mask: SigSet) -> SigSet {
        let mask = mask.without(SigSet::UNBLOCKABLE);
        let old = std::mem::replace(&mut self.signals.lock().mask, mask);
        // What was blocked may be deliverable now.
        self.attention.store(true, std::sync::atomic::Ordering::SeqCst);
        old
    }

    /// For a call that waits with another mask: blocks these, and restores the present mask after
    /// the call, or after the handler that interrupts it.
    pub fn set_temporary_mask(&self, mask: SigSet) {
        let old = self.set_signal_mask(mask);
        self.signals.lock().saved_mask.get_or_insert(old);
    }

    /// Ends the effect of [`Task::set_temporary_mask`], where no signal interrupted.
    pub fn restore_mask(&self) {
        let saved = self.signals.lock().saved_mask.take();
        if let Some(mask) = saved {
            self.set_signal_mask(mask);
        }
    }

    /// Takes a pending signal of `set`, blocked or not: for signalfd and rt_sigtimedwait.
    pub fn take_signal(&self, set: SigSet) -> Option<SigInfo> {
        loop {
            let taken = {
                let mut group = self.group().signals.lock();
                let mut own = self.signals.lock();
                own.pending.take(set).or_else(|| group.pending.take(set))?
            };
            match taken.timer {
                None => return Some(taken.info),
                // None: the timer was set anew or deleted while its signal was on the way.
                Some(timer) => {
                    let info = self.kernel().timer_delivered(self.group(), timer, taken.info);
                    if info.is_some() {
                        return info;
                    }
                }
            }
        }
    }

    /// Forgets pending signals of the whole process: their action is to do nothing now.
    pub fn discard_pending(&self, set: SigSet) {
        let tasks = {
            let table = self.kernel().processes.lock();
            table.process(self.group().pid()).map(|p| p.tasks.clone()).unwrap_or_default()
        };
        let mut timers = self.group().signals.lock().pending.discard(set);
        for task in tasks {
            timers.extend(task.signals.lock().pending.discard(set));
        }
        for timer in timers {
            self.kernel().timer_ignored(self.group(), timer);
        }
    }

    /// rt_sigtimedwait(2) begins (or ends, with the empty set) to wait for blocked signals.
    pub fn set_waiting_signals(&self, set: SigSet) {
        self.signals.lock().waiting = set;
    }

    /// sigaltstack(2).
    pub fn altstack(&self) -> super::AltStack {
        self.signals.lock().altstack
    }

    /// sigaltstack(2).
    pub fn set_altstack(&self, stack: super::AltStack) {
        self.signals.lock().altstack = stack;
    }

    /// A fault of this task's own: as the kernel's force_sig, it cannot be blocked or ignored.
    pub fn force_signal(self: &Arc<Task>, info: SigInfo) {
        let Ok(signal) = Signal::new(info.signo) else { return };
        let actions = self.group().actions();
        let mut action = actions.get(signal);
        {
            let mut own = self.signals.lock();
            let blocked = own.mask.contains(signal);
            if blocked || action.handler == SIG_IGN {
                action.handler = SIG_DFL;
                actions.set(signal, action);
                own.mask.remove(signal);
            }
            own.pending.push(signal, info, u64::MAX);
        }
        self.attention.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    /// A signal that the task's own action causes (SIGPIPE, SIGXFSZ).
    pub fn signal_self(self: &Arc<Task>, signal: Signal) {
        let uid = self.cred().uid;
        let info = SigInfo::from_process(signal, libc::SI_USER, self.group().pid(), uid);
        let _ = self.kernel().send_signal(Target::Task(self), info);
    }
}
