//! Signals: signal(7).
//!
//! A signal is queued on a task or a process (`send.rs`), taken and acted upon by a task on its way
//! back to the guest (`deliver.rs`), where a handler gets a frame on the guest's stack (`frame.rs`).

pub(crate) mod deliver;
mod frame;
mod queue;
pub(crate) mod send;

pub(crate) use deliver::Outcome;
pub use queue::{PendingQueue, Queued};
pub use send::{Target, may_signal};
pub(crate) use send::{notify_parent, queue_signal, send_locked};

use abi::signal::{SIG_DFL, SIG_IGN, SigAction, SigSet, Signal, StackT};
use parking_lot::Mutex;
use std::sync::Arc;

/// The handlers of a process.
pub struct SignalActions(Mutex<[SigAction; 64]>);

impl SignalActions {
    /// All default.
    pub fn new() -> Arc<SignalActions> {
        Arc::new(SignalActions(Mutex::new([SigAction::default(); 64])))
    }

    /// The action for a signal.
    pub fn get(&self, signal: Signal) -> SigAction {
        self.0.lock()[signal.number() as usize - 1]
    }

    /// Replaces it; returns the old one.
    pub fn set(&self, signal: Signal, action: SigAction) -> SigAction {
        std::mem::replace(&mut self.0.lock()[signal.number() as usize - 1], action)
    }

    /// A copy, for fork(2).
    pub fn fork(&self) -> Arc<SignalActions> {
        Arc::new(SignalActions(Mutex::new(*self.0.lock())))
    }

    /// What execve(2) leaves: handlers become default, ignored ones stay ignored.
    pub fn after_exec(&self) -> Arc<SignalActions> {
        let mut actions = *self.0.lock();
        for action in &mut actions {
            let handler = if action.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
            *action = SigAction { handler, ..SigAction::default() };
        }
        Arc::new(SignalActions(Mutex::new(actions)))
    }

    /// CLONE_CLEAR_SIGHAND: as after exec. The signals caught and ignored, for /proc/PID/status.
    pub fn sets(&self) -> (SigSet, SigSet) {
        let (mut ignored, mut caught) = (0, 0);
        for (bit, action) in self.0.lock().iter().enumerate() {
            match action.handler {
                SIG_DFL => {}
                SIG_IGN => ignored |= 1u64 << bit,
                _ => caught |= 1u64 << bit,
            }
        }
        (SigSet(ignored), SigSet(caught))
    }
}

/// What a signal does where no handler is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The process ends.
    Terminate,
    /// The process ends, and says that it dumped core.
    Core,
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// The process continues.
    Continue,
}

/// The table in signal(7).
pub fn default_action(signal: Signal) -> DefaultAction {
    use DefaultAction::*;
    match signal {
        Signal::SIGQUIT
        | Signal::SIGILL
        | Signal::SIGTRAP
        | Signal::SIGABRT
        | Signal::SIGBUS
        | Signal::SIGFPE
        | Signal::SIGSEGV
        | Signal::SIGXCPU
        | Signal::SIGXFSZ
        | Signal::SIGSYS => Core,
        Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH => Ignore,
        Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => Stop,
        Signal::SIGCONT => Continue,
        _ => Terminate,
    }
}

/// The part of signal state that each thread has.
#[derive(Clone, Default)]
pub struct TaskSignals {
    /// Blocked.
    pub mask: SigSet,
    /// Blocked before a call that waits with a temporary mask (sigsuspend, ppoll...); comes back
    /// after the handler, or at the call's end.
    pub saved_mask: Option<SigSet>,
    /// rt_sigtimedwait(2) is waiting for these, although they are blocked.
    pub waiting: SigSet,
    /// Sent to this thread.
    pub pending: PendingQueue,
    /// sigaltstack(2).
    pub altstack: AltStack,
}

/// sigaltstack(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AltStack {
    /// Lowest address.
    pub base: u64,
    /// Bytes; 0: there is none.
    pub size: u64,
    /// SS_AUTODISARM.
    pub autodisarm: bool,
}

/// SS_ONSTACK.
const SS_ONSTACK: i32 = 1;
/// SS_DISABLE.
const SS_DISABLE: i32 = 2;
/// SS_AUTODISARM.
const SS_AUTODISARM: i32 = 1 << 31;
/// MINSIGSTKSZ of the kernel on x86.
pub const MIN_STACK: u64 = 2048;

impl AltStack {
    /// Is the stack pointer on it?
    pub fn contains(&self, sp: u64) -> bool {
        // As the kernel: with autodisarm it is never in use, since it was disarmed on entry.
        !self.autodisarm && self.size != 0 && sp > self.base && sp - self.base <= self.size
    }

    /// As sigaltstack(2) reports it.
    pub fn to_user(&self, sp: u64) -> StackT {
        let mut flags = match self.size {
            0 => SS_DISABLE,
            _ if self.contains(sp) => SS_ONSTACK,
            _ => 0,
        };
        if self.autodisarm {
            flags |= SS_AUTODISARM;
        }
        StackT { sp: self.base, flags, pad: 0, size: self.size }
    }

    /// As sigaltstack(2) sets it. EPERM while in use, EINVAL for unknown flags, ENOMEM if too small.
    pub fn from_user(&self, stack: StackT, sp: u64) -> abi::SysResult<AltStack> {
        if self.contains(sp) {
            return Err(abi::Errno::EPERM);
        }
        let mode = stack.flags & !SS_AUTODISARM;
        if mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE {
            return Err(abi::Errno::EINVAL);
        }
        if mode == SS_DISABLE {
            return Ok(AltStack::default());
        }
        if stack.size < MIN_STACK {
            return Err(abi::Errno::ENOMEM);
        }
        let autodisarm = stack.flags & SS_AUTODISARM != 0;
        Ok(AltStack { base: stack.sp, size: stack.size, autodisarm })
    }
}
