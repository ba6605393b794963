//! The life of one guest thread: a tracer thread of the sentry around a host thread of a stub.

use super::space::{self, PtraceAddressSpace};
use super::stub::USER_CS;
use super::sys::{self, Stop};
use super::tracee::{Tracee, gone};
use crate::stubs::placement::Seat;
use crate::stubs::regs::{sanitise, syscall};
use crate::{Access, AddressSpace, Event, Guest, Next, Registers, ThreadContext, VectorSource};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Stack of a tracer thread: the handlers of the kernel run on it.
const STACK_LEN: usize = 1024 * 1024;

/// SEGV_MAPERR, SEGV_ACCERR, SEGV_PKUERR.
const SEGV_CODES: std::ops::RangeInclusive<i32> = 1..=4;
const BUS_ADRERR: i32 = 2;

thread_local! {
    /// The seat of the guest thread that the calling thread traces.
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

/// Starts the tracer thread of a guest thread.
pub(super) fn spawn(thread: ThreadContext, guest: Arc<dyn Guest>) -> io::Result<()> {
    let tid = space_of(thread.address_space())?.take_thread()?;
    let address_space = thread.address_space().clone();
    let tracer = std::thread::Builder::new().name("tracer".into()).stack_size(STACK_LEN);
    match tracer.spawn(move || trace(thread, &*guest, tid)) {
        Ok(_detached) => Ok(()),
        Err(error) => {
            space_of(&address_space)?.give_back_thread(tid);
            Err(error)
        }
    }
}

fn space_of(space: &Arc<dyn AddressSpace>) -> io::Result<&PtraceAddressSpace> {
    let space = space.as_any().downcast_ref();
    space.ok_or_else(|| io::Error::other("an address space of another platform"))
}

/// The whole life of a tracer thread.
fn trace(mut thread: ThreadContext, guest: &dyn Guest, tid: i32) {
    let outcome = Runner::new(&thread, tid).and_then(|mut runner| {
        let outcome = runner.run(&mut thread, guest);
        thread.interrupt().unbind();
        space::set_current(None);
        SEAT.set(None);
        let Runner { tracee, seat, space, .. } = runner;
        drop(seat);
        // A tracee that has gone is reaped already: its id may be somebody else's by now.
        if !matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            tracee.exit();
        }
        // Only now: the address space may be destroyed when no thread of ours is in it.
        drop(space);
        outcome
    });
    if let Err(error) = outcome {
        guest.lost(&format!("ptrace: {error}"));
    }
}

/// The vector state of a stopped tracee.
struct TraceeVector(Tracee);

impl VectorSource for TraceeVector {
    fn read(&self) -> io::Result<Vec<u8>> {
        sys::get_xstate(self.0.tid)
    }
}

struct Runner {
    tracee: Tracee,
    vector: Arc<dyn VectorSource>,
    /// The address space that the tracee runs in, which lags behind that of the context.
    space: Arc<dyn AddressSpace>,
    /// Which CPU they run on.
    seat: Rc<RefCell<Seat>>,
    /// The registers that the tracee has, unless clobbered.
    loaded: Registers,
    /// An interruption was taken that is still to be reported.
    interrupted: bool,
}

impl Runner {
    fn new(thread: &ThreadContext, tid: i32) -> io::Result<Runner> {
        let space = thread.address_space().clone();
        let owner = space_of(&space)?;
        // Seated first: then it wakes up here when it is interrupted.
        let seat = Seat::take(owner.placement(), owner.pid(), tid);
        let tracee = Tracee::attach(owner.pid(), tid, 0)?;
        let runner = Runner {
            tracee,
            vector: Arc::new(TraceeVector(tracee)),
            seat: Rc::new(RefCell::new(seat)),
            space,
            loaded: Registers::default(),
            interrupted: false,
        };
        runner.start(thread)?;
        Ok(runner)
    }

