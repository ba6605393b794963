//! The host side: this program started again in namespaces of its own, giving up rights, and
//! running guests after that.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use platform::host::id_map::IdMaps;
use platform::host::process::{Namespaces, SpawnOptions};
use platform::host::rights::{self, Capabilities};
use platform::host::seccomp::{self, Action, Rule};
use platform::host::signal::{self, Exit};
use platform::host::{landlock, mount};
use platform::{Event, Next, PAGE_SIZE, Prot};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

/// Runs the (ignored) test `name` of this program as a child; how it ended, and its output.
fn child(name: &str, namespaces: Namespaces) -> (Exit, String) {
    let (mut output, write) = std::io::pipe().unwrap();
    let error = OwnedFd::from(write.try_clone().unwrap());
    // Where these tests are a module of another program.
    let name = match module_path!().split_once("::") {
        Some((_, module)) => format!("{module}::{name}"),
        None => name.to_owned(),
    };
    let argv = ["child", "--exact", &name, "--ignored", "--nocapture", "--test-threads=1"];
    let mut options = SpawnOptions::this_program(&argv)
        .unwrap()
        .env("ONLY", "this")
        .unwrap()
        .fd(File::open("/dev/null").unwrap().into(), 0)
        .fd(write.into(), 1)
        .fd(error, 2)
        .namespaces(namespaces)
        .die_with_parent();
    if namespaces.contains(Namespaces::USER) {
        options = options.id_maps(IdMaps::for_caller().unwrap());
    }
    let child = options.spawn().unwrap();
    drop(options);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    (signal::wait(&child.pidfd).unwrap(), text)
}

fn passes(name: &str, namespaces: Namespaces) {
    let (exit, output) = child(name, namespaces);
    assert!(exit == Exit::Code(0) && output.contains("1 passed"), "{exit:?}\n{output}");
}

/// Whether user namespaces can be made here.
fn namespaces_allowed() -> bool {
    let argv = ["child", "--list"];
    let options = SpawnOptions::this_program(&argv).unwrap();
    let options = options.id_maps(IdMaps::for_caller().unwrap());
    match options.spawn() {
        Ok(child) => {
            signal::wait(&child.pidfd).unwrap();
            true
        }
        Err(error) => {
            println!("skipped: no user namespaces here: {error}");
            false
        }
    }
}

#[test]
fn a_child_has_only_what_it_is_given() {
    passes("child_looks_around", Namespaces::empty());
}

#[test]
#[ignore = "run by a_child_has_only_what_it_is_given"]
fn child_looks_around() {
    assert_eq!(std::env::vars().collect::<Vec<_>>(), [("ONLY".to_owned(), "this".to_owned())]);
    let mut fds: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    fds.sort();
    // The fourth is that of the listing itself.
    assert_eq!(fds, ["0", "1", "2", "3"]);
}

#[test]
fn a_failing_step_is_named() {
    let options = SpawnOptions::this_program(&["x"]).unwrap();
    let maps = IdMaps { uids: vec![], gids: vec![], deny_setgroups: true };
    let error = options.id_maps(maps).spawn().unwrap_err();
    assert!(error.to_string().contains("starting a process"), "{error}");
}

#[test]
fn a_forbidden_call_kills() {
    let (exit, output) = child("child_makes_a_forbidden_call", Namespaces::empty());
    assert_eq!(exit, Exit::Signal(libc::SIGSYS), "{output}");
}

#[test]
#[ignore = "run by a_forbidden_call_kills"]
fn child_makes_a_forbidden_call() {
    let rules = [HOST_CALLS, &[Rule::any(libc::SYS_write, "output")]].concat();
    seccomp::install(&seccomp::compile(&rules, Action::KillProcess).unwrap()).unwrap();
    let _ = File::open("/");
}

#[test]
fn the_host_calls_are_few() {
    assert!(seccomp::count(HOST_CALLS) <= 28, "{}", seccomp::count(HOST_CALLS));
    assert!(HOST_CALLS.iter().all(|rule| !rule.reason.is_empty()));
}

