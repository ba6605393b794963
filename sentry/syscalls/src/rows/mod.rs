//! The rows of the table, by family, in the order of their numbers.

pub(crate) mod files;
pub(crate) mod ipc;
pub(crate) mod tasks;
