//! The graph in use, and the thread that reads or builds the next one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{Graph, file};
use crate::VectorIndex;
use crate::vectors::Vectors;

/// The graph is rebuilt when it lacks more than this share of the vectors …
const MAX_UNINDEXED_SHARE: f64 = 0.1;
/// … and at least this many.
const MIN_UNINDEXED: usize = 20_000;

/// Number of vectors from which [`VectorIndex::Auto`] uses a graph. A flat scan then takes some milliseconds;
/// docs/scale.md has measurements.
const AUTO_MIN_VECTORS: usize = 2_000_000;

/// At most one graph in use, and at most one being built.
pub(crate) struct BackgroundGraph {
    index: VectorIndex,
    current: Arc<RwLock<Option<Arc<Graph>>>>,
    stop: Arc<AtomicBool>,
    building: Mutex<Option<JoinHandle<()>>>,
}

impl BackgroundGraph {
    /// Starts without a graph.
    pub(crate) fn new(index: VectorIndex) -> BackgroundGraph {
        BackgroundGraph {
            index,
            current: Arc::default(),
            stop: Arc::default(),
            building: Mutex::default(),
        }
    }

    /// The graph in use, if it fits `vectors`.
    pub(crate) fn graph(&self, vectors: &Vectors) -> Option<Arc<Graph>> {
        let current = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        current.filter(|graph| graph.fits(vectors))
    }

    /// Starts a thread that reads or builds a graph, if `vectors` should have one and the current one is
    /// missing or stale.
    ///
    /// Does nothing while a thread is running.
    pub(crate) fn refresh(&self, dir: &Path, generation: u64, vectors: &Arc<Vectors>) {
        let min_vectors = match self.index {
            VectorIndex::Flat => return,
            VectorIndex::Auto => AUTO_MIN_VECTORS,
            VectorIndex::Graph => 1,
        };
        if vectors.len < min_vectors || !self.needs_rebuild(vectors) {
            return;
        }
        let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if building.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let task = Task {
            path: file::path_of(dir, generation),
            vectors: Arc::clone(vectors),
            current: Arc::clone(&self.current),
            stop: Arc::clone(&self.stop),
        };
        match std::thread::Builder::new()
            .name("graph".into())
            .spawn(move || task.run())
        {
            Ok(thread) => *building = Some(thread),
            Err(error) => {
                tracing::warn!("searching without a graph, because its thread cannot be started: {error}")
            }
        }
    }

    /// Waits until no graph is being built.
    pub(crate) fn wait(&self) {
        let building = self
            .building
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = building
            && thread.join().is_err()
        {
            tracing::error!("building the graph panicked; searching without it");
        }
    }

    fn needs_rebuild(&self, vectors: &Vectors) -> bool {
        self.graph(vectors).is_none_or(|graph| is_stale(&graph, vectors))
    }
}

/// Number of threads to build with: half of the cores. Searching and embedding need the others.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

fn is_stale(graph: &Graph, vectors: &Vectors) -> bool {
    let unindexed = vectors.len - graph.rows();
    unindexed >= MIN_UNINDEXED && unindexed as f64 > MAX_UNINDEXED_SHARE * vectors.len as f64
}

impl Drop for BackgroundGraph {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wait();
    }
}

/// The task of the thread.
struct Task {
    path: PathBuf,
    vectors: Arc<Vectors>,
    current: Arc<RwLock<Option<Arc<Graph>>>>,
    stop: Arc<AtomicBool>,
}

impl Task {
    fn run(self) {
        let started = Instant::now();
        let is_first = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        // Only an earlier process can have left a file to read. This process keeps its graphs in memory.
        let from_file = is_first.then(|| file::load(&self.path, &self.vectors)).flatten();
        if let Some(graph) = from_file.filter(|graph| !is_stale(graph, &self.vectors)) {
            tracing::debug!(rows = graph.rows(), "read the graph");
            self.publish(graph);
            return;
        }
        let Some(graph) = Graph::build(&self.vectors, threads(), &self.stop) else {
            return;
        };
        let seconds = started.elapsed().as_secs();
        tracing::info!(rows = graph.rows(), seconds, "built the graph");
        if let Err(error) = file::save(&graph, &self.path) {
            tracing::warn!("cannot write the graph, so the next process has to build it again: {error}");
        }
        self.publish(graph);
    }

    fn publish(&self, graph: Graph) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(graph));
    }
}
