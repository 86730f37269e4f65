//! Packed weights, then an encoder that runs them.
//!
//! The input is a header of 128 bytes, a byte that says how the length of the file is wrong, and what is repeated up to it.

#![no_main]

use autorag_embedder::fuzzing;
use libfuzzer_sys::fuzz_target;

/// A larger file says no more about the reader.
const LARGEST: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let _ = fuzzing::run_packed(input);
    let Some((header, [length, content @ ..])) = input.split_at_checked(128) else {
        return;
    };
    let Ok(whole) = fuzzing::packed_length(header) else {
        return;
    };
    if whole > LARGEST || content.is_empty() {
        return;
    }
    let of_file = match length {
        0..=249 => whole,
        250..=252 => whole - usize::from(*length - 249),
        _ => whole + usize::from(*length - 252),
    };
    let mut file = header.to_vec();
    file.extend(content.iter().cycle().take(of_file - header.len()));
    match fuzzing::run_packed(&file) {
        Ok(vector) => assert!(of_file == whole && !vector.is_empty()),
        Err(error) => assert!(of_file != whole, "{error}"),
    }
});
