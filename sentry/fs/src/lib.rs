//! fs: under construction.
