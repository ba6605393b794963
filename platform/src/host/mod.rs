//! What the front end and the boot of the sentry need from the host kernel, behind safe functions.
pub mod memory;
pub mod seccomp;
