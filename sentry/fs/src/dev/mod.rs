//! dev: under construction.
