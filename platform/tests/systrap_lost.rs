//! The tests of these names, on the systrap platform; see `common::SYSTRAP`.

#[path = "lost.rs"]
mod lost;
