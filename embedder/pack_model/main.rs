//! `pack-model`: makes the files under `data/model` and `embedder/golden` from the official weights.
//!
//! ```text
//! pack-model weights MODEL.safetensors VOCAB.txt WEIGHTS.bin
//! pack-model golden  MODEL.safetensors TEXTS.json VECTORS.i16
//! ```
//!
//! `golden` runs the model in f32, with none of the code it is there to check but the tokenizer.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

mod calibrate;
mod quantise;
mod reference;
mod safetensors;

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use autorag_embedder::Embedder;

use crate::reference::Reference;
use crate::safetensors::Safetensors;

/// The tokens around every text, as numbered by the vocabulary.
const START: u32 = 101;
const END: u32 = 102;

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
    let packed = quantise::pack(&Safetensors::read(model)?, &fs_err::read(vocabulary)?)?;
    println!(
        "{}: {} bytes, version {}",
        out.display(),
        packed.bytes.len(),
        packed.header.version()
    );
    fs_err::write(out, packed.bytes).context("the packed weights cannot be written")
}

/// Writes the vector of each text as 16-bit fractions of 32,767: a fifth of a decimal's digits, good to 1.5·10⁻⁵.
fn golden(model: &Path, texts: &Path, out: &Path) -> Result<()> {
    let reference = Reference::new(&Safetensors::read(model)?)?;
    let texts: Vec<String> = serde_json::from_slice(&fs_err::read(texts)?)
        .with_context(|| format!("{} is not a list of texts", texts.display()))?;
    let embedder = Embedder::built_in()?;
    let mut bytes = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let mut ids = vec![START];
        ids.extend(embedder.tokenizer().encode(text));
        ids.push(END);
        if ids.len() > embedder.model().max_tokens {
            bail!("text {index} has {} tokens: shorten it", ids.len());
        }
        for value in reference.embed(&ids) {
            bytes.extend(((value * f32::from(i16::MAX)).round() as i16).to_le_bytes());
        }
        println!("text {index}: {} tokens", ids.len());
    }
    fs_err::write(out, bytes).context("the golden vectors cannot be written")
}