    /// Makes a newly attached tracee the current one.
    fn start(&self, thread: &ThreadContext) -> io::Result<()> {
        space::set_current(Some(self.tracee));
        SEAT.set(Some(self.seat.clone()));
        let Tracee { pid, tid } = self.tracee;
        thread.interrupt().bind(move || {
            sys::kick(pid, tid);
        });
        space_of(&self.space)?.start(self.tracee)
    }

    /// After `execve`: goes on with a host thread of the new address space, and ends the old one.
    fn follow(&mut self, thread: &ThreadContext) -> io::Result<()> {
        let space = thread.address_space().clone();
        let tid = space_of(&space)?.take_thread()?;
        let owner = space_of(&space)?;
        // The old seat must not outlive its tracee.
        let seat = Seat::take(owner.placement(), owner.pid(), tid);
        drop(self.seat.replace(seat));
        let tracee = Tracee::attach(owner.pid(), tid, 0)?;
        let old = std::mem::replace(&mut self.tracee, tracee);
        self.vector = Arc::new(TraceeVector(tracee));
        thread.interrupt().unbind();
        old.exit();
        self.space = space;
        self.start(thread)
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
        self.load(thread)?;
        loop {
            if !thread.interrupt().enter() {
                return Ok(Event::Interrupted);
            }
            self.seat.borrow_mut().enter_guest();
            let stop =
                sys::resume_emulated(self.tracee.tid).and_then(|()| sys::wait(self.tracee.tid));
            self.seat.borrow().leave_guest();
            let interrupted = thread.interrupt().leave();
            let event = self.decode(thread, stop?)?;
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

    /// Gives the tracee the registers and vector state of the context.
    fn load(&mut self, thread: &mut ThreadContext) -> io::Result<()> {
        if let Some(bytes) = thread.vector_to_load() {
            sys::set_xstate(self.tracee.tid, &bytes?)?;
        }
        thread.vector_loaded(&self.vector);
        sanitise(&mut thread.regs);
        if space::take_clobbered() || thread.regs != self.loaded {
            sys::set_regs(self.tracee.tid, &thread.regs)?;
            self.loaded = thread.regs;
        }
        Ok(())
    }

    /// Reads the registers after a stop, and says what it means. None: nothing for the kernel.
    fn decode(&mut self, thread: &mut ThreadContext, stop: Stop) -> io::Result<Option<Event>> {
        let tid = self.tracee.tid;
        if stop == Stop::Gone {
            return Err(gone());
        }
        let regs = &mut thread.regs;
        sys::get_regs(tid, regs)?;
        self.loaded = *regs;
        match stop {
            Stop::Syscall => {
                regs.rax = regs.orig_rax;
                // `syscall` leaves rip in rcx; if another entry pretends to, so be it: that is
                // between the guest and itself.
                let native = regs.cs == USER_CS && regs.rcx == regs.rip;
                if native || sys::is_native_syscall(tid)? {
                    Ok(Some(syscall(regs)))
                } else {
                    Ok(Some(Event::ForeignSyscall))
                }
            }
            Stop::Signal(signal) => self.decode_signal(regs, signal),
            Stop::Event(_) | Stop::Gone => Ok(None),
        }
    }

    fn decode_signal(&self, regs: &Registers, signal: i32) -> io::Result<Option<Event>> {
        let synchronous =
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
        if !synchronous.contains(&signal) {
            return Ok(None);
        }
        let info = sys::signal_info(self.tracee.tid)?;
        if info.code <= 0 {
            // Sent by a process of the host.
            return Ok(None);
        }
        let (code, addr) = (info.code, info.addr);
        Ok(Some(match signal {
            // The legacy vsyscall page: the host has already returned to the caller.
            libc::SIGSYS => syscall(regs),
            libc::SIGSEGV if SEGV_CODES.contains(&code) => {
                Event::Fault { addr, access: Access::Unknown, bus: false }
            }
            libc::SIGBUS if code == BUS_ADRERR => {
                Event::Fault { addr, access: Access::Unknown, bus: true }
            }
            _ => Event::Exception { signal, code, addr },
        }))
    }
}
