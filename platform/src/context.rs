//! The state of a guest thread, as the kernel sees it while the thread is stopped.

use crate::vector::{Vector, VectorSource};
use crate::{AddressSpace, Interrupt, Registers};
use std::io;
use std::sync::Arc;

/// Registers, vector state and address space of one stopped guest thread.
pub struct ThreadContext {
    /// General-purpose registers; what is written here is loaded on resume.
    pub regs: Registers,
    address_space: Arc<dyn AddressSpace>,
    interrupt: Arc<Interrupt>,
    vector: Vector,
}

impl ThreadContext {
    /// A thread that has not run yet: given registers, vector state as after `exec`.
    pub fn new(
        regs: Registers,
        address_space: Arc<dyn AddressSpace>,
        interrupt: Arc<Interrupt>,
    ) -> Self {
        ThreadContext { regs, address_space, interrupt, vector: Vector::initial() }
    }

    /// The context of a new thread, as `clone` and `fork` make it: the same registers, vector
    /// state and address space (which the caller may then set: that resets the vector state, so
    /// use [`ThreadContext::fork_into`] for a copied address space).
    pub fn fork(&mut self, interrupt: Arc<Interrupt>) -> io::Result<ThreadContext> {
        let address_space = self.address_space.clone();
        self.fork_into(address_space, interrupt)
    }

    /// As [`ThreadContext::fork`], the child being in another address space.
    pub fn fork_into(
        &mut self,
        address_space: Arc<dyn AddressSpace>,
        interrupt: Arc<Interrupt>,
    ) -> io::Result<ThreadContext> {
        let vector = self.vector.copy()?;
        Ok(ThreadContext { regs: self.regs, address_space, interrupt, vector })
    }

    /// The address space the thread runs in.
    pub fn address_space(&self) -> &Arc<dyn AddressSpace> {
        &self.address_space
    }

    /// `execve`: the thread goes on in another address space, with vector state as after `exec`.
    /// Takes effect on resume.
    pub fn set_address_space(&mut self, address_space: Arc<dyn AddressSpace>) {
        self.address_space = address_space;
        self.vector = Vector::initial();
    }

    /// The interruption handle of this thread.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }

    /// The x87, SSE, AVX... state in the standard (not compacted) format of XSAVE, as
    /// `PTRACE_GETREGSET` with NT_X86_XSTATE gives it. Fetched from the host at the first call
    /// after a stop, so ask only when it is needed: signal delivery, fork, trace.
    pub fn xstate(&mut self) -> io::Result<&[u8]> {
        self.vector.get()
    }

    /// Sets the vector state, from bytes in the same format that may come from guest memory:
    /// reserved fields and components that the host does not have are cleared. A shorter image
    /// (at least the 512 bytes of FXSAVE) leaves the rest in its initial state; EINVAL for one
    /// shorter than that or longer than [`crate::vector_size`].
    pub fn set_xstate(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.vector.set(bytes)
    }

    /// Vector state as after `exec`, for a signal frame that has none.
    pub fn reset_xstate(&mut self) {
        self.vector = Vector::initial();
    }

    /// Platform side: bytes to load into the host thread before it runs guest code, if any.
    pub(crate) fn vector_to_load(&self) -> Option<io::Result<Vec<u8>>> {
        self.vector.to_load()
    }

    /// Platform side: the host thread has the state now; it is read from `source` on demand.
    pub(crate) fn vector_loaded(&mut self, source: &Arc<dyn VectorSource>) {
        self.vector.loaded(source);
    }
}
