//! The sentry process: puts the parts of the application kernel together, locks itself down, and
//! runs the guest.
//!
//! What it never does: open a file of the host, execute a program, make a socket. All of its host
//! files are descriptors that it was started with or that the gofer hands over.
//!
//! Start reading at [`boot`]: the order of things is what matters. [`config`] and [`control`] are
//! what the front end tells it and hears back; [`isolation`] and [`seccomp`] are the walls.

#![forbid(unsafe_code)]

pub mod boot;
pub mod config;
mod console;
pub mod control;
mod guest;
pub mod isolation;
pub mod logging;
mod mounts;
pub mod seccomp;
