//! goferfs: under construction.
