//! A model's directory with damaged settings and damaged weights.
//!
//! The input is parts with a byte 0xff between them, which no JSON has: the header of the weights, `config.json`, `modules.json`,
//! `1_Pooling/config.json`, and damage to the file of weights, six bytes each: how far from its end or its start, and the new byte.
//! What is missing is not written.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use autorag_embedder::{DirectoryOptions, EmbedError, Embedder};
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
const VOCABULARY: &str = "[CLS]\n[SEP]\n[UNK]\na\n##b\n";
/// More than the tensors of the seed need: a header may well ask for less.
const LARGEST_DATA: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(5, |byte| *byte == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let header = part();
    let path = |name: &str| -> PathBuf { DIR.path().join(name) };
    fs::create_dir_all(path("1_Pooling")).unwrap();
    fs::write(path("vocab.txt"), VOCABULARY).unwrap();
    for name in ["config.json", "modules.json", "1_Pooling/config.json"] {
        match part() {
            [] => drop(fs::remove_file(path(name))),
            bytes => fs::write(path(name), bytes).unwrap(),
        }
    }

    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header);
    // As long as the header says, so that the checks behind that one are reached.
    let data = announced(header).min(LARGEST_DATA);
    weights
        .extend((0..data).map(|place| {
            [0x10, 0x3c, 0x90, 0xbc][place % 4] ^ (place / 4 % 7) as u8 * (place as u8 & 1 ^ 1)
        }));
    for damage in part().chunks_exact(6) {
        let place = u32::from_le_bytes([damage[0], damage[1], damage[2], damage[3]]) as usize % weights.len();
        match damage[4] {
            0 => weights[place] = damage[5],
            1 => weights.truncate(place.max(1)),
            _ => {
                let place = weights.len() - 1 - place;
                weights[place] = damage[5];
            }
        }
    }
    fs::write(path("model.safetensors"), weights).unwrap();

    if let Ok(embedder) = Embedder::from_directory(DIR.path(), &DirectoryOptions::default()) {
        match embedder.embed(&["a ab b"]) {
            Ok(vectors) => assert_eq!(vectors[0].len(), embedder.model().dimensions),
            // A model may have fewer places for tokens than that.
            Err(EmbedError::TextTooLong { tokens, limit, .. }) => assert!(tokens > limit),
            Err(error) => panic!("{error}"),
        }
    }
});

/// Where the last tensor ends.
fn announced(header: &[u8]) -> usize {
    let Ok(serde_json::Value::Object(tensors)) = serde_json::from_slice(header) else {
        return 64;
    };
    let ends = tensors
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    ends.max().unwrap_or_default() as usize
}
