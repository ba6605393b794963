//! The compatibility suite: one set of cases, run by Linux and by the sandbox.
//!
//! Two programs come out of this crate. `syscall-cases` is the guest: it holds the cases and runs
//! one of them in its own process. `syscall-tests` is the runner: it starts the guest natively and
//! then inside the sandbox, and compares.
//!
//! Linux is the judge. A case which Linux itself fails is an error in the case, and is reported as
//! such; so no case can assert what its author merely believes.
//!
//! Where to start reading: [`case`] for what a case is, any file below `cases/` for examples,
//! [`runner`] for how they are run. All `unsafe` of the crate is in [`mod@sys`].

pub mod calls;
pub mod case;
pub mod cases;
pub mod programs;
pub mod runner;
pub mod sys;
