//! Guests that attack what the systrap platform keeps in their address spaces.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use platform::systrap::filter;
use platform::{Event, Interrupt, MapOp, Next, PAGE_SIZE, Prot, Registers};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const AREAS: u64 = 0x7fff_f000_0000;
const AREA_LEN: u64 = 0x8000;
const STUB: u64 = 0x7fff_fff0_0000;
const PAGES: u64 = 16;

/// After an attack the platform still works.
fn works() {
    run(GETPID_LOOP, |thread, event| {
        assert!(matches!(event, Event::Syscall { nr: 39, .. }), "{event:?}");
        thread.regs.rax = 0;
        thread.regs.r15 += 1;
        if thread.regs.r15 == 10 { Next::Exit } else { Next::Resume }
    });
}

#[test]
fn guest_threads_have_three_host_calls() {
    let calls = filter::calls(filter::GUEST);
    let expected = [libc::SYS_futex, libc::SYS_exit, libc::SYS_rt_sigprocmask];
    assert_eq!(calls, expected.into_iter().collect());
}

/// Registers for the jump number `step`: every byte of the stub in turn, with other values.
fn attack(step: u64) -> Registers {
    let calls = [9, 10, 11, 1, 56, 57, 59, 62, 131, 157, 202, 231, 234, 317, 13, 15];
    let pointers = [DATA + 0x800, AREAS + 0x4000, STUB, STUB + PAGE_SIZE, 0, u64::MAX];
    let (offset, round) = (step % (PAGE_SIZE + 64), step / (PAGE_SIZE + 64));
    let mut seed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round;
    let mut pick = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        pointers[(seed >> 40) as usize % pointers.len()]
    };
    Registers {
        rip: STUB + offset,
        rax: calls[(step as usize + round as usize * 7) % calls.len()],
        rdi: pick(),
        rsi: pick(),
        rdx: pick(),
        rcx: pick(),
        rbx: pick(),
        r8: pick(),
        r9: pick(),
        r10: pick(),
        r11: pick(),
        r12: pick(),
        r13: pick() & 0xf,
        r14: pick() & 0xff,
        r15: pick(),
        rbp: pick() & 7,
        // Not into its own alternate stack: the host kills for too little room there.
        rsp: if step.is_multiple_of(3) { 0 } else { DATA + 0x1800 },
        eflags: 0x202,
        ..Default::default()
    }
}

#[test]
fn a_jump_to_any_byte_of_the_stub() {
    const STEPS: u64 = 4 * (PAGE_SIZE + 64);
    let space = space_with(BUSY_LOOP);
    let data = file(&[], PAGES * PAGE_SIZE);
    space.apply(&[map(DATA, PAGES * PAGE_SIZE, Prot::READ | Prot::WRITE, &data)]).unwrap();
    let step = Arc::new(AtomicU64::new(0));
    let steps = step.clone();
    let (guest, ended) = toy(move |thread, _| {
        let step = steps.fetch_add(1, SeqCst);
        if step == STEPS {
            return Next::Exit;
        }
        thread.regs = attack(step);
        Next::Resume
    });
    let mut jumper = thread(&space);
    jumper.regs = attack(0);
    let interrupt = jumper.interrupt().clone();
    PLATFORM.spawn(jumper, guest).unwrap();
    // Where it waits for something, it is interrupted; it never stays anywhere.
    let mut last = (0, Instant::now());
    let end = loop {
        match ended.recv_timeout(Duration::from_millis(1)) {
            Ok(end) => break end,
            Err(_) => interrupt.interrupt(),
        }
        let now = step.load(SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
        assert!(last.1.elapsed() < Duration::from_secs(20), "stuck at step {now}");
    };
    assert_eq!(end, Ok(()), "at step {}", step.load(SeqCst));
    works();
}

/// `for (rdi = rbx; ; ) { for (; rdi != rsi; rdi += 8) *rdi = (rax = rax * r8 + r9) >> cl; }`
const SCRIBBLE: &[u8] = &[
    0x48, 0x89, 0xdf, // mov rdi, rbx
    0x49, 0x0f, 0xaf, 0xc0, // imul rax, r8
    0x4c, 0x01, 0xc8, // add rax, r9
    0x48, 0x89, 0xc2, // mov rdx, rax
    0x48, 0xd3, 0xea, // shr rdx, cl
    0x48, 0x89, 0x17, // mov [rdi], rdx
    0x48, 0x83, 0xc7, 0x08, // add rdi, 8
    0x48, 0x39, 0xf7, // cmp rdi, rsi
    0x75, 0xe7, // jne to the imul
    0xeb, 0xe2, // jmp TEXT
];

/// A thread scribbles over the part of another's area while that makes calls.
fn scribble(from: u64, to: u64, shift: u64) {
    let space = space_with(SCRIBBLE);
    let victim_text = file(GETPID_LOOP, PAGE_SIZE);
    space.apply(&[map(DATA, PAGE_SIZE, Prot::READ | Prot::EXEC, &victim_text)]).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let (guest, ended) = toy(move |thread, event| {
        if stop.load(SeqCst) {
            return Next::Exit;
        }
        match event {
            Event::Syscall { .. } => thread.regs.rax = 0,
            Event::Interrupted => {}
            // Whatever happened to it, it goes on.
            _ => thread.regs = Registers { rip: DATA, ..Default::default() },
        }
        Next::Resume
    });
    let (scribbler, scribbler_ended) = toy({
        let over = over.clone();
        move |_, _| if over.load(SeqCst) { Next::Exit } else { Next::Resume }
    });
    let mut victim = thread(&space);
    victim.regs.rip = DATA;
    let victim_interrupt = victim.interrupt().clone();
    PLATFORM.spawn(victim, guest).unwrap();
    let mut other = thread(&space);
    other.regs = Registers {
        rip: TEXT,
        rax: 88172645463325252,
        rbx: AREAS + from,
        rsi: AREAS + to,
        rcx: shift,
        r8: 6364136223846793005,
        r9: 1442695040888963407,
        ..Default::default()
    };
    let other_interrupt: Arc<Interrupt> = other.interrupt().clone();
    PLATFORM.spawn(other, scribbler).unwrap();
    let until = Instant::now() + Duration::from_millis(200);
    while Instant::now() < until {
        victim_interrupt.interrupt();
        std::thread::sleep(Duration::from_millis(1));
    }
    over.store(true, SeqCst);
    // Both end, or their process has: that is between the guest and itself. A victim may be left
    // waiting for what it was robbed of; then its process is ended, as a kernel would.
    other_interrupt.interrupt();
    let _ = scribbler_ended.recv_timeout(Duration::from_secs(10)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        victim_interrupt.interrupt();
        match ended.recv_timeout(Duration::from_millis(10)) {
            Ok(_) => break,
            Err(_) => assert!(Instant::now() < deadline, "the victim's thread does not end"),
        }
    }
    // It can still be changed, or is dead.
    let _ = space.apply(&[MapOp::Unmap { addr: DATA, len: PAGE_SIZE }]);
}

#[test]
fn scribbling_over_the_state_word() {
    for shift in [0, 30, 62] {
        scribble(0, 8, shift);
    }
    works();
}

#[test]
fn scribbling_over_the_header() {
    for shift in [0, 33, 61] {
        scribble(8, 1024, shift);
    }
    works();
}

#[test]
fn scribbling_over_the_frame() {
    for shift in [0, 17, 61] {
        scribble(0x5000, AREA_LEN, shift);
    }
    works();
}

#[test]
fn scribbling_over_everything() {
    for shift in [0, 8, 61] {
        scribble(0, AREA_LEN, shift);
    }
    works();
}
