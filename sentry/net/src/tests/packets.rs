use super::*;

fn bound(namespace: &Arc<NetNamespace>, name: &str) -> Ref {
    let socket = make(namespace, SocketKind::Datagram);
    socket.bind(&server(), &addr(name)).unwrap();
    socket
}

#[test]
fn datagrams_have_borders_and_senders() {
    let namespace = NetNamespace::new();
    let receiver = bound(&namespace, "@to");
    let sender = bound(&namespace, "@from");
    assert_eq!(receive(&receiver, 8), Err(Errno::EAGAIN));
    send_to(&sender, b"first", "@to").unwrap();
    send_to(&make(&namespace, SocketKind::Datagram), b"", "@to").unwrap();
    assert_eq!(receiver.query(0x541b), Ok(5));
    let mut buf = [0; 3];
    let peeked = receiver.receive(&mut buf, MsgFlags::PEEK).unwrap();
    assert_eq!((peeked.len, peeked.full_len, peeked.flags), (3, 5, MsgFlags::TRUNC));
    let first = receiver.receive(&mut buf, MsgFlags::empty()).unwrap();
    assert_eq!(first.from, Some(addr("@from")));
    let second = receiver.receive(&mut buf, MsgFlags::empty()).unwrap();
    assert_eq!((second.len, second.full_len, second.from), (0, 0, None));
    assert_eq!(receive(&receiver, 8), Err(Errno::EAGAIN));
}

#[test]
fn datagrams_to_nobody() {
    let namespace = NetNamespace::new();
    let sender = make(&namespace, SocketKind::Datagram);
    assert_eq!(send(&sender, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(send_to(&sender, b"x", "@nobody"), Err(Errno::ECONNREFUSED));
    let receiver = bound(&namespace, "@to");
    sender.connect(&client(), &addr("@to")).unwrap();
    send(&sender, b"x").unwrap();
    drop(receiver);
    assert_eq!(send(&sender, b"x"), Err(Errno::ECONNREFUSED));
    assert_eq!(send(&sender, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(sender.poll(), WRITABLE);
}

#[test]
fn a_connected_datagram_socket_hears_its_peer_only() {
    let namespace = NetNamespace::new();
    let (a, b) = (bound(&namespace, "@a"), bound(&namespace, "@b"));
    a.connect(&client(), &addr("@b")).unwrap();
    send_to(&b, b"yes", "@a").unwrap();
    let stranger = make(&namespace, SocketKind::Datagram);
    assert_eq!(send_to(&stranger, b"no", "@a"), Err(Errno::EPERM));
    assert_eq!(stranger.connect(&client(), &addr("@a")), Err(Errno::EPERM));
    a.connect(&client(), &[0, 0]).unwrap();
    send_to(&stranger, b"now", "@a").unwrap();
    assert_eq!(receive(&a, 8).unwrap(), b"yes");
    assert_eq!(receive(&a, 8).unwrap(), b"now");
}

#[test]
fn datagrams_are_bounded_and_senders_are_woken() {
    let namespace = NetNamespace::new();
    let receiver = bound(&namespace, "@to");
    let sender = make(&namespace, SocketKind::Datagram);
    sender.connect(&client(), &addr("@to")).unwrap();
    assert_eq!(send(&sender, &vec![0; 1 << 20]), Err(Errno::EMSGSIZE));
    let mut sent = 0;
    while send(&sender, b"").is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 512);
    let waiter = Waiter::new();
    let queue = sender.wait_queue();
    let registration = queue.register(PollEvents::OUT.bits(), waiter.clone());
    assert!(!sender.poll().contains(PollEvents::OUT));
    receive(&receiver, 1).unwrap();
    assert!(waiter.wait(Some(std::time::Instant::now())));
    assert!(sender.poll().contains(PollEvents::OUT));
    drop(registration);
    while receive(&receiver, 1).is_ok() {}
    let mut bytes = 0;
    while let Ok(count) = send(&sender, &[0; 5000]) {
        bytes += count;
    }
    assert!((200_000..=220_000).contains(&bytes));
}

#[test]
fn sequenced_packets() {
    let (a, b) = pair(SocketKind::SeqPacket);
    send(&a, b"one").unwrap();
    send_to(&a, b"two", "@ignored").unwrap();
    assert_eq!(receive(&b, 2).unwrap(), b"on");
    assert_eq!(receive(&b, 8).unwrap(), b"two");
    drop(a);
    assert_eq!(receive(&b, 8).unwrap(), b"");
    assert_eq!(send(&b, b"x"), Err(Errno::EPIPE));
    let fresh = make(&NetNamespace::new(), SocketKind::SeqPacket);
    assert_eq!(receive(&fresh, 1), Err(Errno::ENOTCONN));
    assert_eq!(send(&fresh, b"x"), Err(Errno::ENOTCONN));
}

#[test]
fn credentials_come_with_a_name() {
    let namespace = NetNamespace::new();
    let receiver = bound(&namespace, "@to");
    set(&receiver, libc::SO_PASSCRED, 1);
    let sender = make(&namespace, SocketKind::Datagram);
    set(&sender, libc::SO_PASSCRED, 1);
    send_to(&sender, b"x", "@to").unwrap();
    let received = receiver.receive(&mut [0; 1], MsgFlags::empty()).unwrap();
    assert_eq!(received.cred, Some(CLIENT));
    assert_eq!(received.from, Some(sender.local_address().unwrap()));
    assert_eq!(received.from.map(|from| from.len()), Some(8));
}
