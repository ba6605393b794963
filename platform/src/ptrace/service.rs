//! The service thread: tracer of the launcher and of the first thread of every stub.
//!
//! That first thread (the *broker*) never runs guest code: it stays stopped, makes host threads
//! and changes mappings when asked, and keeps the process in one piece when guest threads come and
//! go. Being traced with PTRACE_O_EXITKILL, it also makes sure that no stub outlives the sentry.
//!
//! The service takes no lock that a requester may hold while it waits.

use super::orders;
use super::stub::ORDERS;
use super::stub_filter::{CLONE_PROCESS, CLONE_THREAD};
use super::tracee::{Tracee, gone};
use super::watch::{self, Watch};
use super::{launcher, sys};
use crate::stubs::placement::Placement;
use crate::{Guest, PAGE_SIZE, Registers};
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// How many stubs wait ready-made. Making one takes some ten host calls across two CPUs; a shell
/// that forks needs one at a time.
const POOL: usize = 2;
/// The service thread needs little.
const STACK_LEN: usize = 256 * 1024;

/// A stub process, with nothing mapped but the stub.
#[derive(Debug)]
pub(super) struct Stub {
    /// Its process id, and the broker's thread id.
    pub(super) pid: i32,
    /// The index of its orders page.
    pub(super) page: u32,
    /// A host thread for the first guest thread, parked.
    pub(super) spare: i32,
}

type Reply<T> = SyncSender<io::Result<T>>;

enum Request {
    NewStub(Reply<Stub>),
    Refill,
    Clone {
        pid: i32,
        reply: Reply<i32>,
    },
    Batch {
        pid: i32,
        count: usize,
        reply: Reply<()>,
    },
    Destroy {
        pid: i32,
        page: u32,
    },
    /// A child has ended: is it one that should not have?
    Check,
    Tell(Arc<dyn Guest>),
}

/// The handle of the service thread. Dropping it ends the thread, the launcher and idle stubs.
pub(super) struct Service {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    pool: Arc<Mutex<VecDeque<Stub>>>,
    orders: Arc<File>,
    placement: Arc<Placement>,
    watch: Option<Watch>,
    /// A guest has been told of to the service thread.
    has_guest: AtomicBool,
    /// The host thread id of the service thread.
    tid: i32,
    /// The CPU it is pinned to.
    cpu: AtomicUsize,
}

