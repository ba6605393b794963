//! wait: under construction.
