use super::*;
use std::thread;
use wait::Waiter;

fn pair(flags: OpenFlags) -> (Arc<OpenFile>, Arc<OpenFile>) {
    open_pair(0, 0, flags).unwrap()
}

fn open_fifo(fifo: &Arc<Fifo>, flags: OpenFlags) -> SysResult<Arc<OpenFile>> {
    let inode = PipeInode::new(fifo.clone(), 0, 0);
    Ok(OpenFile::new(fifo.open(flags)?, inode.path(), flags))
}

fn wait_until(file: &OpenFile, mask: PollEvents, mut done: impl FnMut() -> bool) {
    let waiter = Waiter::new();
    let _registration = file.ops().wait_queue().unwrap().register(mask.bits(), waiter.clone());
    while !done() {
        waiter.wait(None);
    }
}

#[test]
fn bytes_pass_and_ends_count() {
    let (reader, writer) = pair(OpenFlags::empty());
    let mut buf = [0; 8];
    assert_eq!(reader.read(&mut buf), Err(Errno::EAGAIN));
    assert_eq!(writer.write(b"hello"), Ok(5));
    assert_eq!(reader.read(&mut buf), Ok(5));
    assert_eq!(&buf[..5], b"hello");
    assert_eq!(writer.read(&mut buf), Err(Errno::EBADF));
    assert_eq!(reader.write(b"x"), Err(Errno::EBADF));
    drop(writer);
    assert_eq!(reader.read(&mut buf), Ok(0));
    assert_eq!(reader.poll(), PollEvents::HUP);
}

#[test]
fn writing_without_a_reader_is_epipe() {
    let (reader, writer) = pair(OpenFlags::empty());
    drop(reader);
    assert_eq!(writer.write(b"x"), Err(Errno::EPIPE));
    assert_eq!(writer.write(b""), Ok(0));
    assert!(writer.poll().contains(PollEvents::ERR | PollEvents::OUT));
}

#[test]
fn data_outlives_the_writer() {
    let (reader, writer) = pair(OpenFlags::empty());
    writer.write(b"last words").unwrap();
    drop(writer);
    assert_eq!(reader.poll(), READABLE | PollEvents::HUP);
    let mut buf = [0; 4];
    assert_eq!(reader.read(&mut buf), Ok(4));
    assert_eq!(reader.read(&mut [0; 32]), Ok(6));
    assert_eq!(reader.read(&mut buf), Ok(0));
}

#[test]
fn full_means_64_kib_and_a_page_must_be_free() {
    let (reader, writer) = pair(OpenFlags::empty());
    assert_eq!(writer.poll(), WRITABLE);
    assert_eq!(writer.write(&vec![1; 100_000]), Ok(65536));
    assert_eq!(writer.poll(), PollEvents::empty());
    assert_eq!(writer.write(b"x"), Err(Errno::EAGAIN));
    reader.read(&mut [0; 4095]).unwrap();
    assert_eq!(writer.poll(), PollEvents::empty());
    reader.read(&mut [0; 1]).unwrap();
    assert_eq!(writer.poll(), WRITABLE);
    assert_eq!(writer.write(&[2; 4096]), Ok(4096));
}

#[test]
fn packets_with_o_direct() {
    let (reader, writer) = pair(OpenFlags::DIRECT);
    writer.write(b"one").unwrap();
    writer.write(b"two").unwrap();
    let mut buf = [0; 64];
    assert_eq!(reader.read(&mut buf), Ok(3));
    assert_eq!(reader.read(&mut buf[..1]), Ok(1));
    assert_eq!(reader.read(&mut buf), Err(Errno::EAGAIN));
}

#[test]
fn the_size_can_be_set() {
    let (_reader, writer) = pair(OpenFlags::empty());
    let end: &PipeFile = writer.ops_as().unwrap();
    assert_eq!(end.capacity(), 65536);
    assert_eq!(end.set_capacity(5000), Ok(8192));
    assert_eq!(writer.write(&[0; 100_000]), Ok(8192));
    assert_eq!(end.set_capacity(0), Err(Errno::EBUSY));
    assert_eq!(end.set_capacity(PIPE_MAX_SIZE), Ok(PIPE_MAX_SIZE));
    assert_eq!(writer.write(&[0; 100_000]), Ok(100_000));
    assert_eq!(end.set_capacity(PIPE_MAX_SIZE + 1), Err(Errno::EPERM));
    assert_eq!(end.set_capacity(usize::MAX), Err(Errno::EINVAL));
    assert_eq!(end.available(), 108_192);
}

