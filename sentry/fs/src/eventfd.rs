//! eventfd: under construction.
