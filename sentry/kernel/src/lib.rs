//! kernel: under construction.
