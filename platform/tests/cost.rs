//! What a call costs. Not a test: `cargo test --release -p platform --test cost -- --ignored --nocapture`

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use platform::{Event, Next};
use std::time::{Duration, Instant};

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
    // As the sentry does.
    platform::host::signal::ignore_child_stops().unwrap();
    for _ in 0..3 {
        measure(1, 50_000);
        measure(2, 50_000);
        measure(4, 25_000);
        measure(16, 5_000);
    }
}

#[test]
#[ignore = "a measurement"]
fn address_spaces() {
    const COUNT: u32 = 1000;
    let mut phases = [Duration::ZERO; 4];
    for _ in 0..COUNT {
        let (guest, ended) = toy(|_, _| Next::Exit);
        let mut last = Instant::now();
        let mut phase = |index: usize| {
            phases[index] += last.elapsed();
            last = Instant::now();
        };
        let space = space_with(GETPID_LOOP);
        phase(0);
        PLATFORM.spawn(thread(&space), guest).unwrap();
        phase(1);
        ended.recv().unwrap().unwrap();
        phase(2);
        drop(space);
        phase(3);
    }
    let [made, spawned, called, dropped] = phases.map(|time| (time / COUNT).as_nanos());
    let all = made + spawned + called + dropped;
    println!(
        "new address space: {all} ns (made: {made}, thread: {spawned}, one call: {called}, \
         dropped: {dropped})"
    );
}

#[test]
#[ignore = "a measurement"]
fn mappings() {
    const COUNT: u64 = 10_000;
    let data = file(&[], platform::PAGE_SIZE);
    let (guest, ended) = toy(move |thread, _| {
        let op = map(DATA, platform::PAGE_SIZE, platform::Prot::READ, &data);
        let start = Instant::now();
        for _ in 0..COUNT {
            thread.address_space().apply(std::slice::from_ref(&op)).unwrap();
        }
        println!(
            "mmap in the guest's own thread: {} ns",
            start.elapsed().as_nanos() as u64 / COUNT
        );
        Next::Exit
    });
    let space = space_with(GETPID_LOOP);
    PLATFORM.spawn(thread(&space), guest).unwrap();
    ended.recv().unwrap().unwrap();
    let data = file(&[], platform::PAGE_SIZE);
    let op = map(DATA, platform::PAGE_SIZE, platform::Prot::READ, &data);
    let start = Instant::now();
    for _ in 0..COUNT {
        space.apply(std::slice::from_ref(&op)).unwrap();
    }
    println!("mmap from elsewhere: {} ns", start.elapsed().as_nanos() as u64 / COUNT);
}
