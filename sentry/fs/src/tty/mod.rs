//! Terminals: the line discipline, its settings, and job control.
//!
//! [`LineDiscipline`] does no I/O: a driver (`devpts`) feeds it. `job_control.rs` is what drivers
//! need of the kernel.

mod job_control;
mod n_tty;
mod output;
pub mod termios;

pub use job_control::{JobControl, Terminals, Through, ioctl as job_control_ioctl};
pub use n_tty::{Events, LineDiscipline, Read};

#[cfg(test)]
mod tests;
