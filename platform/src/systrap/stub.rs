//! The stub: the code of ours in every guest address space.
//!
//! Three things: how a process becomes the launcher or a broker and follows orders; how a thread
//! becomes a guest's; and the signal handler by which guest code is left and entered again.
//!
//! Guest code may jump to any byte of it, with any registers. What it reaches that way it could
//! do anyway: load and store as the guest may, and the few calls that the filter of its thread
//! allows. Nothing here depends on fs or gs, which are the guest's.

use super::layout::*;
use std::arch::global_asm;

global_asm!(
    r#"
    .pushsection .rodata.platform_systrap_stub, "a", @progbits
    .balign 16
    .globl platform_systrap_start
    .hidden platform_systrap_start
    .globl platform_systrap_boot
    .hidden platform_systrap_boot
    .globl platform_systrap_handler
    .hidden platform_systrap_handler
    .globl platform_systrap_restorer
    .hidden platform_systrap_restorer
    .globl platform_systrap_end
    .hidden platform_systrap_end
platform_systrap_start:

    // ---- The launcher comes here, its pages mapped, and everything else of the sentry's too.
platform_systrap_boot:
    mov eax, 11                         // munmap
    xor edi, edi                        //   from 0
    movabs rsi, {code}                  //   to the stub
    syscall
    test rax, rax
    jnz 9f
    mov eax, 11                         // munmap
    movabs rdi, {end}                   //   from the end of the stub
    mov esi, {above}                    //   to the end of the user half
    syscall
    test rax, rax
    jnz 9f
    mov eax, 317                        // seccomp
    mov edi, 1                          //   SECCOMP_SET_MODE_FILTER
    mov esi, 4                          //   SECCOMP_FILTER_FLAG_SPEC_ALLOW: no secret is here
    movabs rdx, {broker_fprog}
    syscall
    test rax, rax
    jnz 9f
    movabs r12, {orders}                // r12: our page of orders
    xor r13d, r13d                      // r13: the sequence number of the last ones
    jmp 10f
9:  mov eax, 231                        // exit_group
    mov edi, 99                         //   a status that means: here
    syscall
    ud2

    // ---- Launcher and broker: wait for orders.
10: mov eax, [r12 + {sequence}]
    cmp eax, r13d
    jne 11f
    mov eax, 202                        // futex
    lea rdi, [r12 + {sequence}]
    xor esi, esi                        //   FUTEX_WAIT
    mov edx, r13d                       //   while it is the last one
    xor r10d, r10d                      //   no timeout
    syscall
    jmp 10b
11: mov r13d, eax
    mov r14d, [r12 + {count}]           // r14: how many are left
    mov ebp, [r12 + {reply}]            // rbp: where to tell
    lea r15, [r12 + {first_order}]      // r15: the next one
12: test r14d, r14d
    jz 13f
    mov rbx, [r15 + 56]                 // rbx: its kind
    mov rax, [r15]
    mov rdi, [r15 + 8]
    mov rsi, [r15 + 16]
    mov rdx, [r15 + 24]
    mov r10, [r15 + 32]
    mov r8,  [r15 + 40]
    mov r9,  [r15 + 48]
    syscall
    cmp rax, -4096
    ja 15f
    test ebx, ebx
    jnz 16f
    add r15, {order_len}
    dec r14d
    jmp 12b
    // Tell the result by the length of a message: 1, or 1 + the error number.
13: mov edx, 1
14: mov eax, 1                          // write
    mov edi, ebp
    mov rsi, r12                        //   whatever is there; only the length matters
    syscall
    jmp 10b
15: neg eax
    lea edx, [rax + 1]
    jmp 14b
    // A clone. In the parent: tell success, then the id in two pieces.
16: test rax, rax
    jz 17f
    mov rbx, rax
    mov eax, 1                          // write
    mov edi, ebp
    mov rsi, r12
    mov edx, 1                          //   success
    syscall
    mov eax, 1                          // write
    mov edi, ebp
    mov rsi, r12
    mov edx, ebx
    and edx, 0xfff
    inc edx                             //   1 + the low 12 bits
    syscall
    mov edx, ebx
    shr edx, 12
    inc edx                             //   1 + the others
    jmp 14b
17: cmp ebx, {clone_process}
    jne 20f

    // ---- A new stub process: die with the sentry, take a page of orders, be its broker.
    mov eax, 157                        // prctl
    mov edi, 1                          //   PR_SET_PDEATHSIG
    mov esi, 9                          //   SIGKILL
    syscall
    test rax, rax
    jnz 9b
    mov eax, 110                        // getppid
    syscall
    cmp eax, [r12 + {sentry}]           // did it die before the above?
    jne 9b
    mov eax, 9                          // mmap
    mov rdi, r12                        //   over the launcher's page
    mov esi, 4096
    mov edx, 1                          //   PROT_READ
    mov r10d, 0x11                      //   MAP_SHARED | MAP_FIXED
    mov r8d, [r12 + {orders_fd}]        //   r9: the offset, from the order for the clone
    syscall
    cmp rax, -4096
    ja 9b
    xor r13d, r13d
    jmp 10b

    // ---- A new guest thread: rsp is in its area; all signals are blocked.
20: mov rbx, rsp
    and rbx, {area_mask}                // rbx: the area
    mov eax, 131                        // sigaltstack
    lea rdi, [rbx + {stack_t}]
    xor esi, esi
    syscall
    test rax, rax
    jnz 21f
    mov eax, 317                        // seccomp
    mov edi, 1                          //   SECCOMP_SET_MODE_FILTER
    mov esi, 4                          //   SECCOMP_FILTER_FLAG_SPEC_ALLOW
    movabs rdx, {guest_fprog}
    syscall
    test rax, rax
    jnz 21f
    mov eax, 14                         // rt_sigprocmask: from here on signals come
    mov edi, 2                          //   SIG_SETMASK
    movabs rsi, {zeros}                 //   none
    xor edx, edx
    mov r10d, 8
    syscall
    test rax, rax
    jz 33f
21: mov eax, 60                         // exit
    xor edi, edi
    syscall
    ud2

    // ---- The signal handler, on the alternate stack: rdi = signal, rsi = siginfo, rdx = ucontext.
    // Up to the label 31 a kick starts it again from the beginning, so this part keeps rdi, rsi,
    // rdx and the frame above rsp.
platform_systrap_handler:
    push 2                              // flags of our own: no NT, no AC
    popfq
    mov rbx, rsp
    and rbx, {area_mask}                // rbx: the area
    mov rcx, [rdx + 168]                // rip of the interrupted code
    movabs rax, {code}
    sub rcx, rax
    cmp rcx, 4096
    jae 30f
    cmp edi, 23                         // SIGURG, a kick, that interrupted the stub itself
    je 35f
    // Publish: where everything is, and the bases.
30: mov [rbx + {siginfo}], rsi
    mov [rbx + {ucontext}], rdx
    mov [rbx + {stack}], rsp
    rdfsbase rax
    mov [rbx + {fs_base}], rax
    rdgsbase rax
    mov [rbx + {gs_base}], rax
    mov dword ptr [rbx + {kind}], {signal}
31: mov dword ptr [rbx + {state}], {stopped}
    // From here on a kick goes on at the label 32: it may repeat a wake-up, and no more.
32: mov eax, 202                        // futex
    lea rdi, [rbx + {state}]
    mov esi, 1                          //   FUTEX_WAKE
    mov edx, 0x7fffffff                 //   all: another waiter must not be woken instead
    xor r10d, r10d
    syscall
    // Wait for the sentry's answer.
33: mov edx, [rbx + {state}]
    cmp edx, {run}
    je 34f
    cmp edx, {run_kicked}
    je 34f
    cmp edx, {leave}
    je 21b
    mov eax, 202                        // futex
    lea rdi, [rbx + {state}]
    xor esi, esi                        //   FUTEX_WAIT
    xor r10d, r10d                      //   no timeout; edx: while it is what we saw
    syscall
    jmp 33b
    // Run, unless a kick came meanwhile.
34: xor eax, eax
    xchg eax, [rbx + {kicked}]
    test eax, eax
    jnz 36f
    mov rsp, [rbx + {stack}]
    push qword ptr [rbx + {regs} + 160]           // ss
    push qword ptr [rbx + {regs} + 152]           // rsp
    push qword ptr [rbx + {regs} + 144]           // eflags
    push qword ptr [rbx + {regs} + 136]           // cs
    push qword ptr [rbx + {regs} + 128]           // rip
    mov rcx, [rbx + {xstate}]
    mov eax, -1                         // every component that there is
    mov edx, -1
    xrstor64 [rcx]
    mov rax, [rbx + {regs} + 168]
    wrfsbase rax
    mov rax, [rbx + {regs} + 176]
    wrgsbase rax
    mov r15, [rbx + {regs}]
    mov r14, [rbx + {regs} + 8]
    mov r13, [rbx + {regs} + 16]
    mov r12, [rbx + {regs} + 24]
    mov rbp, [rbx + {regs} + 32]
    mov r11, [rbx + {regs} + 48]
    mov r10, [rbx + {regs} + 56]
    mov r9,  [rbx + {regs} + 64]
    mov r8,  [rbx + {regs} + 72]
    mov rax, [rbx + {regs} + 80]
    mov rcx, [rbx + {regs} + 88]
    mov rdx, [rbx + {regs} + 96]
    mov rsi, [rbx + {regs} + 104]
    mov rdi, [rbx + {regs} + 112]
    mov rbx, [rbx + {regs} + 40]
    iretq                               // to the guest

    // A kick in stub code. Note it; then, in the handler's first part, begin that again with the
    // registers it had, and anywhere else wait for the sentry (again). The stack pointer of what
    // begins again lies in this area and above ours: so this ends, whatever the guest made up.
35: mov dword ptr [rbx + {kicked}], 1
    lea rax, [rip + platform_systrap_handler]
    mov rcx, [rdx + 168]                // rip of the interrupted code
    cmp rcx, rax
    jb 37f
    lea rax, [rip + 31b]
    cmp rcx, rax
    ja 37f
    mov rax, [rdx + 160]                // its rsp
    cmp rax, rsp
    jbe 37f
    mov rcx, rax
    and rcx, {area_mask}
    cmp rcx, rbx
    jne 37f
    mov rdi, [rdx + 104]                // its rdi, rsi, rdx
    mov rsi, [rdx + 112]
    mov rdx, [rdx + 136]
    mov rsp, rax
    jmp platform_systrap_handler
37: mov rsp, [rbx + {stack}]
    jmp 32b

    // Tell of a kick that came before the guest ran.
36: mov dword ptr [rbx + {kind}], {kick_only}
    mov dword ptr [rbx + {state}], {stopped}
    jmp 32b

    // The host asks for one; nobody returns from a handler by it.
platform_systrap_restorer:
    ud2
platform_systrap_end:
    .popsection
"#,
    code = const CODE,
    end = const END,
    above = const crate::stubs::regs::USER_END - END,
    orders = const ORDERS,
    broker_fprog = const CONSTANTS + BROKER_FPROG as u64,
    guest_fprog = const CONSTANTS + GUEST_FPROG as u64,
    zeros = const CONSTANTS + ZEROS as u64,
    sequence = const SEQUENCE,
    count = const COUNT,
    reply = const REPLY,
    orders_fd = const ORDERS_FD,
    sentry = const SENTRY,
    first_order = const FIRST_ORDER,
    order_len = const ORDER_LEN,
    clone_process = const CLONE_PROCESS,
    area_mask = const -(AREA_LEN as i64),
    state = const STATE,
    kicked = const KICKED,
    kind = const KIND,
    siginfo = const SIGINFO,
    ucontext = const UCONTEXT,
    stack = const STACK,
    fs_base = const FS_BASE,
    gs_base = const GS_BASE,
    xstate = const XSTATE,
    stack_t = const STACK_T,
    regs = const REGISTERS,
    run = const RUN,
    run_kicked = const RUN_KICKED,
    stopped = const STOPPED,
    leave = const LEAVE,
    signal = const SIGNAL,
    kick_only = const KICK_ONLY,
);

