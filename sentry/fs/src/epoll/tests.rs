use super::*;
use crate::anon;
use crate::dev::open_device;
use crate::eventfd::EventFd;
use crate::pipe;
use abi::file::{FileType, OpenFlags};
use abi::stat::makedev;
use std::time::Instant;
use wait::Waiter;

const IN: u32 = PollEvents::IN.bits();
const OUT: u32 = PollEvents::OUT.bits();

fn open(epoll: &Arc<Epoll>) -> Arc<OpenFile> {
    anon::open_file("eventpoll", epoll.clone(), OpenFlags::RDWR)
}

fn event_file(initial: u32) -> (Arc<EventFd>, Arc<OpenFile>) {
    let event = EventFd::new(initial, false);
    (event.clone(), anon::open_file("eventfd", event, OpenFlags::RDWR))
}

fn ev(events: u32, data: u64) -> EpollEvent {
    EpollEvent { events, data }
}

fn add(epoll: &Epoll, fd: i32, file: &Arc<OpenFile>, events: u32) -> SysResult<()> {
    epoll.ctl(EPOLL_CTL_ADD, fd, file, ev(events, fd as u64))
}

fn modify(epoll: &Epoll, fd: i32, file: &Arc<OpenFile>, events: u32) -> SysResult<()> {
    epoll.ctl(EPOLL_CTL_MOD, fd, file, ev(events, fd as u64))
}

fn remove(epoll: &Epoll, fd: i32, file: &Arc<OpenFile>) -> SysResult<()> {
    epoll.ctl(EPOLL_CTL_DEL, fd, file, ev(0, 0))
}

#[test]
fn level_triggered_repeats_until_it_is_over() {
    let epoll = Epoll::new();
    let (event, file) = event_file(0);
    add(&epoll, 5, &file, IN).unwrap();
    assert_eq!(epoll.collect(8), []);
    event.add(1).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
    event.take().unwrap();
    assert_eq!(epoll.collect(8), []);
}

#[test]
fn edge_triggered_reports_each_write_once() {
    let epoll = Epoll::new();
    let (event, file) = event_file(1);
    add(&epoll, 5, &file, IN | EPOLLET).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
    assert_eq!(epoll.collect(8), []);
    event.add(1).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
    assert_eq!(epoll.collect(8), []);
    // A change of interest looks again.
    modify(&epoll, 5, &file, IN | EPOLLET).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
}

#[test]
fn oneshot_is_disabled_until_changed() {
    let epoll = Epoll::new();
    let (event, file) = event_file(1);
    add(&epoll, 5, &file, IN | EPOLLONESHOT).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
    event.add(1).unwrap();
    assert_eq!(epoll.collect(8), []);
    modify(&epoll, 5, &file, IN | EPOLLONESHOT).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
}

#[test]
fn errors_of_ctl() {
    let epoll = Epoll::new();
    let (_event, file) = event_file(0);
    assert_eq!(modify(&epoll, 5, &file, IN), Err(Errno::ENOENT));
    assert_eq!(remove(&epoll, 5, &file), Err(Errno::ENOENT));
    add(&epoll, 5, &file, IN).unwrap();
    assert_eq!(add(&epoll, 5, &file, OUT), Err(Errno::EEXIST));
    // Another number for the same description is another item.
    add(&epoll, 6, &file, OUT).unwrap();
    assert_eq!(epoll.ctl(9, 5, &file, ev(IN, 0)), Err(Errno::EINVAL));
    let null = open_device(makedev(1, 3), FileType::CharDevice, OpenFlags::RDWR).unwrap();
    let null = anon::open_file("null", null, OpenFlags::RDWR);
    assert_eq!(add(&epoll, 7, &null, IN), Err(Errno::EPERM));
    assert_eq!(add(&epoll, 8, &open(&epoll), IN), Err(Errno::EINVAL));
    remove(&epoll, 5, &file).unwrap();
    assert_eq!(epoll.items(), [(6, ev(OUT, 6))]);
}

#[test]
fn exclusive_has_its_rules() {
    let epoll = Epoll::new();
    let (event, file) = event_file(0);
    assert_eq!(add(&epoll, 5, &file, IN | EPOLLEXCLUSIVE | EPOLLONESHOT), Err(Errno::EINVAL));
    assert_eq!(add(&epoll, 6, &open(&Epoll::new()), IN | EPOLLEXCLUSIVE), Err(Errno::EINVAL));
    add(&epoll, 5, &file, IN | EPOLLEXCLUSIVE | EPOLLET).unwrap();
    assert_eq!(modify(&epoll, 5, &file, IN), Err(Errno::EINVAL));
    event.add(1).unwrap();
    assert_eq!(epoll.collect(8), [ev(IN, 5)]);
}

