//! Signal frames on the guest's stack: `struct rt_sigframe` of x86-64.
//!
//! From high to low addresses: the vector state (XSAVE format, 64-byte aligned, with the software
//! bytes and the second magic number that the kernel's `arch/x86/kernel/fpu/signal.c` describes),
//! then siginfo, ucontext and the return address.

use super::{AltStack, TaskSignals};
use crate::context::TaskContext;
use crate::task::Task;
use abi::signal::{SA_RESTORER, SigAction, SigInfo, SigSet, Signal, StackT};
use abi::{Errno, SysResult, UserAddr};
use mm::MemoryManager;
use platform::{Registers, ThreadContext};
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct sigcontext`.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct SigContext {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    eflags: u64,
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    err: u64,
    trapno: u64,
    oldmask: u64,
    cr2: u64,
    fpstate: u64,
    reserved: [u64; 8],
}

/// `struct rt_sigframe`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable)]
struct Frame {
    return_address: u64,
    uc_flags: u64,
    uc_link: u64,
    uc_stack: StackT,
    context: SigContext,
    mask: SigSet,
    info: SigInfo,
}

const FRAME_SIZE: u64 = size_of::<Frame>() as u64;

/// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS.
const UC_FLAGS: u64 = 1 | 2 | 4;

/// The x86-64 ABI's area below the stack pointer that a handler must leave alone.
const RED_ZONE: u64 = 128;

/// Where the FXSAVE area has bytes for software.
const SW_BYTES: usize = 464;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// The FXSAVE area alone.
const LEGACY_SIZE: usize = 512;
/// More than any processor's XSAVE area that Linux knows.
const MAX_XSTATE: usize = 16 * 1024;

/// DF, TF and RF: cleared for a handler.
const HANDLER_CLEARS: u64 = 1 << 10 | 1 << 8 | 1 << 16;

/// The page fault exception and the general protection fault.
const TRAP_PAGE_FAULT: u64 = 14;

impl Task {
    /// Puts a frame on the guest's stack and points the registers at the handler.
    pub(super) fn push_frame(
        self: &Arc<Task>,
        thread: &mut ThreadContext,
        signal: Signal,
        info: &SigInfo,
        action: SigAction,
    ) -> SysResult<()> {
        if action.flags & SA_RESTORER == 0 {
            // Linux requires it on x86-64: there is no other way back.
            return Err(Errno::EFAULT);
        }
        let mm = self.mm();
        let mut own = self.signals.lock().clone();
        let regs = thread.regs;
        let on_altstack = own.altstack.contains(regs.rsp);
        let enters =
            action.flags & libc::SA_ONSTACK as u64 != 0 && own.altstack.size != 0 && !on_altstack;
        let mut sp = match enters {
            true => own.altstack.base.wrapping_add(own.altstack.size),
            false => regs.rsp.wrapping_sub(RED_ZONE),
        };

        let xstate = frame_xstate(thread)?;
        sp = sp.wrapping_sub(xstate.len() as u64) & !63;
        let fpstate = sp;
        sp = (sp.wrapping_sub(FRAME_SIZE) & !15).wrapping_sub(8);
        if enters || on_altstack {
            // An overflow of the alternate stack must not run into what is below it.
            if sp < own.altstack.base {
                return Err(Errno::EFAULT);
            }
        }
        mm.write_bytes(UserAddr(fpstate), &xstate)?;
        let mask = own.saved_mask.take().unwrap_or(own.mask);
        let frame = Frame {
            return_address: action.restorer,
            uc_flags: UC_FLAGS,
            uc_link: 0,
            uc_stack: own.altstack.to_user(regs.rsp),
            context: save(&regs, fpstate, mask, signal, info),
            mask,
            info: *info,
        };
        mm.write(UserAddr(sp), &frame)?;

        own.mask = own.mask.union(action.mask);
        if action.flags & libc::SA_NODEFER as u64 == 0 {
            own.mask.add(signal);
        }
        own.mask = own.mask.without(SigSet::UNBLOCKABLE);
        if enters && own.altstack.autodisarm {
            own.altstack = AltStack::default();
        }
        let TaskSignals { mask, altstack, .. } = own;
        {
            let mut signals = self.signals.lock();
            signals.mask = mask;
            signals.altstack = altstack;
            signals.saved_mask = None;
        }
        let regs = &mut thread.regs;
        regs.rsp = sp;
        regs.rip = action.handler;
        regs.rdi = signal.number() as u64;
        regs.rsi = sp + std::mem::offset_of!(Frame, info) as u64;
        regs.rdx = sp + std::mem::offset_of!(Frame, uc_flags) as u64;
        regs.rax = 0;
        regs.eflags &= !HANDLER_CLEARS;
        Ok(())
    }
}

/// The vector state as it stands in a frame.
fn frame_xstate(thread: &mut ThreadContext) -> SysResult<Vec<u8>> {
    let mut state = thread.xstate().map_err(Errno::from)?.to_vec();
    if state.len() < LEGACY_SIZE || state.len() > MAX_XSTATE {
        return Err(Errno::EFAULT);
    }
    let size = state.len() as u32;
    let features = word(&state, SW_BYTES);
    state[SW_BYTES..SW_BYTES + 4].copy_from_slice(&MAGIC1.to_ne_bytes());
    state[SW_BYTES + 4..SW_BYTES + 8].copy_from_slice(&(size + 4).to_ne_bytes());
    state[SW_BYTES + 8..SW_BYTES + 16].copy_from_slice(&features.to_ne_bytes());
    state[SW_BYTES + 16..SW_BYTES + 20].copy_from_slice(&size.to_ne_bytes());
    state[SW_BYTES + 20..LEGACY_SIZE].fill(0);
    state.extend_from_slice(&MAGIC2.to_ne_bytes());
    Ok(state)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).map_or(0, |b| u64::from_ne_bytes(b.try_into().unwrap_or_default()))
}

fn save(
    regs: &Registers,
    fpstate: u64,
    mask: SigSet,
    signal: Signal,
    info: &SigInfo,
) -> SigContext {
    let is_fault = matches!(signal, Signal::SIGSEGV | Signal::SIGBUS) && info.code > 0;
    SigContext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        rip: regs.rip,
        eflags: regs.eflags,
        cs: regs.cs as u16,
        gs: 0,
        fs: 0,
        ss: regs.ss as u16,
        err: 0,
        trapno: if is_fault { TRAP_PAGE_FAULT } else { 0 },
        oldmask: mask.0,
        cr2: if is_fault { info.fields[0] } else { 0 },
        fpstate,
        reserved: [0; 8],
    }
}

impl TaskContext<'_> {
    /// rt_sigreturn(2): takes everything back from the frame. The value is the restored rax. A bad
    /// frame is SIGSEGV.
    pub fn sigreturn(&mut self) -> u64 {
        if self.try_sigreturn().is_err() {
            self.task.force_signal(SigInfo::new(Signal::SIGSEGV, libc::SI_KERNEL));
        }
        self.thread.regs.rax
    }

    fn try_sigreturn(&mut self) -> SysResult<()> {
        let mm = self.mm();
        let at = UserAddr(self.thread.regs.rsp.wrapping_sub(8));
        let frame: Frame = mm.read(at)?;
        let context = frame.context;
        self.task.set_signal_mask(frame.mask);
        restore(&mut self.thread.regs, &context);
        if context.fpstate == 0 {
            self.thread.reset_xstate();
        } else {
            let state = read_xstate(&mm, UserAddr(context.fpstate))?;
            self.thread.set_xstate(&state).map_err(Errno::from)?;
        }
        // As the kernel: a bad stack_t in the frame is ignored.
        if let Ok(stack) = self.task.altstack().from_user(frame.uc_stack, self.thread.regs.rsp) {
            self.task.set_altstack(stack);
        }
        Ok(())
    }
}

/// The vector state that a frame points to: with the magic numbers as XSAVE says, without them the
/// FXSAVE area alone.
fn read_xstate(mm: &MemoryManager, at: UserAddr) -> SysResult<Vec<u8>> {
    let mut state = vec![0; LEGACY_SIZE];
    mm.read_bytes(at, &mut state)?;
    let magic = word(&state, SW_BYTES);
    let size = (word(&state, SW_BYTES + 16) & 0xffff_ffff) as usize;
    if magic as u32 == MAGIC1 && (LEGACY_SIZE + 64..=MAX_XSTATE).contains(&size) {
        let magic2: u32 = mm.read(at.offset(size as u64))?;
        if magic2 == MAGIC2 {
            state.resize(size, 0);
            mm.read_bytes(at.offset(LEGACY_SIZE as u64), &mut state[LEGACY_SIZE..])?;
        }
    }
    Ok(state)
}

/// The flags that a frame may set: the arithmetic ones, TF, DF, RF, AC, ID and NT are the user's.
const USER_FLAGS: u64 = 0x0025_0dd5 | 1 << 14;

fn restore(regs: &mut Registers, context: &SigContext) {
    regs.r8 = context.r8;
    regs.r9 = context.r9;
    regs.r10 = context.r10;
    regs.r11 = context.r11;
    regs.r12 = context.r12;
    regs.r13 = context.r13;
    regs.r14 = context.r14;
    regs.r15 = context.r15;
    regs.rdi = context.rdi;
    regs.rsi = context.rsi;
    regs.rbp = context.rbp;
    regs.rbx = context.rbx;
    regs.rdx = context.rdx;
    regs.rax = context.rax;
    regs.rcx = context.rcx;
    regs.rsp = context.rsp;
    regs.rip = context.rip;
    regs.eflags = regs.eflags & !USER_FLAGS | context.eflags & USER_FLAGS;
}
