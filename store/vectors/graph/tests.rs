use super::file::{load, path_of, save};
use super::*;
use crate::VectorIndex;
use crate::vectors::test_support::{documents, push, push_codes, unit_vector};
use crate::vectors::{nearest, nearest_by_graph};
use fastrand::Rng;
use proptest::prelude::*;

const DIMENSIONS: usize = 32;

fn push_random(vectors: &mut Vectors, count: usize, rng: &mut Rng) {
    for _ in 0..count {
        push(vectors, &unit_vector(rng, DIMENSIONS));
    }
}

fn random_vectors(count: usize, rng: &mut Rng) -> Arc<Vectors> {
    let mut vectors = Vectors::new(DIMENSIONS, None);
    push_random(&mut vectors, count, rng);
    Arc::new(vectors)
}

fn build(vectors: &Arc<Vectors>) -> Graph {
    Graph::build(vectors, 2, &AtomicBool::new(false)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Recall of at least 98 %, with vectors added after the build and deleted documents.
    #[test]
    fn finds_almost_all_of_the_nearest_vectors(
        seed in any::<u64>(),
        count in 300usize..900,
        added in 0usize..50,
        deleted in 3u32..9,
    ) {
        let mut rng = Rng::with_seed(seed);
        let before = random_vectors(count, &mut rng);
        let graph = build(&before);
        let mut vectors = (*before).clone();
        push_random(&mut vectors, added, &mut rng);
        prop_assert!(graph.fits(&vectors));
        let live = documents(&vectors, |id| id % deleted != 0);
        let (mut hits, mut expected) = (0, 0);
        for _ in 0..20 {
            let query = unit_vector(&mut rng, DIMENSIONS);
            let exact = nearest(&vectors, &query, &live, 10);
            let Some(found) = nearest_by_graph(&vectors, &graph, &query, &live, 10) else { continue };
            for (candidate, document) in &found {
                prop_assert!(document.0 % deleted != 0, "a deleted document");
                let same = exact.iter().find(|(other, _)| other.passage == candidate.passage);
                if let Some((other, _)) = same {
                    prop_assert_eq!(other.score, candidate.score);
                    hits += 1;
                }
            }
            expected += exact.len();
        }
        prop_assert!(hits as f64 >= 0.98 * expected as f64, "{hits} of {expected}");
    }
}

#[test]
fn duplicates_are_all_found_and_hide_no_others() {
    let mut rng = Rng::with_seed(11);
    let mut vectors = Vectors::new(DIMENSIONS, None);
    push_random(&mut vectors, 300, &mut rng);
    let (scale, codes) = quantize(&unit_vector(&mut rng, DIMENSIONS));
    for _ in 0..500 {
        push_codes(&mut vectors, scale, &codes);
    }
    push_random(&mut vectors, 300, &mut rng);
    let vectors = Arc::new(vectors);
    let graph = build(&vectors);
    let query: Vec<f32> = codes.iter().map(|&code| f32::from(code) * scale).collect();
    let duplicates = graph.nearest(&query, 500, |_| true);
    assert!(duplicates.iter().all(|row| (300..800).contains(row)));
    assert_eq!(duplicates.len(), 500);
    assert_eq!(graph.nearest(&query, 7, |row| row == 555), [555]);
    for _ in 0..20 {
        let query = unit_vector(&mut rng, DIMENSIONS);
        let within = documents(&vectors, |id| !(150..400).contains(&id));
        let found = nearest_by_graph(&vectors, &graph, &query, &within, 10).unwrap();
        let exact = nearest(&vectors, &query, &within, 10);
        assert!(found.iter().filter(|hit| exact.contains(hit)).count() >= 9);
    }
}

#[test]
fn gives_up_if_almost_all_documents_are_deleted() {
    let mut rng = Rng::with_seed(5);
    let vectors = random_vectors(500, &mut rng);
    let graph = build(&vectors);
    let query = unit_vector(&mut rng, DIMENSIONS);
    let live = documents(&vectors, |id| id == 77);
    assert_eq!(nearest_by_graph(&vectors, &graph, &query, &live, 10), None);
    assert_eq!(nearest(&vectors, &query, &live, 10).len(), 2);
}

#[test]
fn a_build_can_be_stopped() {
    let vectors = random_vectors(100, &mut Rng::with_seed(6));
    assert!(Graph::build(&vectors, 2, &AtomicBool::new(true)).is_none());
}

#[test]
fn an_empty_graph_finds_nothing() {
    let graph = build(&random_vectors(0, &mut Rng::with_seed(6)));
    assert!(graph.nearest(&[1.0; DIMENSIONS], 3, |_| true).is_empty());
}

#[test]
fn a_graph_fits_only_its_own_generation() {
    let mut rng = Rng::with_seed(7);
    let (one, other) = (random_vectors(50, &mut rng), random_vectors(50, &mut rng));
    let graph = build(&one);
    assert!(graph.fits(&one) && !graph.fits(&other));
}

#[test]
fn a_file_is_read_back_unless_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = path_of(dir.path(), 3);
    let mut rng = Rng::with_seed(8);
    let vectors = random_vectors(400, &mut rng);
    let graph = build(&vectors);
    assert!(load(&path, &vectors).is_none(), "no file");
    fs_err::create_dir_all(path.join("of an earlier version")).unwrap();
    assert!(load(&path, &vectors).is_none(), "a folder");
    save(&graph, &path).unwrap();
    save(&graph, &path).unwrap();
    let query = unit_vector(&mut rng, DIMENSIONS);
    let read = load(&path, &vectors).unwrap();
    let rows = |graph: &Graph| graph.nearest(&query, 20, |_| true);
    assert_eq!(rows(&read), rows(&graph));
    let fewer = random_vectors(399, &mut rng);
    assert!(load(&path, &fewer).is_none(), "fewer vectors");
    let others = random_vectors(400, &mut rng);
    assert!(load(&path, &others).is_none(), "other vectors");
    let intact = fs_err::read(&path).unwrap();
    for at in (0..intact.len()).step_by(97).chain([intact.len() - 1]) {
        let mut flipped = intact.clone();
        flipped[at] ^= 1 << (at % 8);
        for damaged in [&flipped[..], &intact[..at]] {
            fs_err::write(&path, damaged).unwrap();
            assert!(load(&path, &vectors).is_none(), "byte {at}");
        }
    }
    fs_err::write(&path, intact).unwrap();
    assert!(load(&path, &vectors).is_some());
}

#[test]
fn a_background_graph_is_built_then_read_then_rebuilt_if_damaged() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(dir.path().join("vectors")).unwrap();
    let vectors = random_vectors(300, &mut Rng::with_seed(9));
    let graph_rows = |index| {
        let background = BackgroundGraph::new(index);
        background.refresh(dir.path(), 1, &vectors);
        background.wait();
        background.graph(&vectors).map(|graph| graph.rows())
    };
    assert_eq!(graph_rows(VectorIndex::Flat), None);
    assert_eq!(graph_rows(VectorIndex::Auto), None, "too few vectors");
    assert_eq!(graph_rows(VectorIndex::Graph), Some(300));
    let path = path_of(dir.path(), 1);
    let modified = || fs_err::metadata(&path).unwrap().modified().unwrap();
    let built = modified();
    assert_eq!(graph_rows(VectorIndex::Graph), Some(300));
    assert_eq!(modified(), built, "read, not built");
    fs_err::write(&path, "{}").unwrap();
    assert_eq!(graph_rows(VectorIndex::Graph), Some(300));
    assert_ne!(fs_err::metadata(&path).unwrap().len(), 2, "rebuilt");
}
