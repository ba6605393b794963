//! The guest: everything here that depends on the kernel.

use crate::boot::BootError;
use crate::config::{ProcessConfig, ViewConfig};
use crate::control::{FromSentry, Status};
use crate::isolation::Phases;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, PoisonError};

/// What a guest is made of.
pub(crate) struct GuestParts {
    pub memory: OwnedFd,
    pub gofer: OwnedFd,
    pub stdio: [OwnedFd; 3],
    pub view: ViewConfig,
    pub process: ProcessConfig,
    pub hostname: String,
    pub memory_limit: u64,
    pub strace: bool,
}

/// Stands in for the kernel until that is there: a first process that does nothing and dies of
/// any signal.
pub(crate) struct Guest {
    parts: GuestParts,
    platform: platform::ptrace::PtracePlatform,
    end: Mutex<Option<i32>>,
    ended: Condvar,
}

impl Guest {
    pub fn new(parts: GuestParts, phases: &mut Phases) -> Result<Guest, BootError> {
        let platform = platform::ptrace::PtracePlatform::new()
            .map_err(|error| BootError::own(format!("ptrace does not work here: {error}")))?;
        phases.end("platform");
        Ok(Guest { parts, platform, end: Mutex::new(None), ended: Condvar::new() })
    }

    pub fn start(&self) -> Result<(), BootError> {
        use platform::Platform as _;
        let _ = (&self.parts.memory, &self.parts.gofer, &self.parts.stdio, &self.parts.view);
        let _ = (&self.parts.hostname, self.parts.memory_limit, self.parts.strace);
        let _ = &self.parts.process.program;
        let space = self.platform.new_address_space();
        std::mem::forget(space.map_err(|error| BootError::own(format!("no stub: {error}")))?);
        Ok(())
    }

    pub fn signal(&self, signal: i32) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(signal);
        self.ended.notify_all();
    }

    pub fn wait(&self) -> FromSentry {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *end {
                Some(signal) => return FromSentry::Exited(Status::Signaled(signal as u8)),
                None => end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}
