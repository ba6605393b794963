//! A stub that is killed from outside is noticed.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use platform::{Event, Next};
use std::sync::Mutex;
use std::sync::mpsc::channel;

/// All stub processes of this test process.
fn stubs() -> Vec<i32> {
    let mut stubs = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        let list = std::fs::read_to_string(path).unwrap_or_default();
        stubs.extend(list.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    stubs
}

#[test]
#[allow(unsafe_code)]
fn a_killed_stub_is_lost() {
    let (told, running) = channel();
    let told = Mutex::new(Some(told));
    let (guest, ended) = toy(move |_, event| {
        assert!(matches!(event, Event::Syscall { .. }), "{event:?}");
        if let Some(told) = told.lock().unwrap().take() {
            told.send(()).unwrap();
        }
        Next::Resume
    });
    PLATFORM.spawn(thread(&space_with(GETPID_LOOP)), guest).unwrap();
    running.recv().unwrap();
    let stubs = stubs();
    assert!(!stubs.is_empty());
    for pid in stubs {
        // SAFETY: two numbers.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let reason = ended.recv().unwrap().unwrap_err();
    assert!(reason.contains("killed") || reason.contains("No such process"), "{reason}");
}
