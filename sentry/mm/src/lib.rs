//! mm: under construction.
