use super::*;

fn mqueues() -> (Mqueues, Credentials) {
    (Mqueues::new(&Budget::new(1 << 20), || 1), Credentials::new(5, 5, &[]))
}

fn request(name: &[u8], flags: OpenFlags) -> OpenRequest<'_> {
    OpenRequest { name, flags, mode: 0o600, attr: None, limit: 819_200 }
}

const CREATE: OpenFlags = OpenFlags::CREAT.union(OpenFlags::RDWR);

fn open(mqueues: &Mqueues, cred: &Credentials) -> Arc<Mqueue> {
    let file = mqueues.open(&request(b"q", CREATE), cred).unwrap();
    file.ops_as::<MqueueFile>().unwrap().queue().clone()
}

#[test]
fn names() {
    let (mqueues, cred) = mqueues();
    let open = |name, flags| mqueues.open(&request(name, flags), &cred).err();
    assert_eq!(open(b"", CREATE), Some(Errno::ENOENT));
    assert_eq!(open(b"a/b", CREATE), Some(Errno::EACCES));
    assert_eq!(open(&[b'x'; 256], CREATE), Some(Errno::ENAMETOOLONG));
    assert_eq!(open(b"q", OpenFlags::RDWR), Some(Errno::ENOENT));
    assert_eq!(open(b"q", CREATE), None);
    assert_eq!(open(b"q", CREATE | OpenFlags::EXCL), Some(Errno::EEXIST));
    let other = Credentials::new(6, 6, &[]);
    let refused = mqueues.open(&request(b"q", OpenFlags::RDWR), &other);
    assert_eq!(refused.err(), Some(Errno::EACCES));
    assert_eq!(mqueues.unlink(b"q", &other), Err(Errno::EPERM));
    assert_eq!(mqueues.unlink(b"q", &cred), Ok(()));
    assert_eq!(mqueues.unlink(b"q", &cred), Err(Errno::ENOENT));
    assert!(mqueues.users.lock().is_empty());
}

#[test]
fn limits() {
    let (mqueues, cred) = mqueues();
    let attr = |maxmsg, msgsize| {
        let attr = Some(MqAttr { maxmsg, msgsize, ..MqAttr::default() });
        let request = OpenRequest { attr, limit: 10_000, ..request(b"q", CREATE) };
        let made = mqueues.open(&request, &cred).err();
        let _ = mqueues.unlink(b"q", &cred);
        made
    };
    assert_eq!(attr(0, 1), Some(Errno::EINVAL));
    assert_eq!(attr(11, 1), Some(Errno::EINVAL));
    assert_eq!(attr(1, 8193), Some(Errno::EINVAL));
    assert_eq!(attr(10, 8192), Some(Errno::EMFILE));
    assert_eq!(attr(10, 100), None);
}

#[test]
fn priorities() {
    let (mqueues, cred) = mqueues();
    let queue = open(&mqueues, &cred);
    for (priority, data) in [(1, b"a"), (5, b"b"), (1, b"c"), (5, b"d")] {
        queue.send(priority, data).unwrap();
    }
    let got: Vec<Message> = std::iter::from_fn(|| queue.try_receive().ok()).collect();
    let bytes: Vec<u8> = got.iter().map(|(_, data)| data[0]).collect();
    assert_eq!(bytes, b"bdac");
    for _ in 0..10 {
        queue.send(0, b"").unwrap();
    }
    assert_eq!(queue.send(0, b"").err(), Some(Errno::EAGAIN));
}

use queue::Message;

#[test]
fn one_notification_and_not_for_those_who_wait() {
    let (mqueues, cred) = mqueues();
    let queue = open(&mqueues, &cred);
    let notification = Notification { pid: 3, notify: Notify::None };
    queue.register(notification).unwrap();
    assert_eq!(queue.register(notification), Err(Errno::EBUSY));
    let Received::Wait(waiting) = queue.receive() else { panic!("there is a message") };
    assert_eq!(queue.send(2, b"x"), Ok(None));
    assert_eq!(waiting.cancel().map(|(priority, _)| priority), Some(2));
    assert_eq!(queue.send(0, b"x"), Ok(Some(notification)));
    assert_eq!(queue.send(0, b"x"), Ok(None));
    queue.register(notification).unwrap();
    queue.unregister(4);
    assert_eq!(queue.register(notification), Err(Errno::EBUSY));
    queue.unregister(3);
    assert_eq!(queue.register(notification), Ok(()));
}
