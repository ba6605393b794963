//! Making tasks: clone(2), fork(2), vfork(2).

use crate::context::TaskContext;
use crate::entry::TaskGuest;
use crate::error::{CallResult, Restart, SysError};
use crate::group::ThreadGroup;
use crate::process::{Pid, Process};
use crate::signal::{AltStack, TaskSignals};
use crate::task::{Completion, NewTask, Task};
use abi::process::CloneFlags;
use abi::signal::SigSet;
use abi::{Errno, SysResult, UserAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::Fd;

/// What clone(2) and clone3(2) ask for, in one form.
#[derive(Clone, Copy, Debug)]
pub struct CloneRequest {
    /// The flags, without the exit signal.
    pub flags: CloneFlags,
    /// 0 is none.
    pub exit_signal: i32,
    /// The child's stack pointer; null: the caller's.
    pub stack: UserAddr,
    /// CLONE_PARENT_SETTID.
    pub parent_tid: UserAddr,
    /// CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID.
    pub child_tid: UserAddr,
    /// CLONE_SETTLS: the FS base.
    pub tls: u64,
}

/// Namespaces that a guest cannot make yet.
const NAMESPACES: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWUSER)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWNET)
    .union(CloneFlags::NEWTIME);

/// More threads than this in a sandbox is EAGAIN, whatever the limits say.
const TASKS_MAX: usize = 16_384;

