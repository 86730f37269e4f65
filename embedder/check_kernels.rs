//! `check-kernels [TEXTS]`: runs every kernel of this processor over the reference texts and prints the cosines to f32.
//!
//! For processors that cannot run the tests: cross-compile this program and run it under an emulator. It needs none of the test
//! libraries. Fails if a kernel misses the thresholds of the tests. `TEXTS` limits the number of texts.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::process::ExitCode;

use autorag_embedder::{EmbedError, Embedder, Kernel, reference_vectors};

/// Least mean cosine to f32, as in the tests.
const MIN_MEAN: f32 = 0.998;
/// Least cosine to f32 of a single text, as in the tests.
const MIN_COSINE: f32 = 0.995;
/// Least cosine between two kernels, which differ only in rounding.
const MIN_BETWEEN_KERNELS: f32 = 0.995;

fn main() -> Result<ExitCode, EmbedError> {
    let mut references = reference_vectors()?;
    if let Some(count) = std::env::args().nth(1).and_then(|count| count.parse().ok()) {
        references.truncate(count);
    }
    let texts: Vec<&str> = references
        .iter()
        .map(|reference| reference.text.as_str())
        .collect();
    let expected: Vec<&[f32]> = references
        .iter()
        .map(|reference| reference.vector.as_slice())
        .collect();
    let portable = Embedder::built_in_with_kernel(Kernel::Portable)?.embed(&texts)?;
    let portable: Vec<&[f32]> = portable.iter().map(Vec::as_slice).collect();
    let mut all_pass = true;
    for kernel in Kernel::available() {
        let vectors = Embedder::built_in_with_kernel(kernel)?.embed(&texts)?;
        let (mean, least) = cosines(&vectors, &expected);
        let (_, to_portable) = cosines(&vectors, &portable);
        println!(
            "{kernel}: cosine to f32 mean {mean:.5}, least {least:.5}; to portable least {to_portable:.5}"
        );
        all_pass &= mean >= MIN_MEAN && least >= MIN_COSINE && to_portable >= MIN_BETWEEN_KERNELS;
    }
    Ok(if all_pass {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Mean and least cosine of pairs of unit vectors.
fn cosines(a: &[Vec<f32>], b: &[&[f32]]) -> (f32, f32) {
    let cosines = a
        .iter()
        .zip(b)
        .map(|(a, b)| a.iter().zip(*b).map(|(a, b)| a * b).sum::<f32>());
    let (sum, least) = cosines.fold((0.0, 1.0_f32), |(sum, least), cosine| {
        (sum + cosine, least.min(cosine))
    });
    (sum / a.len().max(1) as f32, least)
}
