//! A toy kernel for tests: machine code in a memory file, and a closure for each event.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use platform::host::memory::memfd;
use platform::host::seccomp::Rule;
use platform::ptrace::{self, PtracePlatform};
use platform::systrap::{self, SystrapPlatform};
use platform::{
    Access, AddressSpace, Event, Guest, Interrupt, MapOp, Next, PAGE_SIZE, Platform, Prot,
    Registers, ThreadContext,
};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};

/// Where programs lie.
pub const TEXT: u64 = 0x40_0000;
/// Where data lies.
pub const DATA: u64 = 0x80_0000;

/// Whether this test program is for the systrap platform: those that begin with `systrap` are.
/// They run the same tests as the others, which are for ptrace.
pub const SYSTRAP: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), [b's', b'y', b's', ..]);

/// One platform for all tests of a process.
pub static PLATFORM: LazyLock<Box<dyn Platform>> =
    LazyLock::new(|| new_platform().expect("the platform works here"));

/// Another platform.
pub fn new_platform() -> std::io::Result<Box<dyn Platform>> {
    Ok(if SYSTRAP { Box::new(SystrapPlatform::new()?) } else { Box::new(PtracePlatform::new()?) })
}

/// What the platform needs of the host.
pub const HOST_CALLS: &[Rule] = if SYSTRAP { systrap::HOST_CALLS } else { ptrace::HOST_CALLS };

/// The access of a fault, as the platform tells it.
pub fn told(access: Access) -> Access {
    if SYSTRAP { access } else { Access::Unknown }
}

type Handler = Box<dyn Fn(&mut ThreadContext, Event) -> Next + Send + Sync>;

pub struct Toy {
    handler: Handler,
    done: Sender<Result<(), String>>,
}

impl Guest for Toy {
    fn handle(&self, thread: &mut ThreadContext, event: Event) -> Next {
        let next = (self.handler)(thread, event);
        if next == Next::Exit {
            let _ = self.done.send(Ok(()));
        }
        next
    }

    fn lost(&self, reason: &str) {
        let _ = self.done.send(Err(reason.to_owned()));
    }
}

/// A guest, and where its threads' ends are told.
pub fn toy(
    handler: impl Fn(&mut ThreadContext, Event) -> Next + Send + Sync + 'static,
) -> (Arc<Toy>, Receiver<Result<(), String>>) {
    let (done, ended) = channel();
    (Arc::new(Toy { handler: Box::new(handler), done }), ended)
}

/// A memory file that begins with `bytes`.
pub fn file(bytes: &[u8], len: u64) -> Arc<OwnedFd> {
    let file = File::from(memfd(c"guest").unwrap());
    file.set_len(len).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    Arc::new(file.into())
}

pub fn map(addr: u64, len: u64, prot: Prot, file: &Arc<OwnedFd>) -> MapOp {
    MapOp::Map { addr, len, prot, file: file.clone(), offset: 0, shared: true }
}

/// An address space with `code` at TEXT.
pub fn space_with(code: &[u8]) -> Arc<dyn AddressSpace> {
    let space = PLATFORM.new_address_space().unwrap();
    let text = map(TEXT, PAGE_SIZE, Prot::READ | Prot::EXEC, &file(code, PAGE_SIZE));
    space.apply(&[text]).unwrap();
    space
}

/// A thread about to start at TEXT.
pub fn thread(space: &Arc<dyn AddressSpace>) -> ThreadContext {
    let regs = Registers { rip: TEXT, eflags: 0x202, ..Default::default() };
    ThreadContext::new(regs, space.clone(), Arc::new(Interrupt::default()))
}

/// Runs `code` in one thread until the handler ends it.
pub fn run(
    code: &[u8],
    handler: impl Fn(&mut ThreadContext, Event) -> Next + Send + Sync + 'static,
) {
    let (guest, ended) = toy(handler);
    PLATFORM.spawn(thread(&space_with(code)), guest).unwrap();
    ended.recv().unwrap().unwrap();
}

/// `for (;;) getpid();`
pub const GETPID_LOOP: &[u8] = &[
    0xb8, 0x27, 0, 0, 0, // mov eax, 39
    0x0f, 0x05, // syscall
    0xeb, 0xf7, // jmp TEXT
];
/// `for (;;);`
pub const BUSY_LOOP: &[u8] = &[0xeb, 0xfe];
