use super::*;

#[test]
fn bytes_without_borders() {
    let (a, b) = pair(SocketKind::Stream);
    assert_eq!(receive(&b, 8), Err(Errno::EAGAIN));
    send(&a, b"one").unwrap();
    send(&a, b"two").unwrap();
    assert_eq!(b.query(0x541b), Ok(6));
    assert_eq!(a.query(0x5411), Ok(6));
    let mut buf = [0; 4];
    let peeked = b.receive(&mut buf, MsgFlags::PEEK).unwrap();
    assert_eq!((peeked.len, &buf), (4, b"onet"));
    assert_eq!(receive(&b, 4).unwrap(), b"onet");
    assert_eq!(receive(&b, 4).unwrap(), b"wo");
    assert_eq!(send(&a, b""), Ok(0));
    assert_eq!(receive(&b, 4), Err(Errno::EAGAIN));
}

#[test]
fn the_end_of_the_peer_is_the_end_of_the_stream() {
    let (a, b) = pair(SocketKind::Stream);
    send(&a, b"bye").unwrap();
    drop(a);
    let hung_up = PollEvents::HUP | PollEvents::RDHUP | READABLE | WRITABLE;
    assert_eq!(b.poll(), hung_up);
    assert_eq!(receive(&b, 8).unwrap(), b"bye");
    assert_eq!(receive(&b, 8).unwrap(), b"");
    assert_eq!(send(&b, b"x"), Err(Errno::EPIPE));
    assert!(b.peer_address().is_ok());
}

#[test]
fn unread_data_makes_it_a_reset() {
    let (a, b) = pair(SocketKind::Stream);
    send(&b, b"never read").unwrap();
    drop(a);
    assert!(b.poll().contains(PollEvents::ERR));
    assert_eq!(get(&b, libc::SO_ERROR), Errno::ECONNRESET.raw());
    assert_eq!(get(&b, libc::SO_ERROR), 0);
    assert_eq!(receive(&b, 8).unwrap(), b"");
    let (a, b) = pair(SocketKind::Stream);
    send(&b, b"never read").unwrap();
    drop(a);
    assert_eq!(receive(&b, 8), Err(Errno::ECONNRESET));
    assert_eq!(receive(&b, 8).unwrap(), b"");
}

#[test]
fn halves_can_be_shut() {
    let (a, b) = pair(SocketKind::Stream);
    send(&a, b"x").unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(send(&a, b"y"), Err(Errno::EPIPE));
    assert_eq!(b.poll(), READABLE | WRITABLE | PollEvents::RDHUP);
    assert_eq!(receive(&b, 8).unwrap(), b"x");
    assert_eq!(receive(&b, 8).unwrap(), b"");
    // The other direction still works.
    send(&b, b"z").unwrap();
    assert_eq!(receive(&a, 8).unwrap(), b"z");
    a.shutdown(Shutdown::Read).unwrap();
    assert_eq!(send(&b, b"z"), Err(Errno::EPIPE));
    assert_eq!(receive(&a, 8).unwrap(), b"");
    assert!(a.poll().contains(PollEvents::HUP) && b.poll().contains(PollEvents::HUP));
}

#[test]
fn what_waits_is_bounded_and_a_writer_is_woken() {
    let (a, b) = pair(SocketKind::Stream);
    set(&a, libc::SO_SNDBUF, 10_000);
    let data = vec![7; 1 << 20];
    let first = send(&a, &data).unwrap();
    assert!((1..=20_000).contains(&first));
    let mut total = first;
    while let Ok(sent) = send(&a, &data[..1000]) {
        total += sent;
    }
    assert!(total < 30_000);
    assert!(!a.poll().contains(PollEvents::OUT));
    let thread = {
        let a = a.clone();
        std::thread::spawn(move || {
            let mut sent = total;
            while sent < 500_000 {
                sent += block(&a, PollEvents::OUT, || send(&a, &data[..10_000])).unwrap();
            }
            a.shutdown(Shutdown::Write).unwrap();
            sent
        })
    };
    let mut received = 0;
    loop {
        match block(&b, PollEvents::IN, || receive(&b, 3000)).unwrap().len() {
            0 => break,
            count => received += count,
        }
    }
    assert_eq!(thread.join().unwrap(), received);
    assert_eq!(a.query(0x5411), Ok(0));
}

#[test]
fn addresses_do_not_belong_here() {
    let (a, _b) = pair(SocketKind::Stream);
    assert_eq!(send_to(&a, b"x", "@y"), Err(Errno::EISCONN));
    let fresh = make(&NetNamespace::new(), SocketKind::Stream);
    assert_eq!(send_to(&fresh, b"x", "@y"), Err(Errno::EOPNOTSUPP));
    assert_eq!(send(&fresh, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(receive(&fresh, 1), Err(Errno::EINVAL));
    assert_eq!(fresh.poll(), WRITABLE | PollEvents::HUP);
    assert_eq!(fresh.peer_address(), Err(Errno::ENOTCONN));
}

#[test]
fn credentials_are_not_mixed() {
    let (a, b) = pair(SocketKind::Stream);
    set(&b, libc::SO_PASSCRED, 1);
    send(&a, b"mine").unwrap();
    let cred = Some(SERVER);
    let message = SendMessage { data: b"yours", cred, ..SendMessage::default() };
    a.send(&client(), message).unwrap();
    let mut buf = [0; 16];
    let first = b.receive(&mut buf, MsgFlags::empty()).unwrap();
    assert_eq!((first.len, first.cred), (4, Some(CLIENT)));
    let second = b.receive(&mut buf, MsgFlags::empty()).unwrap();
    assert_eq!((second.len, second.cred), (5, Some(SERVER)));
    // Who has not asked is not told.
    send(&b, b"x").unwrap();
    assert_eq!(a.receive(&mut buf, MsgFlags::empty()).unwrap().cred, None);
}
