//! execve(2): from a path to a process image.
//!
//! `image.rs` makes the new memory (which can fail, and then nothing has changed), this file does
//! what follows: the other threads go, and the task becomes another program.

mod credentials;
mod elf;
mod image;
mod layout;
mod stack;

pub(crate) use image::{Image, ImageRequest, load as image_for_init};

use crate::context::TaskContext;
use crate::error::{CallResult, Restart, SysError};
use crate::task::Task;
use abi::signal::SigSet;
use abi::{Errno, SysResult};
use platform::Registers;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vfs::Path;

/// argv and envp, copied from the guest.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Arguments {
    pub argv: Vec<Vec<u8>>,
    pub envp: Vec<Vec<u8>>,
}

/// MAX_ARG_STRLEN: the longest single string, its NUL included.
pub const MAX_ARG_STRLEN: usize = 32 * abi::PAGE_SIZE as usize;

/// MAX_ARG_STRINGS would be more than memory; this many pointers fill the space there is.
pub const MAX_ARG_STRINGS: usize = 6 << 20 >> 3;

impl Arguments {
    /// What the strings and their pointers take on the stack, in bytes.
    pub fn size(&self) -> usize {
        let all = self.argv.iter().chain(&self.envp);
        all.map(|s| s.len() + 1 + size_of::<u64>()).sum()
    }
}

/// The space for arguments and environment: a quarter of the stack limit, at most 6 MiB, at least
/// 128 KiB (execve(2)).
pub fn argument_space(stack_limit: u64) -> usize {
    (stack_limit / 4).clamp(128 << 10, 6 << 20) as usize
}

impl TaskContext<'_> {
    /// Replaces the program of the calling process by `file`. `name` is how it was called (AT_EXECFN,
    /// and what a script's interpreter gets). On success the registers are those of the new program.
    pub fn exec(&mut self, file: Path, name: Vec<u8>, arguments: Arguments) -> CallResult {
        let fs = self.fs();
        let (root, cwd) = fs.root_and_cwd();
        let cred = self.cred();
        let request = ImageRequest {
            kernel: self.kernel(),
            paths: vfs::PathContext { table: fs.mounts(), root: &root, start: &cwd, cred: &cred },
            limits: self.group().limits(),
            no_randomize: self.group().personality.load(Ordering::Relaxed) & ADDR_NO_RANDOMIZE != 0,
        };
        let image = image::load(&request, file, name, arguments)?;
        self.become_only_thread()?;
        self.switch_to(image);
        Ok(0)
    }

    /// Makes all other threads end, and takes the leader's place.
    fn become_only_thread(&self) -> CallResult<()> {
        let task = self.task;
        let group = task.group().clone();
        {
            let table = self.kernel().processes.lock();
            let mut state = group.signals.lock();
            if state.exit.is_some() || state.exec_by.is_some() {
                return Err(SysError::Restart(Restart::Always));
            }
            state.exec_by = Some(task.tid());
            drop(state);
            if let Some(process) = table.process(group.pid()) {
                process.tasks.iter().filter(|t| !Arc::ptr_eq(t, task)).for_each(|t| t.kill());
            }
        }
        let _registration = group.child_events.register(2, task.waker());
        loop {
            let mut table = self.kernel().processes.lock();
            let alone = table.process(group.pid()).is_none_or(|p| p.tasks.len() <= 1);
            let killed = task.is_killed();
            if alone || killed {
                group.signals.lock().exec_by = None;
                if killed {
                    return Err(SysError::Restart(Restart::Always));
                }
                if !task.is_leader() {
                    table.become_leader(task);
                }
                return Ok(());
            }
            drop(table);
            task.sleep(None);
        }
    }

    /// Past the point of no return.
    fn switch_to(&mut self, image: Image) {
        let task = self.task;
        let group = task.group();
        task.release_futexes(false);
        task.release_memory(false);
        let old = task.set_mm(image.mm.clone());
        self.kernel().release_mm(task, old);

        // Its own table from now on; the same one if nobody else has it, as record locks belong to
        // the table.
        let mut files = task.files();
        if Arc::strong_count(&files) > 2 {
            files = files.fork();
            drop(task.set_files(files.clone()));
        }
        for file in files.remove_close_on_exec() {
            files.closed(&file);
        }
        if Arc::strong_count(&task.fs()) > 2 {
            task.set_fs(task.fs().fork());
        }
        self.kernel().delete_timers(group, task);
        group.set_actions(group.actions().after_exec());
        {
            let mut signals = task.signals.lock();
            signals.altstack = Default::default();
            signals.waiting = SigSet::EMPTY;
        }
        task.set_comm(image.comm);
        group.set_exe(Some(image.exe));
        group.did_exec.store(true, Ordering::Relaxed);
        group.membarrier.store(0, Ordering::Relaxed);
        if image.privileged {
            task.set_parent_death_signal(0);
        }
        group.dumpable.store(i32::from(!image.privileged), Ordering::Relaxed);
        task.set_cred(image.cred);

        self.thread.set_address_space(image.mm.address_space().clone());
        self.thread.regs = start_registers(image.entry, image.stack_pointer);
        // The value the dispatcher puts into rax is the 0 that a new program starts with.
    }
}

/// ADDR_NO_RANDOMIZE of personality(2).
const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;

/// The registers of a new program: all zero but these. The code and stack segments are the
/// platform's.
pub(crate) fn start_registers(entry: u64, stack_pointer: u64) -> Registers {
    Registers {
        rip: entry,
        rsp: stack_pointer,
        eflags: 1 << 9,
        cs: 0x33,
        ss: 0x2b,
        ..Registers::default()
    }
}

/// A random number below `limit` (which is not 0); 0 where the host has no randomness to give.
fn random_below(limit: u64) -> u64 {
    u64::from_ne_bytes(random_bytes()) % limit
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes
}

impl Task {
    /// The limits that the memory manager enforces, as they are now.
    pub fn update_mm_limits(&self) {
        self.mm().set_limits(mm_limits(self.group().limits(), &self.cred()));
    }
}

pub(crate) fn mm_limits(limits: &crate::Limits, cred: &vfs::Credentials) -> mm::Limits {
    use crate::Resource;
    let get = |resource| limits.get(resource).cur;
    let may_lock = cred.has_cap(vfs::cred::Caps::IPC_LOCK);
    mm::Limits {
        address_space: get(Resource::As),
        data: get(Resource::Data),
        stack: get(Resource::Stack),
        memlock: if may_lock { u64::MAX } else { get(Resource::Memlock) },
    }
}

/// Adds up, or ENOEXEC: for numbers from a file.
fn checked(sum: Option<u64>) -> SysResult<u64> {
    sum.ok_or(Errno::ENOEXEC)
}
