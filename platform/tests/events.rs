//! Every kind of event, from a guest program that makes it happen.

#![allow(clippy::panic)]

mod common;

use common::*;
use platform::{Access, Event, Next, PAGE_SIZE, Prot};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;

#[test]
fn a_call_goes_round() {
    let code = [
        0xb8, 0x01, 0, 0, 0, // mov eax, 1
        0x31, 0xff, // xor edi, edi
        0xbe, 2, 0, 0, 0, // mov esi, 2
        0x0f, 0x05, // syscall
        0x89, 0xc7, // mov edi, eax
        0x0f, 0x05, // syscall
    ];
    let calls = AtomicUsize::new(0);
    run(&code, move |thread, event| {
        let Event::Syscall { nr, args } = event else { panic!("{event:?}") };
        match calls.fetch_add(1, SeqCst) {
            0 => {
                assert_eq!((nr, args[0], args[1]), (1, 0, 2));
                assert_eq!((thread.regs.rip, thread.regs.rax), (TEXT + 14, 1));
                thread.regs.rax = 7;
                Next::Resume
            }
            _ => {
                assert_eq!((nr, args[0]), (7, 7));
                Next::Exit
            }
        }
    });
}

#[test]
fn results_that_look_like_restarts_arrive() {
    run(GETPID_LOOP, move |thread, event| match event {
        Event::Syscall { nr: 39, .. } => {
            // ERESTARTSYS is the host's own business.
            thread.regs.rax = -512i64 as u64;
            thread.interrupt().interrupt();
            Next::Resume
        }
        Event::Interrupted => {
            assert_eq!((thread.regs.rax, thread.regs.rip), (-512i64 as u64, TEXT + 7));
            Next::Exit
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_fault_is_told_and_the_access_repeated() {
    let code = [
        0x48, 0x8b, 0x04, 0x25, 0x08, 0x00, 0x80, 0x00, // mov rax, [DATA + 8]
        0x0f, 0x05, // syscall
    ];
    let data = file(&[1, 0, 0, 0, 0, 0, 0, 0, 42], PAGE_SIZE);
    run(&code, move |thread, event| match event {
        Event::Fault { addr, access, bus } => {
            assert_eq!((addr, access, bus), (DATA + 8, told(Access::Read), false));
            assert_eq!(thread.regs.rip, TEXT);
            thread.address_space().apply(&[map(DATA, PAGE_SIZE, Prot::READ, &data)]).unwrap();
            Next::Resume
        }
        Event::Syscall { nr, .. } => {
            assert_eq!(nr, 42);
            Next::Exit
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn past_the_end_of_a_file_is_a_bus_fault() {
    let code = [0x48, 0x8b, 0x04, 0x25, 0x08, 0x00, 0x80, 0x00];
    let empty = file(&[], 0);
    let (guest, ended) = toy(|_, event| {
        assert_eq!(event, Event::Fault { addr: DATA + 8, access: told(Access::Read), bus: true });
        Next::Exit
    });
    let space = space_with(&code);
    space.apply(&[map(DATA, PAGE_SIZE, Prot::READ, &empty)]).unwrap();
    PLATFORM.spawn(thread(&space), guest).unwrap();
    ended.recv().unwrap().unwrap();
}

fn exception(code: &[u8], signal: i32, si_code: i32, rip: u64) {
    run(code, move |thread, event| {
        let Event::Exception { signal: got, code, .. } = event else { panic!("{event:?}") };
        assert_eq!((got, code, thread.regs.rip), (signal, si_code, rip));
        Next::Exit
    });
}

#[test]
fn exceptions() {
    const SI_KERNEL: i32 = 0x80;
    exception(&[0xcc], libc::SIGTRAP, SI_KERNEL, TEXT + 1); // int3
    exception(&[0x0f, 0x0b], libc::SIGILL, 2, TEXT); // ud2: ILL_ILLOPN
    exception(&[0x31, 0xc9, 0xf7, 0xf1], libc::SIGFPE, 1, TEXT + 2); // div ecx: FPE_INTDIV
    exception(&[0xf4], libc::SIGSEGV, SI_KERNEL, TEXT); // hlt: general protection
}

#[test]
fn single_steps_are_told() {
    let steps = AtomicUsize::new(0);
    let (guest, ended) = toy(move |thread, event| {
        let step = steps.fetch_add(1, SeqCst) as u64;
        let Event::Exception { signal: libc::SIGTRAP, code: 2, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!(thread.regs.rip, TEXT + step + 1);
        if step == 2 { Next::Exit } else { Next::Resume }
    });
    let mut stepped = thread(&space_with(&[0x90; 16]));
    stepped.regs.eflags |= 0x100;
    PLATFORM.spawn(stepped, guest).unwrap();
    ended.recv().unwrap().unwrap();
}

#[test]
fn other_entries_are_foreign() {
    // mov eax, 20; int 0x80
    run(&[0xb8, 20, 0, 0, 0, 0xcd, 0x80], |thread, event| {
        assert_eq!(event, Event::ForeignSyscall);
        assert_eq!((thread.regs.rax, thread.regs.rip), (20, TEXT + 7));
        Next::Exit
    });
}

#[test]
fn the_vsyscall_page_is_a_call_like_any_other() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    if !maps.contains("[vsyscall]") {
        println!("skipped: this host has no vsyscall page");
        return;
    }
    let code = [
        0xbc, 0x00, 0x08, 0x80, 0x00, // mov esp, DATA + 0x800
        0x48, 0xc7, 0xc0, 0x00, 0x04, 0x60, 0xff, // mov rax, 0xffffffffff600400 (time)
        0xff, 0xd0, // call rax
        0x0f, 0x05, // syscall
    ];
    let space = space_with(&code);
    let data = file(&[], PAGE_SIZE);
    space.apply(&[map(DATA, PAGE_SIZE, Prot::READ | Prot::WRITE, &data)]).unwrap();
    let (guest, ended) = toy(|thread, event| {
        let Event::Syscall { nr, .. } = event else { panic!("{event:?}") };
        match nr as i64 {
            libc::SYS_time => {
                assert_eq!(thread.regs.rip, TEXT + 14);
                thread.regs.rax = 1234;
                Next::Resume
            }
            1234 => Next::Exit,
            _ => panic!("{event:?}"),
        }
    });
    PLATFORM.spawn(thread(&space), guest).unwrap();
    ended.recv().unwrap().unwrap();
}

#[test]
fn stub_code_gains_a_guest_nothing() {
    // Jump to the stub's single call: it is a guest call like any other.
    let base = 0x7fff_fff0_0000u64;
    let (guest, ended) = toy(move |thread, event| match event {
        Event::Syscall { .. } => {
            assert!(thread.regs.rip > base && thread.regs.rip < base + PAGE_SIZE);
            Next::Exit
        }
        other => panic!("{other:?}"),
    });
    let mut jumper = thread(&space_with(&[0xff, 0xe3])); // jmp rbx
    jumper.regs.rbx = base;
    jumper.regs.r12 = TEXT; // "orders" of the guest's own
    jumper.regs.r13 = 1;
    PLATFORM.spawn(jumper, guest).unwrap();
    ended.recv().unwrap().unwrap();
}

#[test]
fn a_busy_guest_can_be_interrupted() {
    let (told, events) = channel();
    let told = Mutex::new(told);
    let (guest, ended) = toy(move |thread, event| {
        told.lock().unwrap().send((event, thread.regs.rip)).unwrap();
        if thread.regs.rbx == 100 {
            return Next::Exit;
        }
        thread.regs.rbx += 1;
        Next::Resume
    });
    let busy = thread(&space_with(BUSY_LOOP));
    let interrupt = busy.interrupt().clone();
    PLATFORM.spawn(busy, guest).unwrap();
    for _ in 0..=100 {
        interrupt.interrupt();
        assert_eq!(events.recv().unwrap(), (Event::Interrupted, TEXT));
    }
    ended.recv().unwrap().unwrap();
}

#[test]
fn interruptions_amid_calls_are_all_told() {
    let interrupted = Arc::new(AtomicUsize::new(0));
    let count = interrupted.clone();
    let (told, events) = channel();
    let told = Mutex::new(told);
    let (guest, ended) = toy(move |thread, event| match event {
        Event::Syscall { nr: 39, .. } => {
            thread.regs.rax = 0;
            Next::Resume
        }
        Event::Interrupted => {
            told.lock().unwrap().send(()).unwrap();
            if count.fetch_add(1, SeqCst) == 1000 { Next::Exit } else { Next::Resume }
        }
        other => panic!("{other:?}"),
    });
    let looping = thread(&space_with(GETPID_LOOP));
    let interrupt = looping.interrupt().clone();
    PLATFORM.spawn(looping, guest).unwrap();
    for _ in 0..=1000 {
        interrupt.interrupt();
        events.recv().unwrap();
    }
    ended.recv().unwrap().unwrap();
}
