//! The gofer as a process: confined, out of fds, dead.
//!
//! Tests that need a process of their own run this program again, with the name of the one test
//! and [`CHILD`] set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Gofer, READ, ROOT, TempDir, limits, names, node, root, socket_pair, walk};
use gofer::client::Client;
use gofer::protocol::{
    MAX_MESSAGE, OpenFlags, Owner, RenameFlags, Reply, Request, SetAttr, SetTime, WalkStop,
    XattrFlags, decode_response,
};
use gofer::seccomp::{ALLOWED, Condition, REFUSED};
use gofer::server::{Access, Limits, Server};
use gofer::{Errno, protocol::VERSION};
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Resource, Rlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

const CHILD: &str = "GOFER_TEST_CHILD";

/// Runs one test of this program in a process of its own. True in that process.
fn in_child(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test}: {status}");
    false
}

fn install(rules: BTreeMap<i64, Vec<SeccompRule>>, other: SeccompAction, listed: SeccompAction) {
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, other, listed, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// Confines this thread, and those it makes, to the listed calls: any other kills the process.
fn confine() {
    let mut refused: BTreeMap<i32, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
    let mut passed: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for refusal in REFUSED {
        // Needed to install the next filter; then it is missing from the list, and kills.
        if refusal.number != libc::SYS_prctl {
            refused.entry(refusal.errno).or_default().insert(refusal.number, vec![]);
            passed.insert(refusal.number, vec![]);
        }
    }
    for (errno, rules) in refused {
        install(rules, SeccompAction::Allow, SeccompAction::Errno(errno.try_into().unwrap()));
    }
    for rule in ALLOWED {
        let conditions = match rule.condition {
            Condition::Any => vec![],
            Condition::Masked { index, mask, value } => {
                let op = SeccompCmpOp::MaskedEq(mask);
                let condition =
                    SeccompCondition::new(index, SeccompCmpArgLen::Qword, op, value).unwrap();
                vec![SeccompRule::new(vec![condition]).unwrap()]
            }
        };
        passed.insert(rule.number, conditions);
    }
    install(passed, SeccompAction::KillProcess, SeccompAction::Allow);
}

/// All that a gofer can be asked, once.
fn exercise(client: &Client) {
    let none = Owner::default();
    let me = Owner {
        uid: Some(rustix::process::geteuid().as_raw()),
        gid: Some(rustix::process::getegid().as_raw()),
    };
    let dir = client.mkdir(ROOT, b"d", 0o2755, me).unwrap().node;
    let flags = OpenFlags::READ | OpenFlags::WRITE;
    let file = client.create(dir, b"f", 0o4644, me, flags).unwrap().node.node;
    client.symlink(dir, b"l", b"f", me).unwrap();
    client.mknod(dir, b"p", libc::S_IFIFO | 0o600, none).unwrap();
    client.link(file, dir, b"h").unwrap();
    let set = SetAttr {
        mode: Some(0o644),
        owner: me,
        size: Some(100),
        atime: SetTime::Now,
        mtime: SetTime::Omit,
    };
    assert_eq!(client.set_attr(file, set).unwrap().size, 100);
    client.open(file, flags | OpenFlags::TRUNCATE).unwrap();
    assert_eq!(client.read_dir_all(dir).unwrap().len(), 4);
    client.read_link(node(client, "d/l")).unwrap();
    for i in 0..1000 {
        let name = format!("{:0>200}", i);
        client.create(dir, name.as_bytes(), 0o600, none, READ).unwrap();
    }
    assert_eq!(client.read_dir_all(dir).unwrap().len(), 1004);
    let _ = client.set_xattr(file, b"user.a", b"v", XattrFlags::empty());
    let _ = client.get_xattr(file, b"user.a");
    let _ = client.list_xattr(file);
    let _ = client.remove_xattr(file, b"user.a");
    client.stat_fs(file).unwrap();
    client.fsync(dir).unwrap();
    client.rename((dir, b"h"), (ROOT, b"h"), RenameFlags::NOREPLACE).unwrap();
    client.unlink(ROOT, b"h").unwrap();
    assert_eq!(client.rmdir(ROOT, b"d").unwrap_err(), Errno::ENOTEMPTY);
    client.forget(file, 1);
    client.flush_forgotten();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| assert!(client.read_dir_all(dir).is_ok())));
        }
    });
}

#[test]
fn the_listed_calls_are_enough() {
    if !in_child("the_listed_calls_are_enough") {
        return;
    }
    let dir = TempDir::new();
    let (ours, theirs) = socket_pair();
    let roots = vec![root(0, dir.path(), Access::ReadWrite)];
    // Few kept directories and many requests, so that all of the server's machinery is used.
    let limits = Limits { kept_directories: 1, ..limits() };
    let server = Server::new(theirs, roots, limits).unwrap();
    let server = std::thread::spawn(move || {
        confine();
        server.run()
    });
    let client = Client::connect(ours).unwrap();
    exercise(&client);
    drop(client);
    server.join().unwrap().unwrap();
}

fn limit_fds(files: u64) {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(files), maximum };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}

/// The gofer of the next test: serves `$GOFER_TEST_ROOT` on its standard input with few fds.
#[test]
fn serve_on_stdin() {
    let Some(path) = std::env::var_os("GOFER_TEST_ROOT") else { return };
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let roots = vec![root(0, path.as_ref(), Access::ReadOnly)];
    let limits = Limits { kept_directories: 10_000, ..limits() };
    let server = Server::new(socket, roots, limits).unwrap();
    limit_fds(20);
    server.run().unwrap();
}