#[test]
fn few_at_a_time_is_fair() {
    let epoll = Epoll::new();
    let files: Vec<_> = (0..4).map(|_| event_file(1).1).collect();
    for (fd, file) in files.iter().enumerate() {
        add(&epoll, fd as i32, file, IN).unwrap();
    }
    let mut seen: Vec<u64> = Vec::new();
    for _ in 0..4 {
        seen.extend(epoll.collect(2).iter().map(|e| e.data));
    }
    assert_eq!(seen, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn a_closed_file_leaves() {
    let epoll = Epoll::new();
    let (_event, file) = event_file(1);
    add(&epoll, 5, &file, IN).unwrap();
    let duplicate = file.clone();
    drop(file);
    assert_eq!(epoll.collect(8).len(), 1);
    drop(duplicate);
    assert_eq!(epoll.collect(8), []);
    assert_eq!(epoll.0.items.lock().map.len(), 0);
    // Without anybody collecting, they do not gather either.
    for _ in 0..1000 {
        let (_event, file) = event_file(1);
        add(&epoll, 5, &file, IN).unwrap();
    }
    assert!(epoll.0.items.lock().map.len() <= 16);
    assert!(epoll.0.ready.lock().list.len() <= 16);
}

#[test]
fn hang_ups_are_always_reported() {
    let epoll = Epoll::new();
    let (reader, writer) = pipe::open_pair(0, 0, OpenFlags::empty()).unwrap();
    add(&epoll, 3, &reader, 0).unwrap();
    add(&epoll, 4, &writer, OUT | EPOLLET).unwrap();
    assert_eq!(epoll.collect(8), [ev(OUT, 4)]);
    drop(writer);
    assert_eq!(epoll.collect(8), [ev(PollEvents::HUP.bits(), 3)]);
}

#[test]
fn nested_instances() {
    let (inner, outer) = (Epoll::new(), Epoll::new());
    let (inner_file, outer_file) = (open(&inner), open(&outer));
    let (event, file) = event_file(0);
    add(&outer, 1, &inner_file, IN).unwrap();
    add(&inner, 2, &file, IN).unwrap();
    assert_eq!(outer.collect(8), []);
    let waiter = Waiter::new();
    let _registration = outer.0.queue.register(IN, waiter.clone());
    event.add(1).unwrap();
    assert!(waiter.wait(Some(Instant::now())));
    assert_eq!(outer_file.poll(), PollEvents::IN | PollEvents::RDNORM);
    assert_eq!(outer.collect(8), [ev(IN, 1)]);
    assert_eq!(inner.collect(8), [ev(IN, 2)]);
    event.take().unwrap();
    assert_eq!(outer.collect(8), []);
    assert_eq!(outer_file.poll(), PollEvents::empty());
    assert_eq!(add(&inner, 3, &outer_file, IN), Err(Errno::ELOOP));
}

#[test]
fn chains_have_an_end() {
    let epolls: Vec<_> = (0..6).map(|_| Epoll::new()).collect();
    let files: Vec<_> = epolls.iter().map(open).collect();
    // Five in a row, joined in the middle last.
    for at in [0, 1, 3, 2] {
        add(&epolls[at], 0, &files[at + 1], IN).unwrap();
    }
    assert_eq!(add(&epolls[4], 0, &files[5], IN), Err(Errno::ELOOP));
    assert_eq!(add(&epolls[5], 0, &files[0], IN), Err(Errno::ELOOP));
    remove(&epolls[0], 0, &files[1]).unwrap();
    add(&epolls[4], 0, &files[5], IN).unwrap();
    assert_eq!(add(&epolls[5], 0, &files[1], IN), Err(Errno::ELOOP));
}

#[test]
fn nothing_is_kept_alive() {
    let epoll = Epoll::new();
    let instance = Arc::downgrade(&epoll.0);
    let (event, file) = event_file(1);
    add(&epoll, 5, &file, IN).unwrap();
    let item = Arc::downgrade(epoll.0.items.lock().map.values().next().unwrap());
    drop(epoll);
    assert!(instance.upgrade().is_none() && item.upgrade().is_none());
    assert!(!event.wait_queue().unwrap().has_waiters());
}

#[test]
fn a_waiting_thread_is_woken() {
    let epoll = Epoll::new();
    let (event, file) = event_file(0);
    add(&epoll, 5, &file, IN | EPOLLET).unwrap();
    let thread = {
        let epoll = epoll.clone();
        std::thread::spawn(move || {
            let waiter = Waiter::new();
            let _registration = epoll.0.queue.register(IN, waiter.clone());
            let mut edges = 0;
            while edges == 0 {
                edges += epoll.collect(8).len();
                if edges == 0 {
                    waiter.wait(None);
                }
            }
        })
    };
    event.add(1).unwrap();
    thread.join().unwrap();
}
