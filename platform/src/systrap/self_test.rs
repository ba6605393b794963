//! Whether the platform works here: what the processor and the host must have, and one guest.

use super::SystrapPlatform;
use super::layout::MAX_FRAME;
use crate::host::memory::memfd;
use crate::{
    Access, Event, Guest, Interrupt, MapOp, Next, PAGE_SIZE, Platform, Prot, Registers,
    ThreadContext,
};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// HWCAP2_FSGSBASE.
const FSGSBASE: u64 = 2;
/// How long the guest may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What can be asked beforehand.
pub(super) fn requirements() -> io::Result<()> {
    let unsupported = |what| Err(io::Error::new(io::ErrorKind::Unsupported, what));
    // SAFETY: a number.
    let hwcap2 = unsafe { libc::getauxval(libc::AT_HWCAP2) };
    if hwcap2 & FSGSBASE == 0 {
        return unsupported(
            "systrap needs the FSGSBASE instructions, which this host does not have",
        );
    }
    // SAFETY: a number.
    let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    if frame.max(crate::vector_size()) > MAX_FRAME {
        return unsupported("systrap: the signal frames of this host are too long");
    }
    Ok(())
}

/// Makes one call, has one fault, and calls again with what it loaded.
const PROGRAM: &[u8] = &[
    0xb8, 0x27, 0, 0, 0, // mov eax, 39
    0x0f, 0x05, // syscall
    0x8b, 0x00, // mov eax, [rax]
    0x0f, 0x05, // syscall
];
const TEXT: u64 = 0x1_0000;
const DATA: u64 = 0x2_0000;
const SECRET: u64 = 0x1234_5678;

struct Tester {
    steps: SyncSender<Result<Event, String>>,
}

impl Guest for Tester {
    fn handle(&self, thread: &mut ThreadContext, event: Event) -> Next {
        let _ = self.steps.send(Ok(event));
        match event {
            Event::Syscall { nr: 39, .. } if thread.regs.rip == TEXT + 7 => {
                thread.regs.rax = DATA;
                Next::Resume
            }
            Event::Fault { addr: DATA, .. } => {
                thread.regs.rax = TEXT + PROGRAM.len() as u64;
                Next::Resume
            }
            _ => Next::Exit,
        }
    }

    fn lost(&self, reason: &str) {
        let _ = self.steps.send(Err(reason.to_owned()));
    }
}

/// Runs the guest.
pub(super) fn run(platform: &SystrapPlatform) -> io::Result<()> {
    let failed = |what: String| io::Error::other(format!("systrap does not work here: {what}"));
    let file = File::from(memfd(c"self-test")?);
    file.set_len(PAGE_SIZE)?;
    file.write_all_at(PROGRAM, 0)?;
    file.write_all_at(&SECRET.to_le_bytes(), PROGRAM.len() as u64)?;
    let space = platform.new_address_space()?;
    space.apply(&[MapOp::Map {
        addr: TEXT,
        len: PAGE_SIZE,
        prot: Prot::READ | Prot::EXEC,
        file: Arc::new(file.into()),
        offset: 0,
        shared: true,
    }])?;
    let regs = Registers { rip: TEXT, ..Default::default() };
    let thread = ThreadContext::new(regs, space, Arc::new(Interrupt::default()));
    // Room for all that can come, so that nobody waits for a test that has failed.
    let (steps, seen) = sync_channel(16);
    platform.spawn(thread, Arc::new(Tester { steps }))?;
    let args = [0; 6];
    let expected = [
        Event::Syscall { nr: 39, args },
        Event::Fault { addr: DATA, access: Access::Read, bus: false },
        Event::Syscall { nr: SECRET, args },
    ];
    for expected in expected {
        match seen.recv_timeout(TIMEOUT) {
            Ok(Ok(event)) if event == expected => {}
            Ok(Ok(event)) => return Err(failed(format!("{event:?} instead of {expected:?}"))),
            Ok(Err(reason)) => return Err(failed(reason)),
            Err(_) => return Err(failed("a guest stopped and did not go on".to_owned())),
        }
    }
    Ok(())
}
