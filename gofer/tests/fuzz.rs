//! Random and mutated messages, for both decoders, a live server and a live client. The same each
//! time; `GOFER_FUZZ_ITERATIONS` makes it longer, and `GOFER_FUZZ_SEED` different. `gofer/fuzz` is
//! for coverage-guided runs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "common/samples.rs"]
mod samples;

use std::fs;
use std::os::unix::fs::symlink;

use common::{Random, TempDir, limits, root, socket_pair};
use gofer::Errno;
use gofer::client::Client;
use gofer::protocol::{
    MAX_MESSAGE, NodeId, Reply, Request, VERSION, decode_response, encode_response,
};
use gofer::server::{Access, Server};
use rustix::net::{RecvFlags, SendFlags};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn iterations() -> u64 {
    setting("GOFER_FUZZ_ITERATIONS", 20_000)
}

fn random() -> Random {
    Random(setting("GOFER_FUZZ_SEED", 1))
}

/// A message like one of the samples, or like none.
fn mutated(random: &mut Random, samples: &[Vec<u8>]) -> Vec<u8> {
    if random.below(20) == 0 {
        let length = random.below(300);
        return (0..length).map(|_| random.next() as u8).collect();
    }
    let mut message = samples[random.below(samples.len())].clone();
    for _ in 0..1 + random.below(4) {
        let at = random.below(message.len());
        match random.below(7) {
            0 => message.truncate(at),
            1 => message.insert(at, random.next() as u8),
            2 if !message.is_empty() => message[at] ^= 1 << random.below(8),
            3 if !message.is_empty() => message[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            4 if !message.is_empty() => message[at] = b"/.\0"[random.below(3)],
            5 if message.len() >= at + 4 => {
                let value = (random.next() as u32) >> random.below(32);
                message[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            _ => {
                let other = &samples[random.below(samples.len())];
                message.truncate(at);
                message.extend_from_slice(&other[random.below(other.len())..]);
            }
        }
    }
    message.truncate(MAX_MESSAGE);
    message
}

fn request_samples() -> Vec<Vec<u8>> {
    samples::requests().iter().map(|request| request.encode(1).unwrap()).collect()
}

fn response_samples() -> Vec<Vec<u8>> {
    let responses = samples::responses();
    responses.iter().map(|response| encode_response(2, response).unwrap()).collect()
}

#[test]
fn decoders_take_anything() {
    let (mut random, requests, responses) = (random(), request_samples(), response_samples());
    let mut valid = [0; 2];
    for _ in 0..iterations() {
        let message = mutated(&mut random, &requests);
        if let Ok((id, request)) = Request::decode(&message) {
            valid[0] += 1;
            // What was understood means one thing only.
            assert_eq!(request.encode(id).unwrap(), message);
        }
        let message = mutated(&mut random, &responses);
        if let Ok((id, response)) = decode_response(&message) {
            valid[1] += 1;
            let again = encode_response(id, &response).unwrap();
            assert_eq!(decode_response(&again), Ok((id, response)));
        }
    }
    assert!(valid[0] > 0 && valid[1] > 0, "mutations are too wild to be of use: {valid:?}");
}

#[test]
fn a_live_server_takes_anything_and_stays_beneath_its_root() {
    let dir = TempDir::new();
    let inside = dir.path().join("root");
    fs::create_dir_all(inside.join("d/a")).unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/f"), "untouched").unwrap();
    fs::write(inside.join("f"), "").unwrap();
    symlink("../outside", inside.join("link")).unwrap();
    let (mut random, samples) = (random(), request_samples());
    let (ours, theirs) = socket_pair();
    let server = Server::new(theirs, vec![root(0, &inside, Access::ReadWrite)], limits()).unwrap();
    let server = std::thread::spawn(move || server.run());
    let mut buffer = vec![0; MAX_MESSAGE];
    for _ in 0..iterations() / 4 {
        let mut message = mutated(&mut random, &samples);
        if message.len() < 8 {
            // Too short to be answered; empty ends the conversation.
            continue;
        }
        message[..8].copy_from_slice(&77u64.to_le_bytes());
        let answered = !matches!(Request::decode(&message), Ok((_, Request::Forget { .. })));
        rustix::net::send(&ours, &message, SendFlags::empty()).unwrap();
        if answered {
            let (length, _) =
                rustix::net::recv(&ours, buffer.as_mut_slice(), RecvFlags::empty()).unwrap();
            let (id, result) = decode_response(&buffer[..length]).unwrap();
            assert_eq!(id, 77);
            if Request::decode(&message).is_err() {
                assert_eq!(result, Err(Errno::EPROTO));
            }
        }
    }
    drop(ours);
    server.join().unwrap().unwrap();
    assert_eq!(fs::read(dir.path().join("outside/f")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 1);
}

/// Whatever a gofer answers, a call of the client returns.
#[test]
fn a_live_client_takes_anything() {
    let (mut random, samples) = (random(), response_samples());
    for _ in 0..iterations() / 20 {
        let (ours, theirs) = socket_pair();
        let message = mutated(&mut random, &samples);
        let gofer = std::thread::spawn(move || {
            let mut buffer = vec![0; MAX_MESSAGE];
            let _ = rustix::net::recv(&theirs, buffer.as_mut_slice(), RecvFlags::empty());
            let hello = gofer::protocol::HelloReply { version: VERSION, roots: vec![] };
            let hello = encode_response(1, &Ok(Reply::Hello(hello))).unwrap();
            rustix::net::send(&theirs, &hello, SendFlags::empty()).unwrap();
            let _ = rustix::net::recv(&theirs, buffer.as_mut_slice(), RecvFlags::empty());
            let _ = rustix::net::send(&theirs, &message, SendFlags::NOSIGNAL);
        });
        let client = Client::connect(ours).unwrap();
        let name: &[&[u8]] = &[b"a"];
        match random.below(4) {
            0 => drop(client.walk(NodeId(1), name, None)),
            1 => drop(client.read_dir_all(NodeId(1))),
            2 => drop(client.stat(NodeId(1))),
            _ => drop(client.open(NodeId(1), gofer::protocol::OpenFlags::READ)),
        }
        drop(client);
        gofer.join().unwrap();
    }
}
