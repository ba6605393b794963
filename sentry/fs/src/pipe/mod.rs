//! pipe: under construction.
