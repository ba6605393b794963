//! Address spaces and threads: many of them, shared, switched, changed from outside.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use platform::{Event, Interrupt, MapOp, Next, PAGE_SIZE, Prot};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};

/// `loop { rax = 39; syscall; rbx = [DATA] }`
const READ_LOOP: &[u8] = &[
    0xb8, 0x27, 0, 0, 0, // mov eax, 39
    0x0f, 0x05, // syscall
    0x48, 0x8b, 0x1c, 0x25, 0x00, 0x00, 0x80, 0x00, // mov rbx, [DATA]
    0xeb, 0xef, // jmp TEXT
];

#[test]
fn many_threads_in_one_address_space() {
    const THREADS: u64 = 64;
    const CALLS: u64 = 100;
    let total = Arc::new(AtomicU64::new(0));
    let count = total.clone();
    // r15 counts a thread's calls; the first thread starts the others from its handler.
    let (guest, ended) = toy(move |thread, event| {
        assert!(matches!(event, Event::Syscall { nr: 39, .. }), "{event:?}");
        count.fetch_add(1, SeqCst);
        thread.regs.rax = 0;
        thread.regs.r15 += 1;
        if thread.regs.r15 == CALLS { Next::Exit } else { Next::Resume }
    });
    let starter = {
        let guest = guest.clone();
        let (starter, _) = toy(move |first, _| {
            for _ in 1..THREADS {
                let child = first.fork(Arc::new(Interrupt::default())).unwrap();
                PLATFORM.spawn(child, guest.clone()).unwrap();
            }
            Next::Exit
        });
        starter
    };
    let space = space_with(GETPID_LOOP);
    PLATFORM.spawn(thread(&space), guest).unwrap();
    PLATFORM.spawn(thread(&space), starter).unwrap();
    for _ in 0..THREADS {
        ended.recv().unwrap().unwrap();
    }
    assert_eq!(total.load(SeqCst), THREADS * CALLS);
}

#[test]
fn mappings_change_while_the_guest_runs() {
    let (one, two) = (file(&[1], PAGE_SIZE), file(&[2], PAGE_SIZE));
    let space = space_with(READ_LOOP);
    space.apply(&[map(DATA, PAGE_SIZE, Prot::READ, &one)]).unwrap();
    let faults = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(Mutex::new([0u64; 3]));
    let (guest, ended) = {
        let (faults, seen) = (faults.clone(), seen.clone());
        toy(move |thread, event| match event {
            Event::Syscall { .. } => {
                let mut seen = seen.lock().unwrap();
                seen[thread.regs.rbx as usize] += 1;
                if seen[1] > 50 && seen[2] > 50 { Next::Exit } else { Next::Resume }
            }
            // Between the other thread's unmap and map.
            Event::Fault { addr: DATA, .. } => {
                faults.fetch_add(1, SeqCst);
                Next::Resume
            }
            other => panic!("{other:?}"),
        })
    };
    PLATFORM.spawn(thread(&space), guest).unwrap();
    let mut result = None;
    for round in 0.. {
        let now = if round % 2 == 0 { &two } else { &one };
        space.apply(&[MapOp::Unmap { addr: DATA, len: PAGE_SIZE }]).unwrap();
        space.apply(&[map(DATA, PAGE_SIZE, Prot::READ, now)]).unwrap();
        if let Ok(end) = ended.try_recv() {
            result = Some(end);
            break;
        }
    }
    result.unwrap().unwrap();
}

#[test]
fn a_long_batch_with_holes() {
    const PAGES: u64 = 300;
    // mov rbx, [rdi]; syscall; jmp TEXT
    let space = space_with(&[0x48, 0x8b, 0x1f, 0x0f, 0x05, 0xeb, 0xf9]);
    let memory = file(&[], PAGES * PAGE_SIZE);
    for page in 0..PAGES {
        File::from(memory.try_clone().unwrap())
            .write_all_at(&page.to_le_bytes(), page * PAGE_SIZE)
            .unwrap();
    }
    // Every second page, in reverse so that nothing merges, then no access, then access again.
    let mut ops: Vec<MapOp> = (0..PAGES)
        .rev()
        .step_by(2)
        .map(|page| MapOp::Map {
            addr: DATA + page * PAGE_SIZE,
            len: PAGE_SIZE,
            prot: Prot::READ | Prot::WRITE,
            file: memory.clone(),
            offset: page * PAGE_SIZE,
            shared: true,
        })
        .collect();
    let all = PAGES * PAGE_SIZE;
    ops.push(MapOp::Protect { addr: DATA, len: all, prot: Prot::empty() });
    let (guest, ended) = toy(move |thread, event| {
        let page = thread.regs.rdi.wrapping_sub(DATA) / PAGE_SIZE;
        match event {
            // The first event: everything is mapped without access.
            Event::Fault { .. } if thread.regs.r14 == 0 => {
                thread.regs.r14 = 1;
                let protect = MapOp::Protect { addr: DATA, len: all, prot: Prot::READ };
                thread.address_space().apply(&[protect]).unwrap();
            }
            Event::Fault { .. } => {
                assert_eq!(page % 2, 0, "page {page}");
                thread.regs.rdi += PAGE_SIZE;
            }
            Event::Syscall { .. } => {
                assert_eq!(page % 2, 1, "page {page}");
                assert_eq!(thread.regs.rbx, page);
                thread.regs.rdi += PAGE_SIZE;
            }
            other => panic!("{other:?}"),
        }
        if page + 1 == PAGES { Next::Exit } else { Next::Resume }
    });
    space.apply(&ops).unwrap();
    let mut reader = thread(&space);
    reader.regs.rdi = DATA;
    PLATFORM.spawn(reader, guest).unwrap();
    ended.recv().unwrap().unwrap();
}