unsafe extern "C" {
    safe static platform_systrap_start: u8;
    safe static platform_systrap_boot: u8;
    safe static platform_systrap_handler: u8;
    safe static platform_systrap_restorer: u8;
    safe static platform_systrap_end: u8;
}

/// The stub's code, to be copied to [`CODE`].
pub(super) fn code() -> &'static [u8] {
    let start = &raw const platform_systrap_start;
    let len = (&raw const platform_systrap_end).addr() - start.addr();
    // SAFETY: both labels are in one section of read-only data, start before end.
    unsafe { std::slice::from_raw_parts(start, len) }
}

fn entry(label: *const u8) -> u64 {
    CODE + (label.addr() - (&raw const platform_systrap_start).addr()) as u64
}

/// Where the launcher enters the stub.
pub(super) fn boot() -> u64 {
    entry(&raw const platform_systrap_boot)
}

/// The signal handler.
pub(super) fn handler() -> u64 {
    entry(&raw const platform_systrap_handler)
}

/// What the host wants to be told as the return from it.
pub(super) fn restorer() -> u64 {
    entry(&raw const platform_systrap_restorer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_entry_to_the_host_hides_in_it() {
        let code = code();
        assert!(code.len() < 4096);
        // int 0x80, sysenter: also across instructions.
        assert!(!code.windows(2).any(|pair| pair == [0xcd, 0x80] || pair == [0x0f, 0x34]));
    }
}
