//! What a hostile gofer can answer: never a panic, and what is understood survives another turn.

#![no_main]

use gofer::protocol::{decode_response, encode_response};

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    if let Ok((id, response)) = decode_response(message)
        && let Ok(again) = encode_response(id, &response)
    {
        assert_eq!(decode_response(&again), Ok((id, response)));
    }
});
