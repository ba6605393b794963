//! membarrier(2): a memory barrier on every thread that runs guest code now.
//!
//! Crossing the border between guest and kernel is a barrier by itself, and each task counts its
//! crossings. So the caller notes the count of all who are in guest code, makes them stop there
//! for a moment, and waits until each has crossed. Who is in the kernel, blocked or not, has
//! nothing left to order, and crosses on its way back.

use crate::error::{CallResult, Restart, SysError};
use crate::task::Task;
use abi::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

bitflags::bitflags! {
    /// The commands.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)] // membarrier(2) describes them
    pub(crate) struct Command: u32 {
        const GLOBAL = 1;
        const GLOBAL_EXPEDITED = 1 << 1;
        const REGISTER_GLOBAL_EXPEDITED = 1 << 2;
        const PRIVATE_EXPEDITED = 1 << 3;
        const REGISTER_PRIVATE_EXPEDITED = 1 << 4;
        const PRIVATE_EXPEDITED_SYNC_CORE = 1 << 5;
        const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 1 << 6;
        const GET_REGISTRATIONS = 1 << 9;
    }
}

/// The registrations that there are.
const REGISTRATIONS: Command = Command::REGISTER_GLOBAL_EXPEDITED
    .union(Command::REGISTER_PRIVATE_EXPEDITED)
    .union(Command::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);

/// Counts a task's crossings of the border between guest and kernel.
#[derive(Default)]
pub(crate) struct Border {
    /// Even: in guest code, or about to be. Only the task itself counts.
    crossings: AtomicU64,
    /// Somebody waits for the next crossing.
    watched: AtomicBool,
}

impl Border {
    /// From guest code into the kernel. True: somebody waits for that.
    fn enter_kernel(&self) -> bool {
        self.cross();
        // The crossing is visible before this looks; a watcher marks first and looks then.
        self.watched.load(Ordering::SeqCst) && self.watched.swap(false, Ordering::SeqCst)
    }

    /// Back to guest code.
    pub fn leave_kernel(&self) {
        self.cross();
    }

    /// A read-modify-write: a full barrier.
    fn cross(&self) {
        self.crossings.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks to hear of the next crossing. None: it is in the kernel.
    fn watch(&self) -> Option<u64> {
        self.watched.store(true, Ordering::SeqCst);
        let now = self.crossings.load(Ordering::SeqCst);
        now.is_multiple_of(2).then_some(now)
    }

    fn has_crossed_since(&self, then: u64) -> bool {
        self.crossings.load(Ordering::SeqCst) != then
    }
}

impl Task {
    /// The task has come from guest code.
    pub(crate) fn note_entry(&self) {
        if self.border.enter_kernel() {
            self.kernel().barriers.notify(1);
        }
    }

    /// membarrier(2); `command` 0 is the query.
    pub fn membarrier(self: &Arc<Task>, command: u32) -> CallResult {
        if command == 0 {
            return Ok(Command::all().bits().into());
        }
        let command =
            Command::from_bits(command).filter(|command| command.bits().count_ones() == 1);
        let command = command.ok_or(Errno::EINVAL)?;
        let registered = &self.group().membarrier;
        let has = |wanted: Command| registered.load(Ordering::SeqCst) & wanted.bits() != 0;
        let needs = |wanted: Command| if has(wanted) { Ok(()) } else { Err(Errno::EPERM) };
        let mm = self.mm();
        match command {
            Command::GET_REGISTRATIONS => {
                return Ok((registered.load(Ordering::SeqCst) & REGISTRATIONS.bits()).into());
            }
            Command::GLOBAL => self.barrier(|_| true)?,
            Command::GLOBAL_EXPEDITED => {
                let wanted = Command::REGISTER_GLOBAL_EXPEDITED.bits();
                self.barrier(|task| task.group().membarrier.load(Ordering::SeqCst) & wanted != 0)?;
            }
            Command::PRIVATE_EXPEDITED => {
                needs(Command::REGISTER_PRIVATE_EXPEDITED)?;
                self.barrier(|task| Arc::ptr_eq(&task.mm(), &mm))?;
            }
            Command::PRIVATE_EXPEDITED_SYNC_CORE => {
                needs(Command::REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)?;
                self.barrier(|task| Arc::ptr_eq(&task.mm(), &mm))?;
            }
            // Those who register are in the kernel, and cross on their way back.
            _ => drop(registered.fetch_or(command.bits(), Ordering::SeqCst)),
        }
        Ok(0)
    }

    /// Returns when each of the chosen tasks that are in guest code now has left it once.
    fn barrier(self: &Arc<Task>, chosen: impl Fn(&Task) -> bool) -> CallResult<()> {
        fence(Ordering::SeqCst);
        let others: Vec<Arc<Task>> = {
            let table = self.kernel().processes.lock();
            let tasks = table.iter().flat_map(|process| &process.tasks);
            let others = tasks.filter(|task| !Arc::ptr_eq(task, self) && chosen(task));
            others.cloned().collect()
        };
        let queue = self.kernel().barriers.clone();
        let registration = queue.register(1, self.waker());
        let mut inside: Vec<(Arc<Task>, u64)> = Vec::new();
        for task in others {
            if let Some(crossings) = task.border.watch() {
                task.interrupt.interrupt();
                inside.push((task, crossings));
            }
        }
        let done = self.block_registered(None, || {
            inside.retain(|(task, then)| !task.border.has_crossed_since(*then));
            inside.is_empty().then_some(())
        });
        drop(registration);
        done.map_err(|_| SysError::Restart(Restart::Always))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_in_guest_code_is_waited_for() {
        let border = Border::default();
        let then = border.watch().unwrap();
        assert!(!border.has_crossed_since(then));
        assert!(border.enter_kernel());
        assert!(border.has_crossed_since(then));
        assert_eq!(border.watch(), None);
        border.leave_kernel();
        // The mark of the one who came in between stays for the next crossing.
        assert!(border.enter_kernel());
        assert!(!border.enter_kernel());
    }

    #[test]
    fn the_numbers_are_those_of_linux() {
        assert_eq!(REGISTRATIONS.bits(), 4 | 16 | 64);
        assert_eq!(Command::all().bits(), 0x27f);
    }
}
