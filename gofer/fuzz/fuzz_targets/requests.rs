//! What a hostile sentry can send: never a panic, and what is understood means one thing only.

#![no_main]

use gofer::protocol::Request;

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    if let Ok((id, request)) = Request::decode(message) {
        assert_eq!(request.encode(id).as_deref(), Ok(message));
    }
});
