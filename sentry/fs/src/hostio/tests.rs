use super::*;
use abi::file::{OpenFlags, PollEvents};
use rustix::fs::MemfdFlags;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use vfs::OpenFile;
use wait::Waiter;

fn open(fd: impl Into<OwnedFd>) -> Arc<OpenFile> {
    HostFile::new(fd.into()).unwrap().open_file(0, 0)
}

fn host_pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// An unnamed regular file.
fn host_file() -> std::fs::File {
    rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC).unwrap().into()
}

/// Runs `attempt` until it is no longer EAGAIN, as a blocking call does.
fn block<T>(
    file: &OpenFile,
    mask: PollEvents,
    mut attempt: impl FnMut() -> abi::SysResult<T>,
) -> abi::SysResult<T> {
    let waiter = Waiter::new();
    let _registration = file.ops().wait_queue().unwrap().register(mask.bits(), waiter.clone());
    loop {
        match attempt() {
            Err(Errno::EAGAIN) => waiter.wait(None),
            result => return result,
        };
    }
}

#[test]
fn a_pipe_is_waited_for() {
    let (reader, writer) = host_pipe();
    let file = open(reader);
    let mut buf = [0; 16];
    assert_eq!(file.read(&mut buf), Err(Errno::EAGAIN));
    assert_eq!(file.poll(), PollEvents::empty());
    assert_eq!(file.write(b"x"), Err(Errno::EBADF));
    let thread = std::thread::spawn(move || {
        let mut buf = [0; 16];
        let mut received = Vec::new();
        loop {
            match block(&file, PollEvents::IN, || file.read(&mut buf)).unwrap() {
                0 => return received,
                count => received.extend_from_slice(&buf[..count]),
            }
        }
    });
    let mut writer = std::fs::File::from(writer);
    writer.write_all(b"hello ").unwrap();
    writer.write_all(b"world").unwrap();
    drop(writer);
    assert_eq!(thread.join().unwrap(), b"hello world");
}

#[test]
fn writing_stops_before_it_would_block() {
    let (reader, writer) = host_pipe();
    let file = open(writer);
    let data: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
    let written = file.write(&data).unwrap();
    assert!((4096..data.len()).contains(&written));
    assert_eq!(file.write(&data), Err(Errno::EAGAIN));
    assert_eq!(file.poll(), PollEvents::empty());
    let thread = std::thread::spawn(move || {
        let mut received = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut received).unwrap();
        received
    });
    let mut done = written;
    while done < data.len() {
        done += block(&file, PollEvents::OUT, || file.write(&data[done..])).unwrap();
    }
    drop(file);
    assert_eq!(thread.join().unwrap(), data);
}

#[test]
fn a_hang_up_is_seen() {
    let (reader, writer) = host_pipe();
    let input = open(reader.try_clone().unwrap());
    let output = open(writer.try_clone().unwrap());
    drop(writer);
    drop(output);
    assert!(input.poll().contains(PollEvents::HUP));
    assert_eq!(input.read(&mut [0; 1]), Ok(0));
    let (reader, writer) = host_pipe();
    let output = open(writer);
    drop(reader);
    assert!(output.poll().contains(PollEvents::ERR));
    assert_eq!(output.write(b"x"), Err(Errno::EPIPE));
}

#[test]
fn two_files_over_one_description_append_to_each_other() {
    let mut host = host_file();
    host.write_all(b"before ").unwrap();
    let out = open(host.try_clone().unwrap());
    let err = open(host.try_clone().unwrap());
    assert_eq!(out.pos(), 7);
    out.write(b"out ").unwrap();
    err.write(b"err ").unwrap();
    out.write(b"out ").unwrap();
    drop((out, err));
    host.write_all(b"after").unwrap();
    host.rewind().unwrap();
    let mut text = String::new();
    host.read_to_string(&mut text).unwrap();
    assert_eq!(text, "before out err out after");
}

#[test]
fn seeking_and_giving_back() {
    let mut host = host_file();
    host.write_all(b"0123456789").unwrap();
    host.rewind().unwrap();
    let file = open(host.try_clone().unwrap());
    let mut buf = [0; 4];
    assert_eq!(file.read(&mut buf), Ok(4));
    assert_eq!(file.read_at(&mut buf, 8), Ok(2));
    assert_eq!(file.read(&mut buf), Ok(4));
    assert_eq!(&buf, b"4567");
    assert_eq!(file.seek(-2, 2), Ok(8));
    assert_eq!(file.read(&mut buf), Ok(2));
    assert_eq!(file.read(&mut buf), Ok(0));
    // What was read ahead and sought back is there for the next outside.
    assert_eq!(file.seek(6, 0), Ok(6));
    file.ops().flush(&file);
    let mut rest = String::new();
    host.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "6789");
}

#[test]
fn append_is_at_the_end() {
    let mut host = host_file();
    let file = open(host.try_clone().unwrap());
    host.write_all(b"abc").unwrap();
    file.set_flags(OpenFlags::APPEND);
    file.write(b"def").unwrap();
    assert_eq!(file.pos(), 6);
    assert_eq!(file.path().inode().attr().unwrap().size, 6);
}

#[test]
fn attributes_are_the_hosts_but_for_the_owner() {
    let file = HostFile::new(host_file().into()).unwrap().open_file(12, 34);
    let inode = file.path().inode();
    let attr = inode.attr().unwrap();
    assert_eq!((attr.mode & 0o170000, attr.uid, attr.gid), (0o100000, 12, 34));
    let change = vfs::SetAttr { size: Some(99), ..vfs::SetAttr::default() };
    inode.set_attr(&change).unwrap();
    assert_eq!(inode.attr().unwrap().size, 99);
    assert!(file.ops().wait_queue().is_none());
    let (reader, _writer) = host_pipe();
    let file = open(reader);
    let inode = file.path().inode();
    assert!(inode.open(OpenFlags::empty()).is_ok());
    assert_eq!(inode.open(OpenFlags::WRONLY).err(), Some(Errno::EACCES));
}

#[test]
fn directories_are_refused() {
    let dir = std::fs::File::open("/").unwrap();
    assert_eq!(HostFile::new(dir.into()).err(), Some(Errno::EINVAL));
}

#[test]
fn devices_that_cannot_be_waited_for_are_always_ready() {
    let file = open(std::fs::File::open("/dev/null").unwrap());
    assert!(file.ops().wait_queue().is_none());
    assert_eq!(file.read(&mut [0; 8]), Ok(0));
    assert!(Console::new(std::fs::File::open("/dev/null").unwrap().into()).is_err());
}

#[test]
fn a_socket_goes_both_ways() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let file = open(ours);
    assert_eq!(file.write(b"ping"), Ok(4));
    let mut theirs = theirs;
    let mut buf = [0; 4];
    theirs.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
    let thread = std::thread::spawn(move || {
        let mut buf = [0; 4];
        block(&file, PollEvents::IN, || file.read(&mut buf)).map(|count| (count, buf))
    });
    theirs.write_all(b"pong").unwrap();
    assert_eq!(thread.join().unwrap(), Ok((4, *b"pong")));
}
