//! The state of a guest thread, as the kernel sees it while the thread is stopped.

use crate::{AddressSpace, Interrupt, Registers};
use std::sync::Arc;

/// Registers, vector state and address space of one stopped guest thread.
pub struct ThreadContext {
    /// General-purpose registers; what is written here is loaded on resume.
    pub regs: Registers,
    address_space: Arc<dyn AddressSpace>,
    interrupt: Arc<Interrupt>,
}

impl ThreadContext {
    /// A thread that has not run yet: given registers, vector state as after `exec`.
    pub fn new(
        regs: Registers,
        address_space: Arc<dyn AddressSpace>,
        interrupt: Arc<Interrupt>,
    ) -> Self {
        ThreadContext { regs, address_space, interrupt }
    }

    /// The address space the thread runs in.
    pub fn address_space(&self) -> &Arc<dyn AddressSpace> {
        &self.address_space
    }

    /// `execve`: the thread goes on in another address space, with vector state as after `exec`.
    /// Takes effect on resume.
    pub fn set_address_space(&mut self, address_space: Arc<dyn AddressSpace>) {
        self.address_space = address_space;
        // (platform: reset the vector state)
    }

    /// The interruption handle of this thread.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }
}
