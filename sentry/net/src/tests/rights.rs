use super::*;
use crate::rights::collect_now;
use std::sync::Weak;

/// The table of what is in flight is one for all: these tests count in it.
static ALONE: Mutex<()> = Mutex::new(());

fn send_files(socket: &Ref, data: &[u8], files: &[&Arc<OpenFile>]) -> SysResult<usize> {
    let rights = Rights::new(files.iter().map(|file| (*file).clone()).collect())?;
    socket.send(&client(), SendMessage { data, rights, ..SendMessage::default() })
}

fn file_pair() -> (Arc<OpenFile>, Arc<OpenFile>) {
    let (a, b) = pair(SocketKind::Stream);
    let open = |socket| SocketFile::open(socket, OpenFlags::empty());
    (open(a), open(b))
}

fn socket_of(file: &OpenFile) -> Ref {
    file.ops_as::<SocketFile>().unwrap().socket().clone()
}

#[test]
fn files_arrive() {
    let _alone = ALONE.lock();
    let (a, b) = pair(SocketKind::Stream);
    let (file, other_end) = file_pair();
    send(&a, b"before").unwrap();
    send_files(&a, b"with", &[&file, &file]).unwrap();
    send(&a, b"after").unwrap();
    let mut buf = [0; 64];
    let peeked = b.receive(&mut buf, MsgFlags::PEEK).unwrap();
    assert_eq!((peeked.len, peeked.rights.len()), (10, 2));
    let received = b.receive(&mut buf, MsgFlags::empty()).unwrap();
    assert_eq!(&buf[..received.len], b"beforewith");
    assert!(received.rights.iter().all(|right| Arc::ptr_eq(right, &file)));
    assert_eq!(receive(&b, 64).unwrap(), b"after");
    drop((peeked, received, file));
    assert_eq!(other_end.read(&mut buf), Ok(0));
}

#[test]
fn files_nobody_receives_are_closed() {
    let _alone = ALONE.lock();
    let (a, b) = pair(SocketKind::Datagram);
    let (file, other_end) = file_pair();
    send_files(&a, b"x", &[&file]).unwrap();
    drop(file);
    assert_eq!(other_end.read(&mut [0; 1]), Err(Errno::EAGAIN));
    drop(b);
    assert_eq!(other_end.read(&mut [0; 1]), Ok(0));
}

#[test]
fn too_many_are_refused() {
    let _alone = ALONE.lock();
    let (a, _b) = pair(SocketKind::Datagram);
    let (file, _other_end) = file_pair();
    assert_eq!(send_files(&a, b"x", &[&file; 254]), Err(Errno::EINVAL));
    let mut queues = Vec::new();
    let full = loop {
        let (a, b) = file_pair();
        match send_files(&socket_of(&a), b"x", &[&file; 253]) {
            Ok(_) => queues.push((a, b)),
            Err(error) => break error,
        }
        assert!(queues.len() < 1000);
    };
    assert_eq!(full, Errno::from_raw(libc::ETOOMANYREFS));
}

/// The socket is gone, whoever held it.
fn assert_closed(file: &Weak<OpenFile>) {
    assert_eq!(file.strong_count(), 0);
}

#[test]
fn sockets_sent_over_each_other_are_collected() {
    let _alone = ALONE.lock();
    let ((to_a, a), (to_b, b)) = (file_pair(), file_pair());
    send_files(&socket_of(&to_a), b"x", &[&b]).unwrap();
    send_files(&socket_of(&to_b), b"x", &[&a]).unwrap();
    let (weak_a, weak_b) = (Arc::downgrade(&a), Arc::downgrade(&b));
    drop((b, to_a, to_b));
    collect_now();
    assert_eq!((weak_a.strong_count(), weak_b.strong_count()), (2, 1));
    drop(a);
    assert_eq!((weak_a.strong_count(), weak_b.strong_count()), (1, 1));
    collect_now();
    assert_closed(&weak_a);
    assert_closed(&weak_b);
}

#[test]
fn what_can_still_be_received_is_kept() {
    let _alone = ALONE.lock();
    let (door, inside) = file_pair();
    let (a, b) = file_pair();
    // b is in its own queue, and reachable through the door.
    send_files(&socket_of(&a), b"x", &[&b]).unwrap();
    send_files(&socket_of(&inside), b"x", &[&b]).unwrap();
    let weak = Arc::downgrade(&b);
    drop((a, b));
    collect_now();
    assert_eq!(weak.strong_count(), 2);
    let received = socket_of(&door).receive(&mut [0; 1], MsgFlags::empty()).unwrap();
    collect_now();
    assert_eq!(weak.strong_count(), 2);
    drop(received);
    collect_now();
    assert_closed(&weak);
}

#[test]
fn lost_sockets_do_not_gather() {
    let _alone = ALONE.lock();
    let mut lost = Vec::new();
    for _ in 0..100 {
        let (a, b) = file_pair();
        send_files(&socket_of(&a), b"x", &[&b]).unwrap();
        lost.push(Arc::downgrade(&b));
    }
    assert!(lost.iter().filter(|file| file.strong_count() != 0).count() <= 40);
}

#[test]
fn a_long_chain_is_closed_without_recursion() {
    let _alone = ALONE.lock();
    let (mut head, _) = file_pair();
    let last = Arc::downgrade(&head);
    for _ in 0..10_000 {
        let (a, b) = file_pair();
        send_files(&socket_of(&a), b"x", &[&head]).unwrap();
        head = b;
    }
    assert_eq!(last.strong_count(), 1);
    drop(head);
    assert_closed(&last);
}

#[test]
fn a_listener_keeps_what_waits_to_be_accepted() {
    let _alone = ALONE.lock();
    let namespace = NetNamespace::new();
    let listener = listener(&namespace, SocketKind::Stream, "@loop", 1);
    let near = make(&namespace, SocketKind::Stream);
    near.connect(&client(), &addr("@loop")).unwrap();
    let listener = SocketFile::open(listener, OpenFlags::empty());
    // The listener is in the queue of a connection that waits for it.
    send_files(&near, b"x", &[&listener]).unwrap();
    let weak = Arc::downgrade(&listener);
    drop(listener);
    collect_now();
    assert_closed(&weak);
    assert!(near.poll().contains(PollEvents::HUP));
    assert!(near.as_any().downcast_ref::<UnixSocket>().is_some());
}
