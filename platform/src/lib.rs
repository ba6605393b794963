//! How guest code runs, and how control comes back.
//!
//! A platform owns host threads, address spaces and registers, and knows no Linux semantics: the
//! kernel is a callback ([`Guest`]). Start reading here, then in `ptrace`, which is simple, and in
//! `systrap`, which is fast.
//!
//! What this crate never does: interpret a system call of the guest, or trust anything that guest
//! code can write.
//!
//! [`host`] is the other half: what the front end and the boot of the sentry need from the host
//! kernel and cannot have from safe crates (processes in namespaces, capabilities, mounts,
//! seccomp, landlock), behind safe functions.

// The one crate of the workspace that may use `unsafe`: it runs foreign machine code and speaks
// raw system calls. Everything it exports is safe.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::os::fd::OwnedFd;
use std::sync::Arc;

mod context;
pub mod host;
mod interrupt;
pub mod ptrace;
mod stubs;
pub mod systrap;
mod vector;

pub use context::ThreadContext;
pub use interrupt::Interrupt;
pub use vector::{VectorSource, vector_components, vector_size};

/// The page size of every supported machine, in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// First address that a guest may not map. Above it lie the platform's own pages.
pub const GUEST_ADDRESS_END: u64 = 0x7fff_f000_0000;

/// The general-purpose registers of a guest thread, in the order of Linux's `user_regs_struct`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub eflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

/// What a memory access wanted to do, where the platform can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Data read.
    Read,
    /// Data write.
    Write,
    /// Instruction fetch.
    Execute,
    /// The platform cannot tell (ptrace).
    Unknown,
}

/// What made the guest stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest executed `syscall`. `regs.rip` is after the instruction; `regs.rax` still holds
    /// the number; the handler stores the result there.
    Syscall {
        /// The number the guest asked for, as it stood in rax.
        nr: u64,
        /// rdi, rsi, rdx, r10, r8, r9.
        args: [u64; 6],
    },
    /// A page fault (SIGSEGV or, past the end of a file or of the memory limit, SIGBUS on the host).
    Fault {
        /// The faulting address; 0 for a non-canonical one.
        addr: u64,
        /// What the access wanted.
        access: Access,
        /// The host reported SIGBUS rather than SIGSEGV.
        bus: bool,
    },
    /// Another exception, already in Linux's terms (SIGILL, SIGFPE, SIGTRAP, SIGSEGV for a general
    /// protection fault...).
    Exception {
        /// The Linux signal number.
        signal: i32,
        /// The `si_code` that Linux gives it.
        code: i32,
        /// The `si_addr`.
        addr: u64,
    },
    /// Somebody called [`Interrupt::interrupt`]; nothing happened in the guest.
    Interrupted,
    /// A system call by another entry (`int $0x80`, `sysenter`): there is no such ABI here.
    /// `regs.rax` is where the handler stores the result.
    ForeignSyscall,
}

/// What to do with the guest thread after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Load the registers of the context and go on, in the context's current address space.
    Resume,
    /// End the guest thread: its host threads go away.
    Exit,
}

/// The kernel, as a platform sees it. Called on any host thread of the platform, with the guest
/// thread stopped; may block (see [`Platform::about_to_block`]).
pub trait Guest: Send + Sync {
    /// Handles one event of this guest thread.
    fn handle(&self, thread: &mut ThreadContext, event: Event) -> Next;

    /// The host side of this thread was lost (its process was killed from outside, the host
    /// refused a mapping...). The sandbox cannot go on; the callee must end it.
    fn lost(&self, reason: &str);
}

bitflags::bitflags! {
    /// Page protection of a host mapping.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Prot: u32 {
        /// PROT_READ.
        const READ = 1;
        /// PROT_WRITE.
        const WRITE = 2;
        /// PROT_EXEC.
        const EXEC = 4;
    }
}

/// One change of an address space. Addresses and lengths are multiples of [`PAGE_SIZE`] below
/// [`GUEST_ADDRESS_END`].
#[derive(Clone, Debug)]
pub enum MapOp {
    /// Map `len` bytes of `file` from `offset` at `addr`, MAP_SHARED, replacing what was there.
    Map {
        /// Where.
        addr: u64,
        /// How much.
        len: u64,
        /// Access of the guest.
        prot: Prot,
        /// The memory file, or a host file the gofer gave.
        file: Arc<OwnedFd>,
        /// Offset in `file`, a multiple of the page size.
        offset: u64,
        /// True: MAP_SHARED. False: MAP_PRIVATE (only ever with read-only access: host files).
        shared: bool,
    },
    /// Remove what is mapped there.
    Unmap {
        /// Where.
        addr: u64,
        /// How much.
        len: u64,
    },
    /// Change the protection of what is mapped there. Holes in the range are not an error.
    Protect {
        /// Where.
        addr: u64,
        /// How much.
        len: u64,
        /// Access of the guest.
        prot: Prot,
    },
}

/// One guest address space: a stub process, or a page table in a VM. Dropping it destroys it.
pub trait AddressSpace: Send + Sync {
    /// Applies the changes, in order. They are in force for every thread of this address space
    /// when the call returns; where no thread has run yet they may be kept and applied before the
    /// first guest instruction.
    fn apply(&self, ops: &[MapOp]) -> std::io::Result<()>;

    /// For the platform's own use: to find its type again.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// A way of running guest code.
pub trait Platform: Send + Sync {
    /// The name used by `--platform`.
    fn name(&self) -> &'static str;

    /// Makes an empty address space.
    fn new_address_space(&self) -> std::io::Result<Arc<dyn AddressSpace>>;

    /// Starts a guest thread with the registers, vector state and address space of `thread`; its
    /// events go to `guest`. Returns when the thread is sure to run, or an error when not.
    fn spawn(&self, thread: ThreadContext, guest: Arc<dyn Guest>) -> std::io::Result<()>;

    /// The kernel calls this before a handler blocks, so that a platform which shares workers can
    /// hand the worker's place to another thread.
    fn about_to_block(&self) {}
}
