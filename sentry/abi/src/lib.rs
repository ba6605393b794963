//! abi: under construction.
