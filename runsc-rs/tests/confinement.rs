//! The walls, seen from outside, while a guest runs.

#![allow(clippy::unwrap_used)] // tests, helpers of theirs included

mod common;

use common::{Caller, NOBODY, Process, Running, callers, is_root, skip};

const KINDS: [&str; 7] = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"];

/// All that is passed to a confined process: nothing of the caller's.
const ENVIRONMENT: &str = "MALLOC_ARENA_MAX=4\0";

/// What every confined process has in common.
fn is_locked_down(process: &Process) {
    assert_eq!(process.status("NoNewPrivs"), "1");
    assert_eq!(process.status("Seccomp"), "2");
    assert_eq!(process.status("CapInh"), "0000000000000000");
    assert_eq!(process.status("CapAmb"), "0000000000000000");
}

fn has_no_capability(process: &Process) {
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(process.status(set), "0000000000000000", "{set}");
    }
}

/// Are these namespaces, and no others, its own?
fn has_own(process: &Process, own: &[&str]) {
    let myself = Process::myself();
    for kind in KINDS {
        let (Some(theirs), Some(ours)) = (process.namespace(kind), myself.namespace(kind)) else {
            assert!(!is_root());
            return skip("namespaces", "only root may look at those of a process like this");
        };
        assert_eq!(theirs != ours, own.contains(&kind), "{kind} of {}", process.command_line());
    }
}

#[test]
fn the_sentry_has_nothing_left() {
    for caller in callers() {
        let running = Running::start(caller, &[]);
        let sentry = &running.sentry;
        is_locked_down(sentry);
        has_no_capability(sentry);
        assert_eq!(sentry.status("CapBnd"), "0000000000000000");
        has_own(sentry, &KINDS);
        assert!(sentry.status("NSpid").ends_with("\t1"), "it is process 1 of its own");
        if is_root() {
            // Every thread, not only the first.
            for status in sentry.of_threads("status") {
                assert!(status.contains("Seccomp:\t2"), "{status}");
                assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
            }
            // Root's sentry is nobody on the host.
            assert!(sentry.status("Uid").starts_with(&NOBODY.to_string()));
            assert_eq!(sentry.files_in("root"), Vec::<String>::new());
            assert_eq!(sentry.files_in("cwd"), Vec::<String>::new());
            assert_eq!(sentry.environment(), ENVIRONMENT);
            assert!(sentry.mounts().lines().count() == 1, "{}", sentry.mounts());
            for (number, target) in sentry.descriptors() {
                let known = ["/dev/null", "socket:", "pipe:", "anon_inode:", "/memfd:", "/#"];
                let is_known = known.iter().any(|start| target.starts_with(start));
                // What else there is are files that the program has open or mapped, as the gofer
                // handed them over: to read. (Their names are seen from the top of what is shown.)
                assert!(is_known || target.starts_with('/'), "{target}");
                assert!(is_known || sentry.is_open_to_read(&number), "{target}");
            }
        }
    }
}

#[test]
fn the_gofer_has_its_roots() {
    for caller in callers() {
        let running = Running::start(caller, &[]);
        let gofer = &running.gofer;
        is_locked_down(gofer);
        if !is_root() {
            continue;
        }
        assert_eq!(gofer.environment(), ENVIRONMENT);
        if caller == Caller::Myself {
            // CAP_DAC_READ_SEARCH alone: all roots are read-only.
            for set in ["CapEff", "CapPrm", "CapBnd"] {
                assert_eq!(gofer.status(set), "0000000000000004", "{set}");
            }
            has_own(gofer, &["pid", "mnt", "net", "ipc", "uts", "cgroup"]);
            assert_eq!(gofer.files_in("root"), Vec::<String>::new());
        } else {
            has_no_capability(gofer);
            has_own(gofer, &[]);
        }
    }
}

#[test]
fn what_may_be_changed_costs_more_capabilities() {
    if !is_root() {
        return skip("capabilities of root's gofer", "the tests were not started by root");
    }
    let dir = common::shared_dir("rw");
    let running = Running::start(Caller::Myself, &["--rw", dir.to_str().unwrap()]);
    assert_eq!(running.gofer.status("CapEff"), "000000000000001f");
}

#[test]
fn the_stubs_are_locked_down() {
    for caller in callers() {
        let running = Running::start(caller, &[]);
        for stub in running.stubs() {
            is_locked_down(&stub);
            has_no_capability(&stub);
            assert_eq!(stub.namespace("pid").is_some(), running.sentry.namespace("pid").is_some());
        }
    }
}

#[test]
fn a_user_cannot_look_into_processes_of_the_same_number() {
    // Root's sentry has the number of this user, an ordinary user's gofer his own: neither may be
    // looked into for that. (The sentry of an ordinary user may: it is in a namespace that is his.)
    for caller in callers() {
        let running = Running::start(caller, &[]);
        let process = match caller {
            Caller::Myself if is_root() => &running.sentry,
            _ => &running.gofer,
        };
        let environment = format!("/proc/{}/environ", process.pid);
        let (status, _, stderr) = common::finish(common::as_nobody("cat").arg(environment));
        assert_ne!(status, 0);
        assert!(stderr.contains("Permission denied"), "{stderr}");
    }
}
