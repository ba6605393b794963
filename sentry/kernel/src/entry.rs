//! Where the platform hands a stopped guest thread to the kernel, and the way back.

use crate::context::TaskContext;
use crate::error::SysError;
use crate::exit::WaitStatus;
use crate::signal::Outcome;
use crate::signal::deliver::Interruption;
use crate::task::{Task, clear_current, with_current};
use abi::Errno;
use abi::signal::{SigInfo, Signal};
use platform::{Event, Guest, Next, ThreadContext};
use std::sync::Arc;

/// A task, as the platform holds it.
pub(crate) struct TaskGuest(pub Arc<Task>);

impl Guest for TaskGuest {
    fn handle(&self, thread: &mut ThreadContext, event: Event) -> Next {
        let task = &self.0;
        task.clock.enter_kernel();
        task.note_entry();
        let next = with_current(task, || handle(task, thread, event));
        match next {
            Next::Resume => {
                task.clock.leave_kernel();
                task.border.leave_kernel();
            }
            Next::Exit => clear_current(),
        }
        next
    }

    fn lost(&self, reason: &str) {
        tracing::error!("the host side of {:?} was lost: {reason}", self.0);
        self.0.kernel().finish(WaitStatus::Lost);
    }
}

fn handle(task: &Arc<Task>, thread: &mut ThreadContext, event: Event) -> Next {
    let mut interruption = None;
    match event {
        Event::Syscall { nr, args } => interruption = system_call(task, thread, nr, args),
        Event::ForeignSyscall => {
            tracing::debug!("{task:?}: a system call of another ABI");
            thread.regs.rax = Errno::ENOSYS.to_return();
        }
        Event::Fault { addr, access, bus } => match task.mm().handle_fault(addr, access, bus) {
            Ok(()) => task.clock.count_fault(),
            Err(fault) if fault.out_of_memory => out_of_memory(task),
            Err(fault) => {
                task.force_signal(SigInfo::fault(fault.signal, fault.code, fault.addr));
            }
        },
        Event::Exception { signal, code, addr } => match Signal::new(signal) {
            Ok(signal) => task.force_signal(SigInfo::fault(signal, code, addr)),
            Err(_) => tracing::warn!("{task:?}: the platform reports exception {signal}"),
        },
        Event::Interrupted => {}
    }
    match task.deal_with_signals(thread, interruption) {
        Outcome::Resume => Next::Resume,
        Outcome::Exit(status) => {
            task.exit(status);
            Next::Exit
        }
    }
}

/// The sandbox has used up its memory: the process that wanted more is killed, as Linux's OOM killer
/// would where it is the largest.
fn out_of_memory(task: &Arc<Task>) {
    let (pid, comm) = (task.group().pid(), task.comm());
    let name = String::from_utf8_lossy(comm.as_bytes()).into_owned();
    tracing::warn!("out of memory (--memory): killed process {pid} ({name})");
    task.exit_group(WaitStatus::Signaled { signal: Signal::SIGKILL, core: false });
}

fn system_call(
    task: &Arc<Task>,
    thread: &mut ThreadContext,
    nr: u64,
    args: [u64; 6],
) -> Option<Interruption> {
    let table = task.kernel().table();
    let result = table.call(&mut TaskContext { task, thread }, nr, args);
    match result {
        Ok(value) => thread.regs.rax = value,
        Err(SysError::Errno(errno)) => thread.regs.rax = errno.to_return(),
        Err(SysError::Restart(restart)) => return Some(Interruption { restart, nr }),
    }
    None
}
