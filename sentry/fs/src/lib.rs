//! The file systems, one folder each, and the kinds of open file that have no file system.
//!
//! None of them knows tasks; what shows tasks (`/proc`) is the crate `procfs` beside this one.

#![forbid(unsafe_code)]

pub mod anon;
pub mod dev;
pub mod devpts;
pub mod epoll;
pub mod eventfd;
pub mod goferfs;
pub mod hostio;
pub mod overlay;
pub mod pipe;
pub mod timerfd;
pub mod tmpfs;
pub mod tty;
