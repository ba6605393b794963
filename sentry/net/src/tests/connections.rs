use super::*;

#[test]
fn a_conversation() {
    let namespace = NetNamespace::new();
    let listener = listener(&namespace, SocketKind::Stream, "@service", 5);
    assert_eq!(listener.accept().err(), Some(Errno::EAGAIN));
    assert_eq!(listener.poll(), PollEvents::empty());
    assert_eq!(get(&listener, libc::SO_ACCEPTCONN), 1);
    let near = make(&namespace, SocketKind::Stream);
    near.connect(&client(), &addr("@service")).unwrap();
    assert_eq!(near.connect(&client(), &addr("@service")), Err(Errno::EISCONN));
    assert_eq!(listener.poll(), READABLE);
    // Data may come before the connection is accepted.
    send(&near, b"hello").unwrap();
    let far = listener.accept().unwrap();
    assert_eq!(receive(&far, 8).unwrap(), b"hello");
    assert_eq!(peer_cred(&near), SERVER);
    assert_eq!(peer_cred(&far), CLIENT);
    assert_eq!(near.peer_address().unwrap(), addr("@service"));
    assert_eq!(far.local_address().unwrap(), addr("@service"));
    assert_eq!(far.peer_address().unwrap(), addr(""));
    assert_eq!(get(&far, libc::SO_ACCEPTCONN), 0);
    // An accepted socket does not take the name with it.
    drop(far);
    make(&namespace, SocketKind::Stream).connect(&client(), &addr("@service")).unwrap();
}

