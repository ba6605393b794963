//! syscalls: under construction.
