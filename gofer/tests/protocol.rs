//! Every message survives the way to the other side; nothing cut short or lengthened does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/samples.rs"]
mod samples;

use gofer::protocol::{MAX_MESSAGE, Name, NodeId, Request, decode_response, encode_response};
use gofer::protocol::{WalkFlags, XattrFlags, XattrName};
use samples::{requests, responses};

#[test]
fn requests_round_trip() {
    for (id, request) in (1 << 40..).zip(requests()) {
        let mut message = request.encode(id).unwrap();
        assert_eq!(Request::decode(&message), Ok((id, request.clone())));
        for length in 0..message.len() {
            assert!(Request::decode(&message[..length]).is_err(), "{request:?} cut to {length}");
        }
        message.push(0);
        assert!(Request::decode(&message).is_err(), "{request:?} with a byte more");
    }
}

#[test]
fn responses_round_trip() {
    for (id, response) in (1 << 40..).zip(responses()) {
        let mut message = encode_response(id, &response).unwrap();
        assert_eq!(decode_response(&message), Ok((id, response.clone())));
        for length in (0..message.len()).step_by(1 + message.len() / 300) {
            assert!(decode_response(&message[..length]).is_err(), "{response:?} cut to {length}");
        }
        message.push(0);
        assert!(decode_response(&message).is_err(), "{response:?} with a byte more");
    }
}

#[test]
fn names_are_checked_by_the_decoder_too() {
    let names = vec![Name::new(b"xx").unwrap()];
    let request = Request::Walk { start: NodeId(1), names, flags: WalkFlags::empty(), open: None };
    let message = request.encode(1).unwrap();
    let at = message.len() - 2;
    for bad in [*b"..", *b"a/", *b"/a", *b"a\0"] {
        let mut message = message.clone();
        message[at..].copy_from_slice(&bad);
        assert!(Request::decode(&message).is_err());
    }
}

#[test]
fn the_longest_attribute_fits_and_a_longer_message_does_not() {
    let name = XattrName::new(&[b'n'; 255]).unwrap();
    let flags = XattrFlags::empty();
    let value = vec![0; 65536];
    let request = Request::SetXattr { node: NodeId(1), name, value: &value, flags };
    assert!(request.encode(1).unwrap().len() <= MAX_MESSAGE);
    let value = vec![0; MAX_MESSAGE];
    let request = Request::SetXattr { node: NodeId(1), name, value: &value, flags };
    assert!(request.encode(1).is_err());
}

/// Numbers on the wire are fixed: a change of one is a new version.
#[test]
fn the_encoding_is_what_it_was() {
    let message = Request::Stat { node: NodeId(0x0102) }.encode(3).unwrap();
    assert_eq!(message, [3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    let message = encode_response(3, &Err(gofer::Errno::ENOENT)).unwrap();
    assert_eq!(message, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0]);
}
