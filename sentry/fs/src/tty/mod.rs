//! Terminals: the line discipline, its settings, and job control.

mod job_control;

pub use job_control::{JobControl, Terminals, Through, ioctl as job_control_ioctl};
