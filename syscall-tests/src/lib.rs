//! syscall-tests: under construction.
