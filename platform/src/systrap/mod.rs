//! The systrap platform: every guest call traps, and the handler hands over in shared memory.
//!
//! ```text
//!   sentry                                    stub process (one for each address space)
//!   ------                                    ----------------------------------------
//!   whoever changes mappings -- orders ---->  broker: first thread, never runs guest code
//!        `--- orders --> launcher                (clones threads, changes mappings)
//!   guest-thread    <-- takes turns with -->  host thread of guest thread 1
//!   guest-thread    <-- takes turns with -->  host thread of guest thread 2
//!   stub-maker      -- keeps a few of them ready
//!   stub-reaper     -- parent of all
//! ```
//!
//! No ptrace: works where that is forbidden, at half the cost of a call. Files: `layout` says what
//! lies where; `stub` is our code in the stubs; `filter` what they may ask of the host; `launcher`
//! makes the first of them; `service` the others, and sees their end; `process` is how one is
//! given orders, `pipes` how it answers; `space` an address space, `thread` a thread in it; `run` is the loop around a
//! guest thread, `frame` what it reads at each stop, `shared` the memory between.

pub mod filter;
mod frame;
mod host_calls;
mod launcher;
mod layout;
mod pipes;
mod process;
mod run;
mod self_test;
mod service;
mod shared;
mod space;
mod stub;
mod thread;

use crate::{AddressSpace, Guest, Platform, ThreadContext};
pub use host_calls::HOST_CALLS;
use service::Service;
use std::io;
use std::sync::Arc;

/// See the module's comment.
pub struct SystrapPlatform {
    service: Arc<Service>,
}

impl SystrapPlatform {
    /// Starts the launcher, and runs a guest to see that all works. To be called before the
    /// process gives up its rights.
    ///
    /// # Errors
    /// Where the processor or the host lack something, or the guest does not do what it should;
    /// the message says what.
    pub fn new() -> io::Result<Self> {
        self_test::requirements()?;
        let platform = SystrapPlatform { service: Service::start()? };
        self_test::run(&platform)?;
        Ok(platform)
    }
}

impl Platform for SystrapPlatform {
    fn name(&self) -> &'static str {
        "systrap"
    }

    fn new_address_space(&self) -> io::Result<Arc<dyn AddressSpace>> {
        Ok(Arc::new(space::SystrapAddressSpace::new(self.service.clone())?))
    }

    fn spawn(&self, thread: ThreadContext, guest: Arc<dyn Guest>) -> io::Result<()> {
        run::spawn(thread, guest)
    }

    fn about_to_block(&self) {
        run::about_to_block();
    }
}
