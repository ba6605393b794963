//! procfs: under construction.
