//! The graph that searches use, and the thread that builds the next one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{Graph, saved};
use crate::VectorIndex;
use crate::vectors::Vectors;

/// A graph is built anew when more than this share of the vectors came after it …
const NEW_SHARE: f64 = 0.1;
/// … and at least so many.
const WORTH_BUILDING: usize = 20_000;

/// So many vectors are worth a graph where it is not said: looking at all then takes some milliseconds. See docs/scale.md.
const AUTO_FROM: usize = 2_000_000;

/// At most one graph in use and one being built.
pub(crate) struct BackgroundGraph {
    index: VectorIndex,
    current: Arc<RwLock<Option<Arc<Graph>>>>,
    stop: Arc<AtomicBool>,
    building: Mutex<Option<JoinHandle<()>>>,
}

impl BackgroundGraph {
    /// Without a graph yet.
    pub(crate) fn new(index: VectorIndex) -> BackgroundGraph {
        BackgroundGraph {
            index,
            current: Arc::default(),
            stop: Arc::default(),
            building: Mutex::default(),
        }
    }

    /// The graph, if there is one that fits.
    pub(crate) fn graph(&self, vectors: &Vectors) -> Option<Arc<Graph>> {
        let current = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        current.filter(|graph| graph.fits(vectors))
    }

    /// Has a graph read or built in the background, where `vectors` are worth one and theirs has fallen behind.
    pub(crate) fn refresh(&self, dir: &Path, generation: u64, vectors: &Arc<Vectors>) {
        let from = match self.index {
            VectorIndex::Flat => return,
            VectorIndex::Auto => AUTO_FROM,
            VectorIndex::Graph => 1,
        };
        let wanted = vectors.len >= from;
        if !wanted || !self.is_behind(vectors) {
            return;
        }
        let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if building.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let work = Work {
            path: saved::path_of(dir, generation),
            vectors: Arc::clone(vectors),
            current: Arc::clone(&self.current),
            stop: Arc::clone(&self.stop),
        };
        match std::thread::Builder::new()
            .name("graph".into())
            .spawn(move || work.run())
        {
            Ok(thread) => *building = Some(thread),
            Err(error) => tracing::warn!("no graph is built: {error}"),
        }
    }

    /// Waits for a graph that is being built.
    pub(crate) fn wait(&self) {
        let building = self
            .building
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = building
            && thread.join().is_err()
        {
            tracing::error!("building the graph panicked; searches do without it");
        }
    }

    fn is_behind(&self, vectors: &Vectors) -> bool {
        self.graph(vectors).is_none_or(|graph| is_behind(&graph, vectors))
    }
}

/// Threads that build: half of the cores, so that searches and embedding have the others.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

fn is_behind(graph: &Graph, vectors: &Vectors) -> bool {
    let new = vectors.len - graph.rows();
    new >= WORTH_BUILDING && new as f64 > NEW_SHARE * vectors.len as f64
}

impl Drop for BackgroundGraph {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wait();
    }
}

/// What the thread has to do.
struct Work {
    path: PathBuf,
    vectors: Arc<Vectors>,
    current: Arc<RwLock<Option<Arc<Graph>>>>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(self) {
        let started = Instant::now();
        let in_use = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        // Only a first graph can be one that an earlier process has left.
        let left = (!in_use)
            .then(|| saved::load(&self.path, &self.vectors))
            .flatten();
        if let Some(graph) = left.filter(|graph| !is_behind(graph, &self.vectors)) {
            tracing::debug!(rows = graph.rows(), "the graph was read");
            self.put_to_use(graph);
            return;
        }
        let Some(graph) = Graph::build(&self.vectors, threads(), &self.stop) else {
            return;
        };
        let seconds = started.elapsed().as_secs();
        tracing::info!(rows = graph.rows(), seconds, "the graph was built");
        if let Err(error) = saved::save(&graph, &self.path) {
            tracing::warn!("the graph has to be built again by the next process: {error}");
        }
        self.put_to_use(graph);
    }

    fn put_to_use(&self, graph: Graph) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(graph));
    }
}