#[test]
fn kept_directories_make_room_for_others() {
    let dir = TempDir::new();
    for i in 0..200 {
        fs::create_dir_all(dir.path().join(format!("{i}/d"))).unwrap();
        fs::write(dir.path().join(format!("{i}/d/f")), "x").unwrap();
    }
    let (ours, theirs) = socket_pair();
    let mut gofer = Command::new(std::env::current_exe().unwrap())
        .args(["serve_on_stdin", "--exact", "--nocapture"])
        .env("GOFER_TEST_ROOT", dir.path())
        .stdin(theirs)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let client = Client::connect(ours).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..200 {
                    let path = format!("{i}/d/f");
                    let walked = client.walk(ROOT, &names(&path), Some(READ)).unwrap();
                    assert!(walked.file.unwrap().is_ok(), "{i}");
                }
            });
        }
    });
    drop(client);
    assert!(gofer.wait().unwrap().success());
}

#[test]
fn running_out_of_fds_is_an_error_and_passes() {
    if !in_child("running_out_of_fds_is_an_error_and_passes") {
        return;
    }
    let dir = TempDir::new();
    for i in 0..200 {
        fs::create_dir(dir.path().join(i.to_string())).unwrap();
        fs::write(dir.path().join(format!("{i}/f")), "x").unwrap();
    }
    let gofer = Gofer::start(
        vec![root(0, dir.path(), Access::ReadOnly)],
        Limits { kept_directories: 4, ..limits() },
    );
    limit_fds(40);
    // Both sides share this process, and its fds.
    let mut held = Vec::new();
    let errno = loop {
        let walked = gofer.walk(ROOT, &names(&format!("{}/f", held.len())), Some(READ)).unwrap();
        match (walked.stop, walked.file) {
            (_, Some(Ok(file))) => held.push(file),
            (_, Some(Err(errno))) | (WalkStop::Failed(errno), None) => break errno,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(errno, Errno::EMFILE | Errno::ENFILE), "{errno}");
    assert!(!gofer.is_dead());
    held.clear();
    let walked = gofer.walk(ROOT, &names("199/f"), Some(READ)).unwrap();
    assert!(walked.file.unwrap().is_ok());
}

#[test]
fn when_the_gofer_dies_all_calls_fail() {
    let (ours, theirs) = socket_pair();
    // A gofer that greets and then says nothing more.
    let silent = std::thread::spawn(move || {
        let mut buffer = vec![0; MAX_MESSAGE];
        let (length, _) =
            rustix::net::recv(&theirs, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
        let (id, _) = Request::decode(&buffer[..length]).unwrap();
        let hello = gofer::protocol::HelloReply { version: VERSION, roots: vec![] };
        let message = gofer::protocol::encode_response(id, &Ok(Reply::Hello(hello))).unwrap();
        rustix::net::send(&theirs, &message, SendFlags::empty()).unwrap();
        for _ in 0..4 {
            rustix::net::recv(&theirs, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
        }
    });
    let client = Client::connect(ours).unwrap();
    let deaths = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deaths);
    client.on_death(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert!(!client.is_dead());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(client.stat(ROOT), Err(Errno::EIO)));
        }
    });
    silent.join().unwrap();
    assert!(client.is_dead());
    assert_eq!(client.stat(ROOT), Err(Errno::EIO));
    client.forget(ROOT, 1);
    client.flush_forgotten();
    assert_eq!(deaths.load(Ordering::Relaxed), 1);
    let counted = Arc::clone(&deaths);
    client.on_death(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(deaths.load(Ordering::Relaxed), 2);
}

/// Requests pile up while no answer is read, until every thread of the server is stuck in sending;
/// then all answers come.
#[test]
fn stalled_threads_are_relieved_and_nothing_is_lost() {
    let dir = TempDir::new();
    for i in 0..400 {
        fs::write(dir.path().join(format!("{i:0>200}")), "").unwrap();
    }
    let (ours, theirs) = socket_pair();
    let roots = vec![root(0, dir.path(), Access::ReadOnly)];
    let server = Server::new(theirs, roots, limits()).unwrap();
    let server = std::thread::spawn(move || server.run());
    const REQUESTS: u64 = 40;
    for id in 1..=REQUESTS {
        let message = Request::ReadDir { node: ROOT, cookie: 0 }.encode(id).unwrap();
        rustix::net::send(&ours, &message, SendFlags::empty()).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut sum = 0;
    let mut buffer = vec![0; MAX_MESSAGE];
    for _ in 0..REQUESTS {
        let (length, _) =
            rustix::net::recv(&ours, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
        let (id, result) = decode_response(&buffer[..length]).unwrap();
        assert!(matches!(result, Ok(Reply::Listing(_))));
        sum += id;
    }
    assert_eq!(sum, REQUESTS * (REQUESTS + 1) / 2);
    drop(ours);
    server.join().unwrap().unwrap();
}

#[test]
fn a_client_of_another_version_is_refused() {
    let dir = TempDir::new();
    let gofer = Gofer::serve(dir.path(), Access::ReadOnly);
    assert_eq!(walk(&gofer, "x").stop, WalkStop::Missing);
    let (ours, theirs) = socket_pair();
    let server = Server::new(theirs, vec![], limits()).unwrap();
    let server = std::thread::spawn(move || server.run());
    let message = Request::Hello { version: VERSION + 1 }.encode(1).unwrap();
    rustix::net::send(&ours, &message, SendFlags::empty()).unwrap();
    let mut buffer = vec![0; MAX_MESSAGE];
    let (length, _) = rustix::net::recv(&ours, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
    assert_eq!(decode_response(&buffer[..length]), Ok((1, Err(Errno::EPROTO))));
    drop(ours);
    server.join().unwrap().unwrap();
}
