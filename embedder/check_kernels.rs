//! `check-kernels`: runs every kernel that this processor has over the reference texts and says how near it comes.
//!
//! For processors that the tests cannot run on: built for another target and run under an emulator, it needs none of the
//! tests' libraries. Fails where a kernel is not as near as the tests ask for. With a number, it takes only so many texts.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::process::ExitCode;

use autorag_embedder::{EmbedError, Embedder, Kernel, reference_vectors};

/// What the tests ask for: the mean cosine to f32, and the least.
const NEAR: (f32, f32) = (0.998, 0.995);
/// The least cosine of two kernels: they differ in rounding alone.
const ALIKE: f32 = 0.995;

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
    let portable = Embedder::built_in()?
        .with_kernel(Kernel::Portable)?
        .embed(&texts)?;
    let portable: Vec<&[f32]> = portable.iter().map(Vec::as_slice).collect();
    let mut good = true;
    for kernel in Kernel::available() {
        let vectors = Embedder::built_in()?.with_kernel(kernel)?.embed(&texts)?;
        let (mean, least) = cosines(&vectors, &expected);
        let (_, alike) = cosines(&vectors, &portable);
        println!("{kernel}: to f32 {mean:.5}, at least {least:.5}; to portable at least {alike:.5}");
        good &= mean >= NEAR.0 && least >= NEAR.1 && alike >= ALIKE;
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Mean and least cosine of pairs of vectors at length one.
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
