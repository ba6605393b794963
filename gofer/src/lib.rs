//! gofer: under construction.