#[test]
fn guests_run_in_a_confined_process() {
    if namespaces_allowed() {
        passes("child_confines_itself_and_runs_guests", Namespaces::all());
    }
}

#[test]
#[ignore = "run by guests_run_in_a_confined_process"]
fn child_confines_itself_and_runs_guests() {
    let memory = mount::tmpfs(1 << 20).unwrap();
    mount::enter_empty_root().unwrap();
    assert_eq!(std::fs::read_dir("/").unwrap().count(), 0);
    assert!(File::create("/file").is_err());
    rights::keep_capabilities(Capabilities::NONE).unwrap();
    assert_eq!(rights::capabilities().unwrap(), Capabilities::NONE);
    rights::no_new_privs().unwrap();
    rights::not_dumpable().unwrap();
    signal::ignore_child_stops().unwrap();
    let _signals = signal::signalfd_of_all().unwrap();

    let directory = format!("/proc/self/fd/{}", 0);
    assert!(File::open(directory).is_err(), "no /proc");
    // Make the platform, then lock down, then use it.
    let space = space_with(GETPID_LOOP);
    let data = file(&[], PAGE_SIZE);
    drop(memory);
    let extra = [
        Rule::any(libc::SYS_write, "the test's output"),
        Rule::any(libc::SYS_exit_group, "the test's end"),
        Rule::any(libc::SYS_close, "the test's files"),
        Rule::any(
            libc::SYS_fcntl,
            "a debug build looks whether a file is open before it closes it",
        ),
    ];
    let rules = [HOST_CALLS, &extra].concat();
    seccomp::install(&seccomp::compile(&rules, Action::KillProcess).unwrap()).unwrap();
    let (child_guest, child_ended) = toy(|_, event| {
        assert!(matches!(event, Event::Fault { addr: TEXT.., .. }), "{event:?}");
        Next::Exit
    });
    let (guest, ended) = toy(move |thread, event| {
        let data = map(DATA, PAGE_SIZE, Prot::READ, &data);
        thread.address_space().apply(std::slice::from_ref(&data)).unwrap();
        let image = thread.xstate().unwrap().to_vec();
        thread.set_xstate(&image).unwrap();
        match event {
            // fork, as it were.
            Event::Syscall { nr: 39, .. } => {
                let other = PLATFORM.new_address_space().unwrap();
                other.apply(&[data]).unwrap();
                let child = thread.fork_into(other, Default::default()).unwrap();
                PLATFORM.spawn(child, child_guest.clone()).unwrap();
                thread.interrupt().interrupt();
                Next::Resume
            }
            _ => Next::Exit,
        }
    });
    let looping = thread(&space);
    PLATFORM.spawn(looping, guest).unwrap();
    assert_eq!(ended.recv().unwrap(), Ok(()));
    assert_eq!(child_ended.recv().unwrap(), Ok(()));
}

#[test]
fn landlock_confines_where_there_is_one() {
    passes("child_is_confined_by_landlock", Namespaces::empty());
}

#[test]
#[ignore = "run by landlock_confines_where_there_is_one"]
fn child_is_confined_by_landlock() {
    let directory = File::open("/proc").unwrap();
    match landlock::restrict(&[directory.as_fd()], &[]).unwrap() {
        landlock::Enforced::No => println!("skipped: no landlock here"),
        landlock::Enforced::Version(_) => {
            File::open("/proc/self/status").unwrap();
            assert!(File::open("/etc/passwd").is_err());
        }
    }
}

#[test]
fn signals_come_by_descriptor() {
    passes("child_reads_a_signal", Namespaces::empty());
}

#[test]
#[ignore = "run by signals_come_by_descriptor"]
#[allow(unsafe_code)]
fn child_reads_a_signal() {
    let signals = signal::signalfd(&[libc::SIGUSR1]).unwrap();
    assert_eq!(signal::read_signal(&signals).unwrap(), None);
    // SAFETY: a number.
    unsafe { libc::raise(libc::SIGUSR1) };
    let received = signal::read_signal(&signals).unwrap().unwrap();
    assert_eq!((received.signal, received.pid), (libc::SIGUSR1, std::process::id() as i32));
}
