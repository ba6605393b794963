//! Guest memory: the memory file, address spaces, copy-on-write, and the kernel's access to user
//! memory.
//!
//! All memory of all guests lies in one sparse file ([`MemoryFile`]), which the sentry maps whole.
//! A [`MemoryManager`] is one address space, in two layers: VMAs are what the guest sees (mmap(2)),
//! and PMAs say which pages of which file are behind them on the host. A PMA is always mapped on
//! the host with the protection that follows from its VMA, so faults come here only for
//! copy-on-write, for large lazy areas, and for file pages that came into being later.
//!
//! What this crate never does: hold a Rust reference into memory that a guest can change; follow a
//! guest's pointer outside the memory file; allocate in proportion to a number the guest gave.
//!
//! Lock order: the lock of a `MemoryManager` (a parent's before its child's in fork), then a
//! [`MappingSet`], then whatever a [`Mappable`] takes, then the memory file. Changes are applied
//! to the platform's address space with the manager's lock held, so that they arrive in order.
//!
//! Start reading in `manager.rs` (the state and its two layers), then `fault.rs`.

mod advice;
mod batch;
mod brk;
mod detach;
mod fault;
mod file_alloc;
mod find;
mod fork;
mod futex;
mod lock;
mod manager;
mod mapping_set;
mod memory_file;
mod mmap;
mod mprotect;
mod mremap;
mod pma;
mod ranges;
mod raw;
mod report;
mod shared_anon;
mod spurious;
mod state;
mod types;
mod user;
mod vma;

pub use manager::MemoryManager;
pub use mapping_set::MappingSet;
pub use memory_file::MemoryFile;
pub use platform::{Access, Prot};
pub use raw::install_fault_handler;
pub use types::*;

/// The page size, in bytes.
pub const PAGE_SIZE: u64 = platform::PAGE_SIZE;
