use super::saved::{load, path_of, save};
use super::*;
use crate::vectors::{QuantizedVector, nearest, nearest_by_graph};
use crate::{DocumentId, DocumentSet, PassageId, VectorIndex};
use proptest::prelude::*;

const DIMENSIONS: usize = 32;

fn unit(seed: &mut u64) -> Vec<f32> {
    let mut value = || {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let vector: Vec<f32> = (0..DIMENSIONS).map(|_| value()).collect();
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter().map(|v| v / length).collect()
}

/// Adds vectors, two to a document.
fn add(vectors: &mut Vectors, count: usize, seed: &mut u64) {
    for _ in 0..count {
        let (scale, codes) = quantize(&unit(seed));
        let number = vectors.len;
        let coded = QuantizedVector {
            passage: PassageId(number as u64),
            document: DocumentId(number as u32 / 2),
            scale,
            codes: &codes,
        };
        vectors.push(&coded, 0);
    }
}

fn made(count: usize, seed: &mut u64) -> Arc<Vectors> {
    let mut vectors = Vectors::new(DIMENSIONS, None);
    add(&mut vectors, count, seed);
    Arc::new(vectors)
}

fn live(vectors: &Vectors, kept: impl Fn(u32) -> bool) -> DocumentSet {
    (0..vectors.len.div_ceil(2) as u32)
        .filter(|&id| kept(id))
        .map(DocumentId)
        .collect()
}

fn build(vectors: &Arc<Vectors>) -> Graph {
    Graph::build(vectors, 2, &AtomicBool::new(false)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Nearly what looking at all finds, with vectors that came later and without those of deleted documents.
    #[test]
    fn finds_what_looking_at_all_does(
        seed in any::<u64>(),
        count in 300usize..900,
        later in 0usize..50,
        deleted in 3u32..9,
    ) {
        let mut seed = seed;
        let before = made(count, &mut seed);
        let graph = build(&before);
        let mut vectors = (*before).clone();
        add(&mut vectors, later, &mut seed);
        prop_assert!(graph.fits(&vectors));
        let within = live(&vectors, |id| id % deleted != 0);
        let (mut hits, mut all) = (0, 0);
        for _ in 0..20 {
            let query = unit(&mut seed);
            let exact = nearest(&vectors, &query, &within, 10);
            let Some(found) = nearest_by_graph(&vectors, &graph, &query, &within, 10) else { continue };
            for (candidate, document) in &found {
                prop_assert!(document.0 % deleted != 0, "a deleted document");
                let same = exact.iter().find(|(other, _)| other.passage == candidate.passage);
                if let Some((other, _)) = same {
                    prop_assert_eq!(other.score, candidate.score);
                    hits += 1;
                }
            }
            all += exact.len();
        }
        prop_assert!(hits as f64 >= 0.98 * all as f64, "{hits} of {all}");
    }
}

/// A crowd of equal vectors is one place of the graph, and neither hides the others nor is lost.
#[test]
fn equal_vectors_are_found_together() {
    let mut seed = 11;
    let mut vectors = Vectors::new(DIMENSIONS, None);
    add(&mut vectors, 300, &mut seed);
    let (scale, codes) = quantize(&unit(&mut seed));
    for _ in 0..500 {
        let number = vectors.len;
        let coded = QuantizedVector {
            passage: PassageId(number as u64),
            document: DocumentId(number as u32 / 2),
            scale,
            codes: &codes,
        };
        vectors.push(&coded, 0);
    }
    add(&mut vectors, 300, &mut seed);
    let vectors = Arc::new(vectors);
    let graph = build(&vectors);
    let near: Vec<f32> = codes.iter().map(|&code| f32::from(code) * scale).collect();
    let crowd = graph.nearest(&near, 500, |_| true);
    assert!(crowd.iter().all(|row| (300..800).contains(row)) && crowd.len() == 500);
    assert_eq!(graph.nearest(&near, 7, |row| row == 555), [555]);
    for _ in 0..20 {
        let query = unit(&mut seed);
        let within = live(&vectors, |id| !(150..400).contains(&id));
        let found = nearest_by_graph(&vectors, &graph, &query, &within, 10).unwrap();
        let exact = nearest(&vectors, &query, &within, 10);
        assert!(found.iter().filter(|one| exact.contains(one)).count() >= 9);
    }
}

#[test]
fn gives_up_where_most_are_deleted() {
    let mut seed = 5;
    let vectors = made(500, &mut seed);
    let graph = build(&vectors);
    let query = unit(&mut seed);
    let few = live(&vectors, |id| id == 77);
    assert_eq!(nearest_by_graph(&vectors, &graph, &query, &few, 10), None);
    assert_eq!(nearest(&vectors, &query, &few, 10).len(), 2);
}

#[test]
fn stops_when_told() {
    let vectors = made(100, &mut 6);
    assert!(Graph::build(&vectors, 2, &AtomicBool::new(true)).is_none());
    assert!(
        build(&made(0, &mut 6))
            .nearest(&[1.0; DIMENSIONS], 3, |_| true)
            .is_empty()
    );
}

#[test]
fn another_generation_is_another_graph() {
    let (one, other) = (made(50, &mut 7), made(50, &mut 7));
    let graph = build(&one);
    assert!(graph.fits(&one) && !graph.fits(&other));
}

#[test]
fn is_read_back_unless_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_of(dir.path(), 3);
    let mut seed = 8;
    let vectors = made(400, &mut seed);
    let graph = build(&vectors);
    assert!(load(&path, &vectors).is_none(), "there is none yet");
    fs_err::create_dir_all(path.join("of an earlier version")).unwrap();
    assert!(load(&path, &vectors).is_none(), "a folder is none");
    save(&graph, &path).unwrap();
    save(&graph, &path).unwrap();
    let query = unit(&mut seed);
    let read = load(&path, &vectors).unwrap();
    let found = |graph: &Graph| graph.nearest(&query, 20, |_| true);
    assert_eq!(found(&read), found(&graph));
    assert!(load(&path, &made(399, &mut seed)).is_none(), "fewer vectors");
    assert!(load(&path, &made(400, &mut seed)).is_none(), "other vectors");
    let whole = fs_err::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        for damaged in [&flipped[..], &whole[..at]] {
            fs_err::write(&path, damaged).unwrap();
            assert!(load(&path, &vectors).is_none(), "{at}");
        }
    }
    fs_err::write(&path, whole).unwrap();
    assert!(load(&path, &vectors).is_some());
}

#[test]
fn an_accelerator_builds_reads_and_rebuilds() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(dir.path().join("vectors")).unwrap();
    let vectors = made(300, &mut 9);
    let started = |index| {
        let accelerator = BackgroundGraph::new(index);
        accelerator.refresh(dir.path(), 1, &vectors);
        accelerator.wait();
        accelerator
    };
    assert!(started(VectorIndex::Flat).graph(&vectors).is_none());
    assert!(
        started(VectorIndex::Auto).graph(&vectors).is_none(),
        "so few are looked at"
    );
    assert_eq!(started(VectorIndex::Graph).graph(&vectors).unwrap().rows(), 300);
    let path = path_of(dir.path(), 1);
    let written = fs_err::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(started(VectorIndex::Graph).graph(&vectors).unwrap().rows(), 300);
    assert_eq!(
        fs_err::metadata(&path).unwrap().modified().unwrap(),
        written,
        "read, not built"
    );
    fs_err::write(&path, "{}").unwrap();
    assert_eq!(started(VectorIndex::Graph).graph(&vectors).unwrap().rows(), 300);
    assert_ne!(fs_err::metadata(&path).unwrap().len(), 2, "built anew");
}