impl Service {
    /// Starts the service thread and the launcher.
    pub(super) fn start() -> io::Result<Arc<Service>> {
        let placement = Arc::new(Placement::new());
        let orders = Arc::new(orders::create()?);
        let pool = Arc::new(Mutex::new(VecDeque::new()));
        let child_signals = watch::block_child_signals()?;
        let (requests, inbox) = channel();
        let (ready, started) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("stub-service".into())
            .stack_size(STACK_LEN)
            .spawn({
                let (orders, pool) = (orders.clone(), pool.clone());
                move || match Worker::start(orders, pool) {
                    Ok(mut worker) => {
                        let _ = ready.send(Ok(sys::current_thread()));
                        worker.run(&inbox);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            })?;
        // Made before the wait, so that the thread is joined in any case.
        let mut service = Service {
            requests: Some(requests),
            thread: Some(thread),
            pool,
            orders,
            placement,
            watch: None,
            has_guest: AtomicBool::new(false),
            tid: 0,
            cpu: AtomicUsize::new(usize::MAX),
        };
        service.tid = started.recv().map_err(|_| gone())??;
        let requests = service.requests.clone().ok_or_else(gone)?;
        let check = move || requests.send(Request::Check).is_ok();
        service.watch = Some(Watch::start(child_signals, check)?);
        Ok(Arc::new(service))
    }

    /// Which CPU has how much to do.
    pub(super) fn placement(&self) -> &Arc<Placement> {
        &self.placement
    }

    /// Who is told if a stub is killed while nobody waits for it: some guest of the sandbox, for
    /// they all mean the same kernel.
    pub(super) fn tell(&self, guest: &Arc<dyn Guest>) {
        if !self.has_guest.swap(true, Relaxed) {
            let _ = self.send(Request::Tell(guest.clone()));
        }
    }

    /// The file of orders pages.
    pub(super) fn orders(&self) -> &File {
        &self.orders
    }

    /// A stub, from the pool where there is one.
    pub(super) fn new_stub(&self) -> io::Result<Stub> {
        let ready = self.pool.lock().pop_front();
        match ready {
            Some(stub) => {
                self.post(Request::Refill)?;
                Ok(stub)
            }
            None => self.ask(Request::NewStub),
        }
    }

    /// A new parked thread in a stub, made by its broker.
    pub(super) fn clone_thread(&self, pid: i32) -> io::Result<i32> {
        self.ask(|reply| Request::Clone { pid, reply })
    }

    /// The broker of a stub runs the orders on its orders page.
    pub(super) fn batch(&self, pid: i32, count: usize) -> io::Result<()> {
        self.ask(|reply| Request::Batch { pid, count, reply })
    }

    /// Kills and reaps a stub, later.
    pub(super) fn destroy(&self, pid: i32, page: u32) {
        let _ = self.post(Request::Destroy { pid, page });
    }

    /// Sends a request that nobody waits for: to where it disturbs least.
    fn post(&self, request: Request) -> io::Result<()> {
        self.move_to(self.placement.idlest());
        self.send(request)
    }

    /// Moves the service thread, while it sleeps (or else at once); see `placement` for why.
    fn move_to(&self, cpu: Option<usize>) {
        if let Some(cpu) = cpu
            && self.cpu.swap(cpu, Relaxed) != cpu
        {
            sys::set_affinity(self.tid, cpu);
        }
    }

    fn send(&self, request: Request) -> io::Result<()> {
        self.requests.as_ref().ok_or_else(gone)?.send(request).map_err(|_| gone())
    }

    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> io::Result<T> {
        let (reply, answer) = sync_channel(1);
        // The caller waits: the work is done fastest on the CPU that it leaves.
        self.move_to(sys::current_cpu());
        self.send(request(reply))?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It can ask for something, and would keep the service thread.
        self.watch = None;
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the service thread owns.
struct Worker {
    launcher: Tracee,
    orders: Arc<File>,
    pages: orders::Pages,
    pool: Arc<Mutex<VecDeque<Stub>>>,
    /// The first threads of all stubs.
    brokers: BTreeSet<i32>,
    guest: Option<Arc<dyn Guest>>,
}

impl Worker {
    fn start(orders: Arc<File>, pool: Arc<Mutex<VecDeque<Stub>>>) -> io::Result<Worker> {
        let launcher = launcher::start(&orders)?;
        let pages = orders::Pages::new();
        let brokers = BTreeSet::from([launcher.pid]);
        let mut worker = Worker { launcher, orders, pages, pool, brokers, guest: None };
        // One stub at once: it also shows that stubs can be made here.
        worker.refill(1)?;
        Ok(worker)
    }

    fn run(&mut self, inbox: &Receiver<Request>) {
        while let Ok(request) = inbox.recv() {
            match request {
                Request::NewStub(reply) => {
                    let stub = self.new_stub();
                    let _ = reply.send(stub);
                }
                Request::Refill => {
                    if let Err(error) = self.refill(POOL) {
                        // Whoever needs a stub gets this error when asking for it.
                        tracing::debug!(%error, "cannot make a stub in advance");
                    }
                }
                Request::Clone { pid, reply } => {
                    let _ = reply.send(self.here(pid).clone(CLONE_THREAD));
                }
                Request::Batch { pid, count, reply } => {
                    let _ = reply.send(self.here(pid).batch(count));
                }
                Request::Destroy { pid, page } => self.destroy(pid, page),
                Request::Check => self.check(),
                Request::Tell(guest) => self.guest = Some(guest),
            }
        }
    }

    /// Tells the kernel if a stub is gone that is not to be: it would be stopped here.
    fn check(&mut self) {
        let mut regs = Registers::default();
        let dead = self.brokers.iter().find(|pid| sys::get_regs(**pid, &mut regs).is_err());
        if let (Some(pid), Some(guest)) = (dead, &self.guest) {
            guest.lost(&format!("ptrace: stub process {pid} was killed"));
        }
    }

    /// The first thread of a process, brought to the CPU of this thread.
    fn here(&self, pid: i32) -> Tracee {
        if let Some(cpu) = sys::current_cpu() {
            sys::set_affinity(pid, cpu);
        }
        Tracee { pid, tid: pid }
    }

    fn refill(&mut self, up_to: usize) -> io::Result<()> {
        while self.pool.lock().len() < up_to {
            let stub = self.new_stub()?;
            self.pool.lock().push_back(stub);
        }
        Ok(())
    }

    fn new_stub(&mut self) -> io::Result<Stub> {
        let page = self.pages.take().ok_or_else(|| io::Error::from_raw_os_error(libc::EAGAIN))?;
        match self.launch(page) {
            Ok(stub) => Ok(stub),
            Err(error) => {
                self.pages.give_back(page);
                Err(error)
            }
        }
    }

    fn launch(&mut self, page: u32) -> io::Result<Stub> {
        let pid = self.here(self.launcher.pid).clone(CLONE_PROCESS)?;
        let broker = Tracee { pid, tid: pid };
        let made = broker.wait_for_attach_stop().and_then(|()| {
            let map = [
                ORDERS,
                PAGE_SIZE,
                libc::PROT_READ as u64,
                (libc::MAP_SHARED | libc::MAP_FIXED) as u64,
                self.orders.as_raw_fd() as u64,
                u64::from(page) * PAGE_SIZE,
            ];
            broker.call(libc::SYS_mmap, map)?;
            broker.clone(CLONE_THREAD)
        });
        match made {
            Ok(spare) => {
                self.brokers.insert(pid);
                Ok(Stub { pid, page, spare })
            }
            Err(error) => {
                reap(pid);
                Err(error)
            }
        }
    }

    fn destroy(&mut self, pid: i32, page: u32) {
        self.brokers.remove(&pid);
        reap(pid);
        self.pages.give_back(page);
    }
}

/// Kills a process of ours and waits for its end.
fn reap(pid: i32) {
    sys::kill(pid);
    while let Ok(stop) = sys::wait(pid) {
        if stop == sys::Stop::Gone {
            break;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        for stub in std::mem::take(&mut *self.pool.lock()) {
            reap(stub.pid);
        }
        reap(self.launcher.tid);
    }
}