#[test]
fn a_private_mapping_of_a_host_file() {
    let space = space_with(READ_LOOP);
    let file = file(&[9], PAGE_SIZE);
    space
        .apply(&[MapOp::Map {
            addr: DATA,
            len: PAGE_SIZE,
            prot: Prot::READ,
            file,
            offset: 0,
            shared: false,
        }])
        .unwrap();
    let (guest, ended) = toy(|thread, event| {
        assert!(matches!(event, Event::Syscall { .. }));
        if thread.regs.rbx == 9 { Next::Exit } else { Next::Resume }
    });
    PLATFORM.spawn(thread(&space), guest).unwrap();
    ended.recv().unwrap().unwrap();
}

#[test]
fn bad_operations_are_refused() {
    let space = space_with(GETPID_LOOP);
    for (addr, len) in [(0x7fff_fff0_0000, PAGE_SIZE), (TEXT + 1, PAGE_SIZE), (TEXT, 0)] {
        let error = space.apply(&[MapOp::Unmap { addr, len }]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}

#[test]
fn exec_goes_on_in_another_address_space() {
    let calls = AtomicUsize::new(0);
    let sibling_alive = Arc::new(Barrier::new(2));
    // A sibling stays in the first address space, as after vfork.
    let first = space_with(GETPID_LOOP);
    let (sibling, sibling_ended) = {
        let barrier = sibling_alive.clone();
        toy(move |_, event| {
            assert!(matches!(event, Event::Syscall { .. }));
            barrier.wait();
            Next::Exit
        })
    };
    let (guest, ended) = toy(move |thread, event| {
        let Event::Syscall { nr, .. } = event else { panic!("{event:?}") };
        match calls.fetch_add(1, SeqCst) {
            0 => {
                assert_eq!(nr, 39);
                // mov eax, 40; syscall
                let next = space_with(&[0xb8, 40, 0, 0, 0, 0x0f, 0x05]);
                thread.set_address_space(next);
                thread.regs.rip = TEXT;
                Next::Resume
            }
            _ => {
                assert_eq!(nr, 40);
                Next::Exit
            }
        }
    });
    PLATFORM.spawn(thread(&first), sibling).unwrap();
    PLATFORM.spawn(thread(&first), guest).unwrap();
    ended.recv().unwrap().unwrap();
    sibling_alive.wait();
    sibling_ended.recv().unwrap().unwrap();
    // The first address space can be used again.
    let (guest, ended) = toy(|_, _| Next::Exit);
    PLATFORM.spawn(thread(&first), guest).unwrap();
    ended.recv().unwrap().unwrap();
}

#[test]
fn vector_state_is_set_kept_and_inherited() {
    // syscall; paddd xmm0, xmm0; syscall; jmp back
    let code = [0x0f, 0x05, 0x66, 0x0f, 0xfe, 0xc0, 0x0f, 0x05, 0xeb, 0xf8];
    const XMM0: usize = 160;
    let space = space_with(&code);
    let (child, child_ended) = toy(|thread, _| {
        // It doubled what it inherited.
        assert_eq!(thread.xstate().unwrap()[XMM0..XMM0 + 4], [84, 0, 0, 0]);
        Next::Exit
    });
    let calls = AtomicUsize::new(0);
    let (guest, ended) = toy(move |thread, _| match calls.fetch_add(1, SeqCst) {
        0 => {
            let mut image = thread.xstate().unwrap().to_vec();
            assert_eq!(image.len(), platform::vector_size());
            assert_eq!(image[XMM0..XMM0 + 16], [0; 16], "initial");
            assert_eq!(image[24..28], 0x1f80u32.to_le_bytes(), "initial MXCSR");
            image[XMM0] = 21;
            image[512] |= 2; // xstate_bv: SSE
            image[24..28].fill(0xff); // an MXCSR that faults
            image[520..576].fill(0xff); // reserved
            thread.set_xstate(&image).unwrap();
            Next::Resume
        }
        1 => {
            assert_eq!(thread.xstate().unwrap()[XMM0..XMM0 + 4], [42, 0, 0, 0]);
            let copy = thread.fork(Arc::new(Interrupt::default())).unwrap();
            PLATFORM.spawn(copy, child.clone()).unwrap();
            // Changed again after the fork: the child must not see it.
            let image = vec![0; 512];
            thread.set_xstate(&image).unwrap();
            Next::Resume
        }
        _ => {
            assert_eq!(thread.xstate().unwrap()[XMM0..XMM0 + 4], [0; 4]);
            Next::Exit
        }
    });
    PLATFORM.spawn(thread(&space), guest).unwrap();
    ended.recv().unwrap().unwrap();
    child_ended.recv().unwrap().unwrap();
}
