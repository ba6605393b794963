//! runsc-rs: under construction.