#[test]
fn refusals() {
    let namespace = NetNamespace::new();
    let near = make(&namespace, SocketKind::Stream);
    let connect = |name| near.connect(&client(), &addr(name)).err();
    assert_eq!(connect("@nobody"), Some(Errno::ECONNREFUSED));
    assert_eq!(connect("/nowhere"), Some(Errno::ENOENT));
    assert_eq!(connect(""), Some(Errno::EINVAL));
    let bound = make(&namespace, SocketKind::Stream);
    bound.bind(&server(), &addr("@deaf")).unwrap();
    assert_eq!(connect("@deaf"), Some(Errno::ECONNREFUSED));
    assert_eq!(near.listen(&client(), 1), Err(Errno::EINVAL));
    assert_eq!(near.accept().err(), Some(Errno::EINVAL));
    let packets = make(&namespace, SocketKind::Datagram);
    assert_eq!(packets.listen(&client(), 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(packets.accept().err(), Some(Errno::EOPNOTSUPP));
}

#[test]
fn the_backlog_is_kept_and_a_client_waits() {
    let namespace = NetNamespace::new();
    let listener = listener(&namespace, SocketKind::SeqPacket, "@busy", 1);
    let clients: Vec<Ref> = (0..3).map(|_| make(&namespace, SocketKind::SeqPacket)).collect();
    clients[0].connect(&client(), &addr("@busy")).unwrap();
    clients[1].connect(&client(), &addr("@busy")).unwrap();
    assert_eq!(clients[2].connect(&client(), &addr("@busy")), Err(Errno::EAGAIN));
    let third = clients[2].clone();
    let thread = std::thread::spawn(move || {
        block(&third, PollEvents::OUT, || third.connect(&client(), &addr("@busy")))
    });
    let accepted: Vec<Ref> =
        (0..3).map(|_| block(&listener, PollEvents::IN, || listener.accept()).unwrap()).collect();
    thread.join().unwrap().unwrap();
    send(&clients[2], b"at last").unwrap();
    assert_eq!(receive(&accepted[2], 16).unwrap(), b"at last");
}

#[test]
fn a_listener_that_goes_resets_those_who_wait() {
    let namespace = NetNamespace::new();
    let listener = listener(&namespace, SocketKind::Stream, "@gone", 1);
    let near = make(&namespace, SocketKind::Stream);
    near.connect(&client(), &addr("@gone")).unwrap();
    drop(listener);
    assert!(near.poll().contains(PollEvents::HUP | PollEvents::ERR));
    assert_eq!(receive(&near, 1), Err(Errno::ECONNRESET));
    let again = make(&namespace, SocketKind::Stream);
    assert_eq!(again.connect(&client(), &addr("@gone")), Err(Errno::ECONNREFUSED));
}

#[test]
fn a_listener_can_be_shut() {
    let namespace = NetNamespace::new();
    let listener = listener(&namespace, SocketKind::Stream, "@shut", 0);
    let near = make(&namespace, SocketKind::Stream);
    near.connect(&client(), &addr("@shut")).unwrap();
    listener.shutdown(Shutdown::Read).unwrap();
    let late = make(&namespace, SocketKind::Stream);
    assert_eq!(late.connect(&client(), &addr("@shut")), Err(Errno::ECONNREFUSED));
    assert!(listener.accept().is_ok());
    assert_eq!(listener.accept().err(), Some(Errno::EINVAL));
}

#[test]
fn names_belong_to_one() {
    let namespace = NetNamespace::new();
    let first = make(&namespace, SocketKind::Stream);
    first.bind(&server(), &addr("@name")).unwrap();
    assert_eq!(first.bind(&server(), &addr("@other")), Err(Errno::EINVAL));
    let second = make(&namespace, SocketKind::Stream);
    assert_eq!(second.bind(&server(), &addr("@name")), Err(Errno::EADDRINUSE));
    // Other types and other namespaces have their own.
    make(&namespace, SocketKind::Datagram).bind(&server(), &addr("@name")).unwrap();
    make(&NetNamespace::new(), SocketKind::Stream).bind(&server(), &addr("@name")).unwrap();
    drop(first);
    second.bind(&server(), &addr("@name")).unwrap();
    let auto = make(&namespace, SocketKind::Stream);
    auto.bind(&server(), &addr("")).unwrap();
    let name = auto.local_address().unwrap();
    assert_eq!((name.len(), name[2]), (8, 0));
    auto.bind(&server(), &addr("")).unwrap();
    assert_eq!(auto.local_address().unwrap(), name);
}

#[test]
fn paths_are_nodes() {
    let paths = Paths::default();
    let caller = Caller { cred: SERVER, paths: &paths };
    let namespace = NetNamespace::new();
    let listener = make(&namespace, SocketKind::Stream);
    listener.bind(&caller, &addr("/run/x\0ignored")).unwrap();
    listener.listen(&caller, 1).unwrap();
    assert_eq!(listener.local_address().unwrap(), addr("/run/x\0"));
    let other = make(&namespace, SocketKind::Stream);
    assert_eq!(other.bind(&caller, &addr("/run/x")), Err(Errno::EADDRINUSE));
    // A node is found from any network namespace.
    let near = make(&NetNamespace::new(), SocketKind::Stream);
    near.connect(&caller, &addr("/run/x")).unwrap();
    let packets = make(&namespace, SocketKind::Datagram);
    assert_eq!(packets.connect(&caller, &addr("/run/x")), Err(Errno::EPROTOTYPE));
    drop(listener);
    assert_eq!(other.connect(&caller, &addr("/run/x")), Err(Errno::ECONNREFUSED));
    paths.0.lock().insert(b"/file".to_vec(), Arc::new(Node(FileType::Regular)));
    assert_eq!(other.connect(&caller, &addr("/file")), Err(Errno::ECONNREFUSED));
}

#[test]
fn options_and_types() {
    let (a, _b) = pair(SocketKind::SeqPacket);
    assert_eq!(get(&a, libc::SO_TYPE), libc::SOCK_SEQPACKET);
    assert_eq!(get(&a, libc::SO_DOMAIN), libc::AF_UNIX);
    assert_eq!(peer_cred(&a), CLIENT);
    assert_eq!(a.get_option(libc::IPPROTO_TCP, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(a.get_option(libc::SOL_SOCKET, 9999), Err(Errno::ENOPROTOOPT));
    let fresh = make(&NetNamespace::new(), SocketKind::Stream);
    assert_eq!(peer_cred(&fresh), PeerCred::NOBODY);
}
