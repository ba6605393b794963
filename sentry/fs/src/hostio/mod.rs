//! hostio: under construction.
