//! netstack: under construction.
