//! platform: under construction.
