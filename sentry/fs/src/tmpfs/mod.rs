//! tmpfs: under construction.
