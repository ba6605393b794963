//! The ptrace platform: every guest call stops under PTRACE_SYSEMU.
//!
//! ```text
//!   sentry                                    stub process (one for each address space)
//!   ------                                    ----------------------------------------
//!   service thread  --- traces ------------>  broker: first thread, never runs guest code
//!        `--- traces --> launcher                (clones threads, changes mappings)
//!   tracer thread   --- traces ------------>  host thread of guest thread 1
//!   tracer thread   --- traces ------------>  host thread of guest thread 2
//! ```
//!
//! Simple and slow; the reference for correctness, and what works where nothing else does. Files:
//! `stub` is our code in the stubs; `stub_filter` what they may ask of the host; `launcher` makes
//! the first of them, `service` the others, and `watch` notices when one is killed; `space` changes mappings by `orders`; `run` is the
//! loop around a guest thread.

mod host_calls;
mod launcher;
mod orders;
mod run;
mod service;
mod space;
mod stub;
pub mod stub_filter;
mod sys;
mod tracee;
mod watch;

use crate::{AddressSpace, Guest, Platform, ThreadContext};
pub use host_calls::HOST_CALLS;
use service::Service;
use std::io;
use std::sync::Arc;

/// See the module's comment.
pub struct PtracePlatform {
    service: Arc<Service>,
}

impl PtracePlatform {
    /// Starts the launcher. To be called before the process gives up its rights, except
    /// capabilities: those should be gone, for they are a thread's own and the service thread
    /// keeps what its creator had.
    ///
    /// # Errors
    /// Where the host forbids ptrace, or clone of a process with shared descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(PtracePlatform { service: Service::start()? })
    }
}

impl Platform for PtracePlatform {
    fn name(&self) -> &'static str {
        "ptrace"
    }

    fn new_address_space(&self) -> io::Result<Arc<dyn AddressSpace>> {
        Ok(Arc::new(space::PtraceAddressSpace::new(self.service.clone())?))
    }

    fn spawn(&self, thread: ThreadContext, guest: Arc<dyn Guest>) -> io::Result<()> {
        self.service.tell(&guest);
        run::spawn(thread, guest)
    }

    fn about_to_block(&self) {
        run::about_to_block();
    }
}
