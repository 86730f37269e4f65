//! Opens a model directory with corrupt settings and weights.
//!
//! The input consists of parts separated by 0xff, a byte that no JSON text contains: the header of the weights, `config.json`,
//! `modules.json`, `1_Pooling/config.json`, and edits of the weights file. An edit has six bytes: a `u32` offset, an operation and
//! the new byte. An operation of 0 overwrites the byte at this offset from the start, 1 truncates the file there, and any other
//! overwrites the byte at this offset from the end. Files whose part is empty are not written.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use autorag_embedder::{DirectoryOptions, EmbedError, Embedder};
use libfuzzer_sys::fuzz_target;

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
const VOCABULARY: &str = "[CLS]\n[SEP]\n[UNK]\na\n##b\n";
/// Maximum bytes of tensor data, more than the tensors of the seed need.
const MAX_DATA_LENGTH: usize = 1 << 20;

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
    // Match the length in the header. Otherwise the length check would hide all later checks.
    let data = data_length(header).min(MAX_DATA_LENGTH);
    weights
        .extend((0..data).map(|place| {
            [0x10, 0x3c, 0x90, 0xbc][place % 4] ^ (place / 4 % 7) as u8 * (place as u8 & 1 ^ 1)
        }));
    for edit in part().chunks_exact(6) {
        let offset = u32::from_le_bytes([edit[0], edit[1], edit[2], edit[3]]) as usize % weights.len();
        match edit[4] {
            0 => weights[offset] = edit[5],
            1 => weights.truncate(offset.max(1)),
            _ => {
                let offset = weights.len() - 1 - offset;
                weights[offset] = edit[5];
            }
        }
    }
    fs::write(path("model.safetensors"), weights).unwrap();

    if let Ok(embedder) = Embedder::from_directory(DIR.path(), &DirectoryOptions::default()) {
        match embedder.embed(&["a ab b"]) {
            Ok(vectors) => assert_eq!(vectors[0].len(), embedder.model().dimensions),
            // The model may have fewer positions than this text has tokens.
            Err(EmbedError::TextTooLong { tokens, limit, .. }) => assert!(tokens > limit),
            Err(error) => panic!("{error}"),
        }
    }
});

/// The end of the last tensor, according to the header.
fn data_length(header: &[u8]) -> usize {
    let Ok(serde_json::Value::Object(tensors)) = serde_json::from_slice(header) else {
        return 64;
    };
    let ends = tensors
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    ends.max().unwrap_or_default() as usize
}
