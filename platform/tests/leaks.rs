//! What is left behind: nothing. One test alone in its process, since it counts descriptors.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use platform::Next;
use std::time::{Duration, Instant};

fn children() -> Vec<String> {
    let mut children = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        let list = std::fs::read_to_string(path).unwrap_or_default();
        children.extend(list.split_whitespace().map(str::to_owned));
    }
    children
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_thousand_address_spaces() {
    let before = descriptors();
    let platform = new_platform().unwrap();
    // Some all at once, and some that ran.
    let spaces: Vec<_> = (0..200).map(|_| platform.new_address_space().unwrap()).collect();
    drop(spaces);
    for _ in 0..700 {
        platform.new_address_space().unwrap();
    }
    for _ in 0..100 {
        let (guest, ended) = toy(|_, _| Next::Exit);
        let space = platform.new_address_space().unwrap();
        // Nothing is mapped: the first instruction faults.
        platform.spawn(thread(&space), guest).unwrap();
        ended.recv().unwrap().unwrap();
    }
    drop(platform);
    // The last tracer thread may still be at its end, and the platform's service with it.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !children().is_empty() || descriptors() > before {
        let (children, now) = (children(), descriptors());
        assert!(Instant::now() < deadline, "{children:?} left; descriptors: {now}, were {before}");
        std::thread::yield_now();
    }
}
