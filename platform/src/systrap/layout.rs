//! Where the stub lies in a guest address space, and what is where in its pages.

use crate::{GUEST_ADDRESS_END, PAGE_SIZE};

/// The areas of host threads, one beside the other. Guest code can write all of this.
pub(super) const AREAS: u64 = GUEST_ADDRESS_END;
/// The page of code.
pub(super) const CODE: u64 = 0x7fff_fff0_0000;
/// The page of orders, one for each address space; read-only there.
pub(super) const ORDERS: u64 = CODE + PAGE_SIZE;
/// The page of constants: the filters, and zeros; read-only.
pub(super) const CONSTANTS: u64 = ORDERS + PAGE_SIZE;
/// The end of the stub.
pub(super) const END: u64 = CONSTANTS + PAGE_SIZE;

/// Length of an area: a header, room for nested signal frames, and the frame of the last signal at
/// the top. An area is aligned to its length in the stub, so that a stack pointer into it is
/// enough to find it.
pub(super) const AREA_LEN: usize = 0x8000;
/// How many threads an address space can have.
pub(super) const MAX_THREADS: usize = (CODE - AREAS) as usize / AREA_LEN;

// The header of an area.

/// u32, the hand-off: one of the states below. Zeroed by the host when the thread has ended.
pub(super) const STATE: usize = 0;
/// u32, the stub's own: a kick came that is still to be told.
pub(super) const KICKED: usize = 4;
/// u32: what happened, one of the kinds below.
pub(super) const KIND: usize = 8;
/// Address of the siginfo of the last signal.
pub(super) const SIGINFO: usize = 16;
/// Address of its ucontext.
pub(super) const UCONTEXT: usize = 24;
/// The stack pointer below its frame.
pub(super) const STACK: usize = 32;
/// FS and GS bases when it came.
pub(super) const FS_BASE: usize = 40;
pub(super) const GS_BASE: usize = 48;
/// Address of the XSAVE image to load on resume.
pub(super) const XSTATE: usize = 56;
/// A `stack_t`: the alternate stack.
pub(super) const STACK_T: usize = 64;
/// The registers to load on resume, a [`crate::Registers`].
pub(super) const REGISTERS: usize = 256;
/// Where the alternate stack begins.
pub(super) const HEADER_LEN: usize = 1024;
/// Where the XSAVE image lies that the sentry gives a thread that has no frame yet; the stack of
/// such a thread ends here.
pub(super) const FIRST_XSTATE: usize = 0x5000;
/// The longest signal frame, and XSAVE image, that fits.
pub(super) const MAX_FRAME: usize = AREA_LEN - FIRST_XSTATE;

// States.

/// The guest may run.
pub(super) const RUN: u32 = 1;
/// The same, and it has been kicked: the sentry looks whether it stops.
pub(super) const RUN_KICKED: u32 = 4;
/// It has stopped, and waits for the sentry.
pub(super) const STOPPED: u32 = 2;
/// The thread is to end.
pub(super) const LEAVE: u32 = 3;

// Kinds.

/// A signal: siginfo and ucontext say what.
pub(super) const SIGNAL: u32 = 1;
/// A kick came before the guest ran: its registers are those it was to get.
pub(super) const KICK_ONLY: u32 = 2;

// A page of orders.

/// u32: changed by the sentry when there are orders.
pub(super) const SEQUENCE: usize = 0;
/// u32: how many.
pub(super) const COUNT: usize = 4;
/// The descriptor to tell the result on.
pub(super) const REPLY: usize = 8;
/// Constant: the descriptor of the file of orders pages.
pub(super) const ORDERS_FD: usize = 16;
/// Constant: the process id of the sentry.
pub(super) const SENTRY: usize = 24;
/// The orders: number, six arguments, and one of the below.
pub(super) const FIRST_ORDER: usize = 64;
pub(super) const ORDER_LEN: usize = 64;
pub(super) const MAX_ORDERS: usize = (PAGE_SIZE as usize - FIRST_ORDER) / ORDER_LEN;

/// An order without further ado.
pub(super) const PLAIN: u64 = 0;
/// A clone of a thread, the last of a batch: its id is told.
pub(super) const CLONE_THREAD: u64 = 1;
/// The same of a process.
pub(super) const CLONE_PROCESS: u64 = 2;

// The page of constants.

/// 64 bytes of zeros: an empty signal set, among others.
pub(super) const ZEROS: usize = 0;
/// `sock_fprog` of the filters.
pub(super) const BROKER_FPROG: usize = 64;
pub(super) const GUEST_FPROG: usize = 80;
/// The filters themselves.
pub(super) const FILTERS: usize = 96;
