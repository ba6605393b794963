//! The tests of this name, on the systrap platform; see `common::SYSTRAP`.

#[path = "events.rs"]
mod events;
