//! Compares the encoder with vectors computed from the official weights in f32; see `golden/README.md`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::reference_vectors;
use crate::encoder::format::{HEADER_LENGTH, Header};
use crate::{EmbedError, Embedder, Kernel};

fn golden() -> (Vec<String>, Vec<Vec<f32>>) {
    let references = reference_vectors().unwrap();
    references
        .into_iter()
        .map(|reference| (reference.text, reference.vector))
        .unzip()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Cosines of corresponding vectors: the mean, the lowest, and the index of the lowest.
fn compare(a: &[Vec<f32>], b: &[Vec<f32>]) -> (f32, f32, usize) {
    let cosines: Vec<f32> = a.iter().zip(b).map(|(a, b)| cosine(a, b)).collect();
    let lowest = (0..cosines.len())
        .min_by(|&a, &b| cosines[a].total_cmp(&cosines[b]))
        .unwrap();
    (
        cosines.iter().sum::<f32>() / cosines.len() as f32,
        cosines[lowest],
        lowest,
    )
}

#[test]
fn every_kernel_is_close_to_the_reference_and_to_the_other_kernels() {
    let (texts, expected) = golden();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut by_kernel = Vec::new();
    for kernel in Kernel::available() {
        let vectors = Embedder::built_in_with_kernel(kernel)
            .unwrap()
            .embed(&texts)
            .unwrap();
        let (mean, lowest, text) = compare(&vectors, &expected);
        println!("{kernel}: mean {mean:.5}, lowest {lowest:.5} for text {text}");
        assert!(
            mean >= 0.998 && lowest >= 0.995,
            "{kernel}: mean {mean}, lowest {lowest} for text {text}"
        );
        by_kernel.push(vectors);
    }
    for vectors in &by_kernel {
        let (mean, lowest, text) = compare(vectors, by_kernel.last().unwrap());
        assert!(
            mean >= 0.999 && lowest >= 0.995,
            "mean {mean}, lowest {lowest} for text {text}"
        );
    }
}

#[test]
fn a_vector_does_not_depend_on_its_batch() {
    let (texts, _) = golden();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for kernel in Kernel::available() {
        // A few texts suffice for the portable kernel, which is slow.
        let texts = if kernel == Kernel::Portable {
            &texts[..12]
        } else {
            &texts
        };
        let embedder = Embedder::built_in_with_kernel(kernel).unwrap();
        let together = embedder.embed(texts).unwrap();
        for (text, vector) in texts.iter().zip(&together) {
            let alone = embedder.embed(&[text]).unwrap().remove(0);
            assert_eq!(alone, *vector, "{kernel}: {text:?}");
            assert_eq!(
                embedder.embed_query(text).unwrap().vector,
                *vector,
                "{kernel}: {text:?}"
            );
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
            assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let backwards: Vec<&str> = texts.iter().rev().copied().collect();
        let mut backwards = embedder.embed(&backwards).unwrap();
        backwards.reverse();
        assert_eq!(backwards, together, "{kernel}");
    }
}

#[test]
fn concurrent_calls_return_the_same_vectors() {
    let embedder = Embedder::built_in().unwrap();
    let texts = ["one", "two words", "three words here"];
    let expected = embedder.embed(&texts).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| assert_eq!(embedder.embed(&texts).unwrap(), expected)));
        }
    });
}

#[test]
fn a_passage_over_the_limit_is_an_error_and_a_query_is_truncated() {
    let embedder = Embedder::built_in().unwrap();
    let fits = ["word"; 254].join(" ");
    let over = format!("{fits} word");
    assert_eq!(
        embedder.embed(&["short", &over]),
        Err(EmbedError::TextTooLong {
            index: 1,
            tokens: 257,
            limit: 256
        })
    );
    let complete = embedder.embed_query(&fits).unwrap();
    let truncated = embedder.embed_query(&over).unwrap();
    assert!(!complete.truncated && truncated.truncated);
    assert_eq!(complete.vector, truncated.vector);
}

#[test]
fn embedding_no_texts_returns_no_vectors() {
    assert_eq!(Embedder::built_in().unwrap().embed(&[]), Ok(Vec::new()));
}

/// The program does not check this at start, because it would read 23 MB.
#[test]
fn the_digest_matches_the_weights_and_the_vocabulary() {
    let weights = include_bytes!("../../data/model/all-MiniLM-L6-v2/weights.bin");
    let vocabulary = include_bytes!("../../data/model/all-MiniLM-L6-v2/vocab.txt");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&weights[HEADER_LENGTH..]).update(vocabulary);
    let header = Header::parse(weights).unwrap();
    assert_eq!(header.digest, *hasher.finalize().as_bytes());
    assert_eq!(Embedder::built_in().unwrap().model().version, header.version());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn any_text_has_a_finite_vector(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..1200)) {
        let text = String::from_utf8_lossy(&bytes);
        let embedder = Embedder::built_in().unwrap();
        let query = embedder.embed_query(&text).unwrap();
        proptest::prop_assert!(query.vector.iter().all(|value| value.is_finite()));
        proptest::prop_assert_eq!(query.truncated, embedder.embed(&[&text]).is_err());
    }
}
