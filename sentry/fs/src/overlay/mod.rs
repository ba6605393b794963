//! overlay: under construction.
