//! `pack-model`: generates the files in `data/model` and `embedder/golden` from the official weights.
//!
//! ```text
//! pack-model weights MODEL.safetensors VOCAB.txt WEIGHTS.bin
//! pack-model golden  MODEL.safetensors TEXTS.json VECTORS.i16
//! ```
//!
//! `golden` runs the model in f32. It shares only the tokenizer with the code that the vectors check.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use autorag_embedder::encoder::format::Header;
use autorag_embedder::encoder::shape::Shape;
use autorag_embedder::pack::{Alphabet, Checkpoint, Reference, pack};
use autorag_embedder::{Embedder, Pooling};

/// The sizes of all-MiniLM-L6-v2. It has more than 256 positions, but was trained on texts of up to 256 tokens.
const SHAPE: Shape = Shape {
    hidden: 384,
    feed_forward: 1536,
    layers: 6,
    heads: 12,
    vocabulary: 30_522,
    positions: 256,
    norm_epsilon: 1e-12,
};
/// Id of `[CLS]`, which precedes every text.
const START: u32 = 101;
/// Id of `[SEP]`, which follows every text.
const END: u32 = 102;
/// Lower ids are special or unused tokens.
const FIRST_WORD: u32 = 999;

fn main() -> Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let paths: Vec<&Path> = arguments.iter().skip(1).map(Path::new).collect();
    match (
        arguments.first().and_then(|command| command.to_str()),
        paths.as_slice(),
    ) {
        (Some("weights"), [model, vocabulary, out]) => weights(model, vocabulary, out),
        (Some("golden"), [model, texts, out]) => golden(model, texts, out),
        _ => bail!(
            "usage: pack-model weights MODEL.safetensors VOCAB.txt WEIGHTS.bin\n\
             \x20      pack-model golden  MODEL.safetensors TEXTS.json VECTORS.i16"
        ),
    }
}

fn weights(model: &Path, vocabulary: &Path, out: &Path) -> Result<()> {
    let alphabet = Alphabet {
        start: vec![START],
        end: vec![END],
        words: FIRST_WORD..SHAPE.vocabulary as u32,
    };
    let vocabulary = fs_err::read(vocabulary)?;
    let packed = pack(
        &Checkpoint::open(model)?,
        SHAPE,
        &alphabet,
        &vocabulary,
        |layer| {
            println!("quantized layer {layer} of {}", SHAPE.layers);
        },
    )?;
    let version = Header::parse(&packed)?.version();
    println!("{}: {} bytes, version {version}", out.display(), packed.len());
    fs_err::write(out, &packed[..]).context("cannot write the packed weights")
}

/// Writes the vector of each text as 16-bit integers in units of 1/32767: a fifth of the size of decimal text, accurate to 1.5·10⁻⁵.
fn golden(model: &Path, texts: &Path, out: &Path) -> Result<()> {
    let texts: Vec<String> = serde_json::from_slice(&fs_err::read(texts)?)
        .with_context(|| format!("{} is not a list of texts", texts.display()))?;
    let embedder = Embedder::built_in()?;
    let mut all = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let mut ids = vec![START];
        ids.extend(embedder.tokenizer().encode(text));
        ids.push(END);
        if ids.len() > embedder.model().max_tokens {
            bail!("text {index} has {} tokens: shorten it", ids.len());
        }
        println!("text {index}: {} tokens", ids.len());
        all.push(ids);
    }
    let mut bytes = Vec::new();
    for vector in Reference::embed(&Checkpoint::open(model)?, SHAPE, Pooling::Mean, &all)? {
        for value in vector {
            bytes.extend(((value * f32::from(i16::MAX)).round() as i16).to_le_bytes());
        }
    }
    fs_err::write(out, bytes).context("cannot write the golden vectors")
}
