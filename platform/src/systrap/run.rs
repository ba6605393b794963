//! The life of one guest thread: a thread of the sentry that takes turns with a host thread of a
//! stub.

use super::frame;
use super::layout::*;
use super::process::gone;
use super::shared::{replace_and_wake, store_and_wake, wait_while};
use super::space::SystrapAddressSpace;
use super::thread::HostThread;
use crate::stubs::placement::Seat;
use crate::stubs::regs::sanitise;
use crate::{AddressSpace, Event, Guest, Next, Registers, ThreadContext, VectorSource};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::{Duration, Instant};

/// Stack of such a thread: the handlers of the kernel run on it.
const STACK_LEN: usize = 1024 * 1024;
/// How long the end of a host thread may take.
const ENDING: Duration = Duration::from_secs(1);
/// How long a kicked thread may take to stop before it is kicked again; first, and later.
const FIRST_PATIENCE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(1);
/// What the host says where it does not know better: si_code of an exception.
const SI_KERNEL: i32 = 0x80;

thread_local! {
    /// The seat of the guest thread that the calling thread runs.
    static SEAT: RefCell<Option<Rc<RefCell<Seat>>>> = const { RefCell::new(None) };
}

/// The calling thread is about to block in a handler.
pub(super) fn about_to_block() {
    SEAT.with_borrow(|seat| {
        if let Some(seat) = seat {
            seat.borrow_mut().block();
        }
    });
}

/// Starts the sentry's thread of a guest thread.
pub(super) fn spawn(thread: ThreadContext, guest: Arc<dyn Guest>) -> io::Result<()> {
    let host = Arc::new(space_of(thread.address_space())?.new_thread()?);
    let space = thread.address_space().clone();
    let runner = std::thread::Builder::new().name("guest-thread".into()).stack_size(STACK_LEN);
    let handed_over = host.clone();
    match runner.spawn(move || run(thread, &*guest, handed_over)) {
        Ok(_detached) => Ok(()),
        Err(error) => {
            space_of(&space)?.end_thread(&host);
            Err(error)
        }
    }
}

fn space_of(space: &Arc<dyn AddressSpace>) -> io::Result<&SystrapAddressSpace> {
    let space = space.as_any().downcast_ref();
    space.ok_or_else(|| io::Error::other("an address space of another platform"))
}

/// The whole life of the thread.
fn run(mut thread: ThreadContext, guest: &dyn Guest, host: Arc<HostThread>) {
    let outcome = Runner::new(&thread, host).and_then(|mut runner| {
        let outcome = runner.run(&mut thread, guest);
        runner.detach(&thread);
        SEAT.set(None);
        outcome
    });
    if let Err(error) = outcome {
        guest.lost(&format!("systrap: {error}"));
    }
}

/// The vector state of a stopped thread, in its area.
struct AreaVector {
    host: Arc<HostThread>,
    /// Where.
    offset: AtomicUsize,
}

impl VectorSource for AreaVector {
    fn read(&self) -> io::Result<Vec<u8>> {
        let offset = self.offset.load(Relaxed);
        Ok(self.host.area().read(offset, crate::vector_size()))
    }
}

struct Runner {
    host: Arc<HostThread>,
    vector: Arc<AreaVector>,
    source: Arc<dyn VectorSource>,
    /// The address space that the thread runs in, which lags behind that of the context.
    space: Arc<dyn AddressSpace>,
    /// Which CPU they run on.
    seat: Rc<RefCell<Seat>>,
    /// An interruption was taken that is still to be reported.
    interrupted: bool,
}

impl Runner {
    fn new(thread: &ThreadContext, host: Arc<HostThread>) -> io::Result<Runner> {
        let space = thread.address_space().clone();
        let seat = Seat::take(space_of(&space)?.placement(), host.process().pid, host.tid);
        let vector = vector_of(&host);
        let source: Arc<dyn VectorSource> = vector.clone();
        let seat = Rc::new(RefCell::new(seat));
        let runner = Runner { host, vector, source, space, seat, interrupted: false };
        runner.attach(thread);
        Ok(runner)
    }

    /// Makes the host thread the one to kick.
    fn attach(&self, thread: &ThreadContext) {
        SEAT.set(Some(self.seat.clone()));
        let host = self.host.clone();
        thread.interrupt().bind(move || {
            // Its sentry's thread is to see to it, for hostile guest code can swallow a kick. The
            // flag is where that code cannot reach; the word is for a sentry's thread that has
            // looked at the flag and is about to sleep.
            host.kicked.store(true, SeqCst);
            host.process().kick(host.tid);
            replace_and_wake(host.area().word(STATE), RUN, RUN_KICKED);
        });
    }

    /// Ends the host thread.
    fn detach(&self, thread: &ThreadContext) {
        thread.interrupt().unbind();
        if let Ok(space) = space_of(&self.space) {
            space.end_thread(&self.host);
        }
    }

    /// Goes on with a new host thread of the context's address space, and ends the old one.
    fn follow(&mut self, thread: &ThreadContext) -> io::Result<()> {
        let space = thread.address_space().clone();
        let owner = space_of(&space)?;
        let host = Arc::new(owner.new_thread()?);
        // The old seat must not outlive its thread.
        let seat = Seat::take(owner.placement(), host.process().pid, host.tid);
        drop(self.seat.replace(seat));
        self.detach(thread);
        self.vector = vector_of(&host);
        self.source = self.vector.clone();
        self.host = host;
        self.space = space;
        self.attach(thread);
        Ok(())
    }

