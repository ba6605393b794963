use super::*;
use crate::anon::open_file;
use crate::tty::JobControl;
use abi::file::PollEvents;
use abi::signal::Signal;
use wait::Timers;

/// A kernel that notes what it is told.
#[derive(Default)]
struct Jobs(Mutex<Vec<String>>);

impl JobControl for Arc<Jobs> {
    fn is_controlling(&self) -> bool {
        false
    }

    fn foreground_pgrp(&self) -> i32 {
        0
    }

    fn set_foreground_pgrp(&self, _pgrp: i32) -> SysResult<()> {
        Err(Errno::ENOTTY)
    }

    fn session(&self) -> i32 {
        0
    }

    fn acquire(&self, _readable: bool, _steal: bool) -> SysResult<()> {
        Err(Errno::EPERM)
    }

    fn opened(&self) {
        self.0.lock().push("opened".to_owned());
    }

    fn release(&self) -> SysResult<()> {
        Err(Errno::ENOTTY)
    }

    fn check_access(&self, _signal: Signal) -> SysResult<()> {
        Ok(())
    }

    fn signal_foreground(&self, signal: Signal) {
        self.0.lock().push(format!("signal {}", signal.number()));
    }

    fn hang_up(&self) {
        self.0.lock().push("hung up".to_owned());
    }
}

impl Terminals for Arc<Jobs> {
    fn add(&self, _rdev: u64) -> Arc<dyn JobControl> {
        Arc::new(self.clone())
    }

    fn controlling(&self) -> Option<u64> {
        None
    }

    fn owner(&self) -> (u32, u32) {
        (7, 8)
    }

    fn timers(&self) -> Timers {
        Timers::new()
    }
}

fn devpts() -> (Arc<DevPts>, Arc<Jobs>) {
    let jobs = Arc::new(Jobs::default());
    (DevPts::new(Arc::new(jobs.clone())), jobs)
}

fn open(ops: Arc<dyn FileOps>) -> Arc<OpenFile> {
    open_file("pty", ops, OpenFlags::RDWR)
}

/// A pair, unlocked.
fn pair(devpts: &DevPts, flags: OpenFlags) -> (Arc<OpenFile>, Arc<OpenFile>) {
    let master = devpts.open_master().unwrap();
    let pty = master.pty().clone();
    pty.with(|state, _| state.locked = false);
    let slave = devpts.open_slave(pty.index(), flags | OpenFlags::RDWR).unwrap();
    (open(master), open(slave))
}

fn names(devpts: &DevPts) -> Vec<String> {
    let root = devpts.root();
    let file = open(root.open(OpenFlags::empty()).unwrap());
    let mut names = Vec::new();
    file.read_dir(&mut |entry| {
        names.push(String::from_utf8(entry.name.to_vec()).unwrap());
        true
    })
    .unwrap();
    names
}

#[test]
fn nodes_come_and_go_with_their_masters() {
    let (devpts, _) = devpts();
    let root = devpts.root();
    assert_eq!(names(&devpts), [".", "..", "ptmx"]);
    let first = devpts.open_master().unwrap();
    let second = devpts.open_master().unwrap();
    assert_eq!(names(&devpts), [".", "..", "ptmx", "0", "1"]);
    let attr = root.lookup(b"1").unwrap().attr().unwrap();
    assert_eq!((attr.mode, attr.uid, attr.gid), (0o020_620, 7, 5));
    assert_eq!((attr.rdev, attr.ino), (makedev(136, 1), 4));
    assert_eq!(devpts.open_slave(1, OpenFlags::RDWR).err(), Some(Errno::EIO), "locked");
    drop(first);
    assert_eq!(names(&devpts), [".", "..", "ptmx", "1"]);
    for name in ["0", "01", "+1", "x", ""] {
        assert_eq!(root.lookup(name.as_bytes()).err(), Some(Errno::ENOENT), "{name}");
    }
    assert_eq!(devpts.open_master().unwrap().pty().index(), 0, "free again");
    drop(second);
}

#[test]
fn bytes_go_both_ways() {
    let (devpts, jobs) = devpts();
    let (master, slave) = pair(&devpts, OpenFlags::empty());
    assert_eq!(*jobs.0.lock(), ["opened"]);
    let mut buf = [0; 16];
    assert_eq!(slave.read(&mut buf), Err(Errno::EAGAIN));
    assert_eq!(master.read(&mut buf), Err(Errno::EAGAIN));
    assert_eq!(master.write(b"ab\n"), Ok(3));
    assert_eq!(master.read(&mut buf), Ok(4));
    assert_eq!(&buf[..4], b"ab\r\n");
    assert!(slave.poll().contains(PollEvents::IN | PollEvents::OUT));
    assert_eq!(slave.read(&mut buf), Ok(3));
    assert_eq!(slave.write(b"x"), Ok(1));
    assert_eq!(master.read(&mut buf), Ok(1));
    assert_eq!(master.write(b"\x03"), Ok(1));
    assert_eq!(*jobs.0.lock(), ["opened", "signal 2"]);
}

#[test]
fn nothing_grows_without_end() {
    let (devpts, _) = devpts();
    let (master, slave) = pair(&devpts, OpenFlags::NOCTTY);
    let mut total = 0;
    while let Ok(count) = master.write(&[b'\n'; 1000]) {
        total += count;
    }
    assert_eq!(master.write(b"x"), Err(Errno::EAGAIN));
    assert!(!master.poll().contains(PollEvents::OUT));
    assert!(total < 80_000, "{total}");
    let mut lines = 0;
    let mut buf = [0; 100];
    while slave.poll().contains(PollEvents::IN) && slave.read(&mut buf) == Ok(1) {
        lines += 1;
    }
    assert_eq!(lines, total);
    total = 0;
    while let Ok(count) = master.read(&mut buf) {
        total += count;
    }
    assert!(total <= 70_000, "{total}");
}

#[test]
fn the_master_hangs_up() {
    let (devpts, jobs) = devpts();
    let (master, slave) = pair(&devpts, OpenFlags::NOCTTY);
    let mut buf = [0; 4];
    assert_eq!(slave.read(&mut buf), Err(Errno::EAGAIN));
    drop(master);
    assert_eq!(*jobs.0.lock(), ["hung up"]);
    assert_eq!(slave.read(&mut buf), Err(Errno::EIO), "it was waiting");
    assert_eq!(slave.read(&mut buf), Ok(0));
    assert_eq!(slave.write(b"x"), Err(Errno::EIO));
    assert!(slave.poll().contains(PollEvents::HUP | PollEvents::ERR | PollEvents::IN));
    assert_eq!(devpts.open_slave(0, OpenFlags::RDWR).err(), Some(Errno::EIO));
    assert_eq!(devpts.open_master().unwrap().pty().index(), 1, "0 is still open");
}

#[test]
fn the_terminal_is_closed_and_opened_again() {
    let (devpts, _) = devpts();
    let (master, slave) = pair(&devpts, OpenFlags::NOCTTY);
    slave.write(b"last").unwrap();
    drop(slave);
    assert!(master.poll().contains(PollEvents::HUP));
    let mut buf = [0; 8];
    assert_eq!(master.read(&mut buf), Ok(4));
    assert_eq!(master.read(&mut buf), Err(Errno::EIO));
    let again = open(devpts.open_slave(0, OpenFlags::RDWR | OpenFlags::NOCTTY).unwrap());
    assert!(!master.poll().contains(PollEvents::HUP));
    assert_eq!(master.read(&mut buf), Err(Errno::EAGAIN));
    drop(again);
}
