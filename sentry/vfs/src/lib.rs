//! vfs: under construction.