    fn run(&mut self, thread: &mut ThreadContext, guest: &dyn Guest) -> io::Result<()> {
        loop {
            let event = self.next_event(thread)?;
            if guest.handle(thread, event) == Next::Exit {
                return Ok(());
            }
        }
    }

    /// Runs guest code until something happens.
    fn next_event(&mut self, thread: &mut ThreadContext) -> io::Result<Event> {
        if !Arc::ptr_eq(&self.space, thread.address_space()) {
            self.follow(thread)?;
        }
        if std::mem::take(&mut self.interrupted) {
            return Ok(Event::Interrupted);
        }
        loop {
            self.load(thread)?;
            self.host.kicked.store(false, SeqCst);
            if !thread.interrupt().enter() {
                return Ok(Event::Interrupted);
            }
            self.seat.borrow_mut().enter_guest();
            let state = self.resume();
            self.seat.borrow().leave_guest();
            let interrupted = thread.interrupt().leave();
            let event = match state {
                // Another value than STOPPED is the guest's doing, and as good.
                Some(1..) => self.decode(&mut thread.regs),
                Some(0) => {
                    // It has ended, by a jump to where it may. A new one takes its place, to be
                    // told of that.
                    self.follow(thread)?;
                    let addr = 0;
                    Some(Event::Exception { signal: libc::SIGSEGV, code: SI_KERNEL, addr })
                }
                None => return Err(gone()),
            };
            match event {
                Some(event) => {
                    self.interrupted = interrupted;
                    return Ok(event);
                }
                None if interrupted => return Ok(Event::Interrupted),
                None => {}
            }
        }
    }

    /// Gives the host thread the registers and vector state of the context.
    fn load(&mut self, thread: &mut ThreadContext) -> io::Result<()> {
        let area = self.host.area();
        let xstate = self.vector.offset.load(Relaxed);
        if let Some(bytes) = thread.vector_to_load() {
            area.write(xstate, &bytes?);
        }
        thread.vector_loaded(&self.source);
        sanitise(&mut thread.regs);
        area.set64(XSTATE, self.host.address() + xstate as u64);
        for (index, value) in words(&thread.regs).into_iter().enumerate() {
            area.set64(REGISTERS + index * 8, value);
        }
        Ok(())
    }

    /// Lets the host thread run, and waits until it has stopped: its state. None: its process is
    /// gone.
    fn resume(&self) -> Option<u32> {
        let word = self.host.area().word(STATE);
        store_and_wake(word, RUN);
        std::sync::atomic::fence(SeqCst);
        let (process, mut patience) = (self.host.process(), FIRST_PATIENCE);
        loop {
            // Its end changes the word after this is set; so it is noticed here or there.
            if !process.is_alive() {
                return None;
            }
            let state = word.load(Acquire);
            match state {
                RUN | RUN_KICKED => {
                    // A kicked one stops at once, unless the guest knows better.
                    let kicked = state == RUN_KICKED || self.host.kicked.load(SeqCst);
                    let now = wait_while(word, state, kicked.then_some(patience));
                    if kicked {
                        patience = (patience * 2).min(PATIENCE);
                        if now == state && !process.kick(self.host.tid) {
                            return process.is_alive().then_some(0);
                        }
                    }
                }
                0 if !self.has_ended() => {}
                state => return process.is_alive().then_some(state),
            }
        }
    }

    /// Whether a host thread whose state word says so has really ended. The host clears the word a
    /// little before; a guest that does it itself has lost its stub.
    fn has_ended(&self) -> bool {
        let (process, word) = (self.host.process(), self.host.area().word(STATE));
        let deadline = Instant::now() + ENDING;
        while process.kick(self.host.tid) {
            if word.load(Acquire) != 0 {
                return false;
            }
            if Instant::now() > deadline {
                process.kill();
            }
            std::thread::yield_now();
        }
        true
    }

    /// What the stop means. None: nothing for the kernel.
    fn decode(&self, regs: &mut Registers) -> Option<Event> {
        let area = self.host.area();
        if area.word(KIND).load(Relaxed) != SIGNAL {
            // A kick came before it ran: nothing has changed.
            return None;
        }
        let mut xstate = self.vector.offset.load(Relaxed);
        let event = frame::decode(area, self.host.address(), regs, &mut xstate);
        self.vector.offset.store(xstate, Relaxed);
        event
    }
}

fn vector_of(host: &Arc<HostThread>) -> Arc<AreaVector> {
    Arc::new(AreaVector { host: host.clone(), offset: AtomicUsize::new(FIRST_XSTATE) })
}

/// The registers that the stub loads, in its order.
fn words(regs: &Registers) -> [u64; 23] {
    [
        regs.r15,
        regs.r14,
        regs.r13,
        regs.r12,
        regs.rbp,
        regs.rbx,
        regs.r11,
        regs.r10,
        regs.r9,
        regs.r8,
        regs.rax,
        regs.rcx,
        regs.rdx,
        regs.rsi,
        regs.rdi,
        regs.orig_rax,
        regs.rip,
        regs.cs,
        regs.eflags,
        regs.rsp,
        regs.ss,
        regs.fs_base,
        regs.gs_base,
    ]
}
