//! The graph beside hnsw_rs, over the same made-up vectors in one run: time to build, time of a search, recall of the ten nearest.
//!
//! `cargo bench -p autorag-store --bench graph`; `VECTORS` and `REPEATED` set how many there are, and how many of them are one and
//! the same, as boilerplate is in collections of documents.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program to be read by who runs it"
)]

use std::time::{Duration, Instant};

use autorag_store::BareVectors;
use hnsw_rs::hnsw::Hnsw;
use hnsw_rs::prelude::Distance;

const DIMENSIONS: usize = 384;
const QUERIES: usize = 300;
/// Clusters of clusters: what a vector has of each level, the largest first, and of its own at last.
const PARTS: [f32; 6] = [0.45, 0.5, 0.4, 0.35, 0.35, 0.38];
/// Vectors in a cluster of each level.
const SIZES: [usize; 6] = [usize::MAX, 20_000, 2000, 200, 20, 1];

fn main() {
    let number = |name: &str, otherwise| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
            .unwrap_or(otherwise)
    };
    let (count, repeated) = (number("VECTORS", 30_000), number("REPEATED", 0));
    let mut all: Vec<Vec<f32>> = (0..count).map(|number| vector(number, 0)).collect();
    for number in 0..repeated {
        all[number * count / repeated.max(1)] = vector(count, 0);
    }
    let queries: Vec<Vec<f32>> = (0..QUERIES)
        .map(|query| vector(query * 7919 % count, 1 + query))
        .collect();
    let tenth: Vec<f32> = queries.iter().map(|query| tenth_best(&all, query)).collect();
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    println!("{count} vectors of {DIMENSIONS} dimensions, {repeated} of them equal, {threads} threads");

    let dir = tempfile::tempdir().unwrap();
    let mut bare = BareVectors::create(&dir.path().join("1.vec"), DIMENSIONS).unwrap();
    bare.append(&all).unwrap();
    let nearest = |bare: &BareVectors, query: &[f32]| {
        let found = bare.nearest(query, None, 10);
        found
            .iter()
            .map(|candidate| candidate.passage.0 as usize)
            .collect()
    };
    let row = |name: &str, built: Duration, search: &dyn Fn(&[f32]) -> Vec<usize>| {
        let (mut times, mut hits) = (Vec::new(), 0);
        for (query, &least) in queries.iter().zip(&tenth) {
            let started = Instant::now();
            let found = search(query);
            times.push(started.elapsed());
            // Any vector as near as the tenth will do: of equal ones it does not matter which.
            hits += found
                .iter()
                .filter(|&&number| dot(&all[number], query) >= least - 1e-5)
                .count()
                .min(10);
        }
        times.sort_unstable();
        let (built, p50) = (built.as_secs_f64(), times[QUERIES / 2].as_secs_f64() * 1e3);
        println!(
            "{name:<28}built {built:7.1} s   p50 {p50:6.2} ms   recall@10 {:.3}",
            hits as f64 / (10 * QUERIES) as f64
        );
    };
    row("flat", Duration::ZERO, &|query| nearest(&bare, query));
    let started = Instant::now();
    bare.build_graph(threads);
    row("graph", started.elapsed(), &|query| nearest(&bare, query));

    let started = Instant::now();
    let hnsw = Hnsw::new(16, count, 16, 128, OneLessCosine);
    hnsw.parallel_insert(&all.iter().zip(0..).collect::<Vec<_>>());
    let built = started.elapsed();
    for candidates in [128, 640] {
        let search = |query: &[f32]| {
            hnsw.search(query, 10, candidates)
                .iter()
                .map(|found| found.d_id)
                .collect()
        };
        row(&format!("hnsw_rs, {candidates} candidates"), built, &search);
    }
}

/// The vector of a number; with another `own` one beside it.
fn vector(number: usize, own: usize) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for (level, (part, size)) in PARTS.iter().zip(SIZES).enumerate() {
        let last = level + 1 == PARTS.len();
        let mut state =
            (((level + 1) << 40) | (number / size)) as u64 + if last { (own as u64) << 32 } else { 0 };
        for value in &mut vector {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *value += part * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0);
        }
    }
    let length = dot(&vector, &vector).sqrt();
    vector.iter().map(|value| value / length).collect()
}

fn tenth_best(all: &[Vec<f32>], query: &[f32]) -> f32 {
    let mut scores: Vec<f32> = all.iter().map(|vector| dot(vector, query)).collect();
    scores.select_nth_unstable_by(9, |one, other| other.total_cmp(one));
    scores[9]
}

/// The library's own distance for vectors of length 1 panics where two are equal, since rounding takes it below 0.
struct OneLessCosine;

impl Distance<f32> for OneLessCosine {
    fn eval(&self, one: &[f32], other: &[f32]) -> f32 {
        (1.0 - dot(one, other)).max(0.0)
    }
}

/// In sixteen parts, which the compiler turns into vector instructions.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut parts = [0.0f32; 16];
    for (one, other) in one.chunks_exact(16).zip(other.chunks_exact(16)) {
        parts
            .iter_mut()
            .zip(one.iter().zip(other))
            .for_each(|(part, (a, b))| *part += a * b);
    }
    parts.iter().sum()
}
