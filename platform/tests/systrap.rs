//! The tests of these names, on the systrap platform; see `common::SYSTRAP`.

#[path = "events.rs"]
mod events;
#[path = "spaces.rs"]
mod spaces;
