//! Reads packed weights and runs an encoder with them.
//!
//! The input is a header of 128 bytes, a byte that makes the file too short or too long, and a content that is
//! repeated up to the length of the file.

#![no_main]

use autorag_embedder::fuzzing;
use libfuzzer_sys::fuzz_target;

/// Maximum file length. Larger files test nothing new in the reader.
const MAX_LENGTH: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let _ = fuzzing::run_packed(input);
    let Some((header, [length, content @ ..])) = input.split_at_checked(128) else {
        return;
    };
    let Ok(expected) = fuzzing::packed_length(header) else {
        return;
    };
    if expected > MAX_LENGTH || content.is_empty() {
        return;
    }
    let actual = match length {
        0..=249 => expected,
        250..=252 => expected - usize::from(*length - 249),
        _ => expected + usize::from(*length - 252),
    };
    let mut file = header.to_vec();
    file.extend(content.iter().cycle().take(actual - header.len()));
    match fuzzing::run_packed(&file) {
        Ok(vector) => assert!(actual == expected && !vector.is_empty()),
        Err(error) => assert!(actual != expected, "{error}"),
    }
});
