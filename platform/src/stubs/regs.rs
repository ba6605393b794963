//! Registers of guest threads.

use crate::{Event, Registers};

/// The end of the user half (TASK_SIZE with four-level page tables).
pub(crate) const USER_END: u64 = 0x7fff_ffff_f000;
/// Linux's user code and data selectors.
pub(crate) const USER_CS: u64 = 0x33;
pub(crate) const USER_SS: u64 = 0x2b;

/// The event of a call that these registers ask for.
pub(crate) fn syscall(regs: &Registers) -> Event {
    let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
    Event::Syscall { nr: regs.rax, args }
}

/// Makes registers that the host accepts and that are only user mode's: the kernel fills them from
/// signal frames, that is from guest memory.
pub(crate) fn sanitise(regs: &mut Registers) {
    // CF PF AF ZF SF TF DF OF AC, as Linux's sigreturn and ptrace allow; and interrupts on.
    const USER_FLAGS: u64 = 0x0004_0dd5;
    const ALWAYS: u64 = 0x202;
    regs.eflags = regs.eflags & USER_FLAGS | ALWAYS;
    // Nothing for the host to restart.
    regs.orig_rax = u64::MAX;
    regs.cs = USER_CS;
    regs.ss = USER_SS;
    for base in [&mut regs.fs_base, &mut regs.gs_base] {
        if *base >= USER_END {
            *base = 0;
        }
    }
    for selector in [&mut regs.ds, &mut regs.es, &mut regs.fs, &mut regs.gs] {
        // Null, or of the user's privilege level.
        if *selector > 0xffff || *selector & 3 != 3 {
            *selector = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_registers_are_tamed() {
        let mut regs = Registers {
            eflags: u64::MAX,
            cs: 0x10,
            ss: 0x18,
            fs_base: u64::MAX,
            gs_base: 0x1234,
            ds: 0x10,
            es: 0x2b,
            ..Default::default()
        };
        sanitise(&mut regs);
        assert_eq!(regs.eflags & 0x3000, 0, "IOPL");
        assert_eq!((regs.cs, regs.ss), (USER_CS, USER_SS));
        assert_eq!((regs.fs_base, regs.gs_base), (0, 0x1234));
        assert_eq!((regs.ds, regs.es), (0, 0x2b));
    }
}
