//! What a call costs. Not a test: `cargo test --release -p platform --test cost -- --ignored --nocapture`

mod common;

use common::*;
use platform::{Event, Next, Platform};
use std::time::Instant;

fn measure(threads: u64, calls: u64) {
    let (guest, ended) = toy(move |thread, event| match event {
        Event::Syscall { .. } => {
            thread.regs.rax = 1;
            thread.regs.r15 += 1;
            if thread.regs.r15 == calls { Next::Exit } else { Next::Resume }
        }
        _ => Next::Resume,
    });
    let start = Instant::now();
    for _ in 0..threads {
        PLATFORM.spawn(thread(&space_with(GETPID_LOOP)), guest.clone()).unwrap();
    }
    for _ in 0..threads {
        ended.recv().unwrap().unwrap();
    }
    let each = start.elapsed().as_nanos() as u64 / (threads * calls);
    println!("{threads} threads: {each} ns a call");
}

#[test]
#[ignore = "a measurement"]
fn calls() {
    for _ in 0..3 {
        measure(1, 50_000);
        measure(2, 50_000);
        measure(4, 25_000);
        measure(16, 5_000);
    }
}