impl CloneRequest {
    /// The combinations that Linux refuses (EINVAL), and those that are not there (EINVAL, as a
    /// kernel without that namespace answers).
    fn check(&self) -> SysResult<()> {
        let has = |flags| self.flags.contains(flags);
        let needs = |flag, needed| has(flag) && !has(needed);
        if needs(CloneFlags::THREAD, CloneFlags::SIGHAND)
            || needs(CloneFlags::SIGHAND, CloneFlags::VM)
            || has(CloneFlags::SIGHAND | CloneFlags::CLEAR_SIGHAND)
            || has(CloneFlags::NEWNS | CloneFlags::FS)
            || has(CloneFlags::NEWUSER | CloneFlags::FS)
            || has(CloneFlags::PIDFD | CloneFlags::DETACHED)
            || has(CloneFlags::PIDFD | CloneFlags::THREAD)
        {
            return Err(Errno::EINVAL);
        }
        if self.flags.intersects(NAMESPACES | CloneFlags::INTO_CGROUP) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}

impl TaskContext<'_> {
    /// Makes a child task as `request` says; returns its id. With CLONE_VFORK, only when the child
    /// has let go of the memory. `pidfd` opens the descriptor of CLONE_PIDFD, and tells the caller
    /// which it is: after all that is likely to fail, and before the child runs.
    pub fn clone_task(
        &mut self,
        request: &CloneRequest,
        pidfd: impl FnOnce(&TaskContext<'_>, &Arc<ThreadGroup>) -> SysResult<Fd>,
    ) -> CallResult<Pid> {
        request.check()?;
        let flags = request.flags;
        let caller = self.task.clone();
        let kernel = caller.kernel().clone();

        let is_thread = flags.contains(CloneFlags::THREAD);
        let mm = match flags.contains(CloneFlags::VM) {
            true => caller.mm(),
            false => caller.mm().fork()?,
        };
        let files = match flags.contains(CloneFlags::FILES) {
            true => caller.files(),
            false => caller.files().fork(),
        };
        let fs = match flags.contains(CloneFlags::FS) {
            true => caller.fs(),
            false => caller.fs().fork(),
        };
        // Memory is not shared: the child may keep the alternate stack.
        let keeps_altstack = !flags.contains(CloneFlags::VM) || flags.contains(CloneFlags::VFORK);
        let signals = {
            let own = caller.signals.lock();
            let altstack = if keeps_altstack { own.altstack } else { AltStack::default() };
            let mask = own.saved_mask.unwrap_or(own.mask);
            TaskSignals { mask, altstack, waiting: SigSet::EMPTY, ..TaskSignals::default() }
        };

        let child = {
            let mut table = kernel.processes.lock();
            // A signal to the process group is for the child too: it is dealt with first, or comes
            // when the child is in the table.
            if caller.has_interruption() {
                return Err(SysError::Restart(Restart::Always));
            }
            if caller.group().is_exiting() || table.task_count() >= TASKS_MAX {
                return Err(Errno::EAGAIN.into());
            }
            check_nproc(&caller, &table)?;
            let tid = table.allocate_pid()?;
            let group = match is_thread {
                true => caller.group().clone(),
                false => child_group(&caller, tid, flags),
            };
            let new = NewTask {
                tid,
                group: group.clone(),
                mm: mm.clone(),
                files,
                fs,
                cred: caller.cred(),
                comm: caller.comm(),
                signals,
                scheduling: caller.scheduling().fork(),
            };
            let child = Task::new(&kernel, new);
            if flags.contains(CloneFlags::SYSVSEM) {
                *child.sem_undo.lock() = Some(caller.sem_undo());
            }
            if !is_thread {
                add_process(&mut table, &caller, &child, request)?;
            }
            table.add_task(&child);
            child
        };
        kernel.count_fork();
        let tid = child.tid();
        let vfork = flags.contains(CloneFlags::VFORK).then(|| {
            let done = Arc::new(Completion::default());
            *child.vfork_done.lock() = Some(done.clone());
            done
        });
        let opened = match flags.contains(CloneFlags::PIDFD) {
            true => pidfd(self, child.group()).map(Some),
            false => Ok(None),
        };
        let started = opened.and_then(|pidfd| {
            self.start_child(&child, request).inspect_err(|_| {
                let file = pidfd.and_then(|fd| self.files().remove(fd).ok());
                drop(file);
            })
        });
        if let Err(errno) = started {
            // It never ran: no trace of it stays, and nobody waits for it to stop.
            child.note_entry();
            let mut table = kernel.processes.lock();
            table.remove_task(&child);
            if !is_thread {
                table.reap(tid);
                drop(table);
                mm.clear();
            }
            return Err(errno.into());
        }
        kernel.cpu_threads_added(child.group());
        if let Some(done) = vfork {
            wait_vfork(&caller, &done);
        }
        Ok(tid)
    }

    /// Fills in the child's registers and the ids in memory, and lets it run.
    fn start_child(&mut self, child: &Arc<Task>, request: &CloneRequest) -> SysResult<()> {
        let flags = request.flags;
        let tid = child.tid();
        if flags.contains(CloneFlags::PARENT_SETTID) {
            // As Linux: a bad address is not an error.
            let _ = self.mm().write(request.parent_tid, &tid);
        }
        if flags.contains(CloneFlags::CHILD_SETTID) {
            let _ = child.mm().write(request.child_tid, &tid);
        }
        if flags.contains(CloneFlags::CHILD_CLEARTID) {
            child.set_clear_child_tid(request.child_tid.0);
        }
        let space = child.mm().address_space().clone();
        let mut thread =
            self.thread.fork_into(space, child.interrupt.clone()).map_err(Errno::from)?;
        thread.regs.rax = 0;
        if let Some(stack) = request.stack.non_null() {
            thread.regs.rsp = stack.0;
        }
        if flags.contains(CloneFlags::SETTLS) {
            if request.tls >= platform::GUEST_ADDRESS_END {
                return Err(Errno::EPERM);
            }
            thread.regs.fs_base = request.tls;
        }
        let guest = Arc::new(TaskGuest(child.clone()));
        child.kernel().platform().spawn(thread, guest).map_err(|error| {
            tracing::warn!("cannot start a guest thread: {error}");
            Errno::EAGAIN
        })
    }
}

/// RLIMIT_NPROC, for whom it counts.
fn check_nproc(caller: &Arc<Task>, table: &crate::process::Table) -> SysResult<()> {
    use vfs::cred::Caps;
    let limit = caller.group().limits().get(crate::Resource::Nproc).cur;
    let cred = caller.cred();
    if cred.uid == 0 || cred.has_cap(Caps::SYS_RESOURCE) || cred.has_cap(Caps::SYS_ADMIN) {
        return Ok(());
    }
    let own: usize = table.iter().filter(|p| p.uid == cred.uid).map(|p| p.tasks.len()).sum();
    if own as u64 >= limit { Err(Errno::EAGAIN) } else { Ok(()) }
}

fn child_group(caller: &Arc<Task>, pid: Pid, flags: CloneFlags) -> Arc<ThreadGroup> {
    let parent = caller.group();
    let actions = if flags.contains(CloneFlags::SIGHAND) {
        parent.actions()
    } else if flags.contains(CloneFlags::CLEAR_SIGHAND) {
        parent.actions().after_exec()
    } else {
        parent.actions().fork()
    };
    let group = ThreadGroup::new(pid, actions, parent.limits().fork());
    let copy = |to: &std::sync::atomic::AtomicI32, from: &std::sync::atomic::AtomicI32| {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    };
    copy(&group.dumpable, &parent.dumpable);
    copy(&group.oom_score_adj, &parent.oom_score_adj);
    group.membarrier.store(parent.membarrier.load(Ordering::Relaxed), Ordering::Relaxed);
    group.personality.store(parent.personality.load(Ordering::Relaxed), Ordering::Relaxed);
    group.set_exe(parent.exe());
    group
}

fn add_process(
    table: &mut crate::process::Table,
    caller: &Arc<Task>,
    child: &Arc<Task>,
    request: &CloneRequest,
) -> SysResult<()> {
    let own = table.process(caller.group().pid()).ok_or(Errno::EAGAIN)?;
    // CLONE_PARENT: a sibling, which ends as the caller would.
    let (parent, parent_tid, exit_signal) = match request.flags.contains(CloneFlags::PARENT) {
        true => (own.parent, own.parent_tid, own.exit_signal),
        false => (caller.group().pid(), caller.tid(), request.exit_signal),
    };
    let process = Process {
        group: child.group().clone(),
        tasks: Vec::new(),
        parent,
        parent_tid,
        children: Vec::new(),
        pgid: own.pgid,
        sid: own.sid,
        exit_signal,
        zombie: None,
        leader_status: None,
        stop_unseen: None,
        continued_unseen: false,
        tty: own.tty.clone(),
        tty_old_pgrp: 0,
        uid: child.cred().uid,
        comm: child.comm(),
    };
    table.add_process(process);
    Ok(())
}

/// Waits for a vfork child to exec or exit. Only the caller's own death ends it early.
fn wait_vfork(caller: &Arc<Task>, done: &Completion) {
    let _registration = done.queue().register(1, caller.waker());
    while !done.is_done() && !caller.is_killed() {
        caller.sleep(None);
    }
    // A wake that was for a signal may have been taken: look again before returning.
    caller.attention.store(true, Ordering::SeqCst);
}
