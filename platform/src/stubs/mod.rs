//! What the platforms that keep guests in stub processes have in common.

pub(crate) mod orders;
pub(crate) mod placement;
pub(crate) mod ranges;
pub(crate) mod regs;
pub(crate) mod threads;