#[test]
fn a_blocked_reader_is_woken() {
    let (reader, writer) = pair(OpenFlags::empty());
    let thread = thread::spawn(move || {
        let mut received = Vec::new();
        let mut buf = [0; 1000];
        loop {
            let mut result = Err(Errno::EAGAIN);
            wait_until(&reader, PollEvents::IN, || {
                result = reader.read(&mut buf);
                result != Err(Errno::EAGAIN)
            });
            match result.unwrap() {
                0 => return received,
                count => received.extend_from_slice(&buf[..count]),
            }
        }
    });
    let data: Vec<u8> = (0..500_000u32).map(|i| i as u8).collect();
    let mut sent = 0;
    while sent < data.len() {
        wait_until(&writer, PollEvents::OUT, || match writer.write(&data[sent..]) {
            Ok(count) => {
                sent += count;
                true
            }
            Err(_) => false,
        });
    }
    drop(writer);
    assert_eq!(thread.join().unwrap(), data);
}

#[test]
fn only_useful_changes_wake() {
    let (reader, writer) = pair(OpenFlags::empty());
    let waiter = Waiter::new();
    let queue = reader.ops().wait_queue().unwrap();
    let _registration = queue.register(PollEvents::IN.bits(), waiter.clone());
    let now = std::time::Instant::now;
    writer.write(b"a").unwrap();
    assert!(waiter.wait(Some(now())));
    writer.write(b"b").unwrap();
    assert!(!waiter.wait(Some(now())));
    // After a poll, an edge-triggered user must hear of each.
    reader.poll();
    writer.write(b"c").unwrap();
    assert!(waiter.wait(Some(now())));
}

#[test]
fn a_pipe_without_a_name_is_opened_again_without_waiting() {
    let pair = new_pair(0, 0).unwrap();
    let again = |flags| {
        let ops = vfs::Inode::open(&*pair.inode, flags).unwrap();
        OpenFile::new(ops, pair.inode.path(), flags)
    };
    let writer = again(OpenFlags::WRONLY);
    writer.write(b"left").unwrap();
    drop((writer, pair.writer));
    let reader = again(OpenFlags::empty());
    assert!(!reader.ops().open_pending());
    let mut buf = [0; 8];
    assert_eq!(reader.read(&mut buf), Ok(4));
    assert_eq!((reader.read(&mut buf), reader.poll()), (Ok(0), PollEvents::HUP));
    drop((reader, pair.reader));
    assert!(!again(OpenFlags::WRONLY | OpenFlags::NONBLOCK).ops().open_pending());
}

#[test]
fn fifo_opens_wait_for_their_partner() {
    let fifo = Fifo::new();
    let nonblock = OpenFlags::NONBLOCK;
    assert_eq!(open_fifo(&fifo, OpenFlags::WRONLY | nonblock).err(), Some(Errno::ENXIO));
    let reader = open_fifo(&fifo, OpenFlags::empty()).unwrap();
    assert!(reader.ops().open_pending());
    // Not hung up on: there has been no writer yet.
    assert_eq!(reader.poll(), PollEvents::empty());
    assert_eq!(reader.read(&mut [0; 1]), Ok(0));
    let thread = {
        let fifo = fifo.clone();
        thread::spawn(move || {
            let writer = open_fifo(&fifo, OpenFlags::WRONLY).unwrap();
            assert!(!writer.ops().open_pending());
            drop(writer);
        })
    };
    wait_until(&reader, PollEvents::IN, || !reader.ops().open_pending());
    thread.join().unwrap();
    // The writer has come and gone: the open is done, and it is a hang-up.
    assert!(!reader.ops().open_pending());
    assert_eq!(reader.poll(), PollEvents::HUP);
}

#[test]
fn fifo_read_write_needs_nobody() {
    let fifo = Fifo::new();
    let both = open_fifo(&fifo, OpenFlags::RDWR).unwrap();
    assert!(!both.ops().open_pending());
    both.write(b"x").unwrap();
    assert_eq!(both.poll(), READABLE | WRITABLE);
    assert_eq!(both.read(&mut [0; 4]), Ok(1));
    // With the last end closed the content is forgotten.
    both.write(b"y").unwrap();
    drop(both);
    let both = open_fifo(&fifo, OpenFlags::RDWR).unwrap();
    assert_eq!(both.read(&mut [0; 4]), Err(Errno::EAGAIN));
}

#[test]
fn a_pipe_shows_itself() {
    let (reader, writer) = pair(OpenFlags::NONBLOCK);
    let attr = reader.path().inode().attr().unwrap();
    assert_eq!(attr.mode, 0o010600);
    assert_eq!(attr, writer.path().inode().attr().unwrap());
    let name = format!("pipe:[{}]", attr.ino);
    assert_eq!(&*reader.path().dentry.name(), name.as_bytes());
    let again = reader.path().inode().open(OpenFlags::WRONLY).unwrap();
    assert!(!again.open_pending());
}
