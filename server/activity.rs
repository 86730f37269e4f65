//! From the counters of a run, or the marks that another process leaves in the store, to what answers say of it.

use autorag_indexer::{Progress, Stage};
use autorag_query::{Activity, Phase};
use autorag_store::RunState;

/// What is being done to the index. `under_way` are the counters of this process's run; `failure` is why its last one
/// failed; `writes` is false where another process fills the index; `paused` is whether indexing is to rest.
pub fn of(
    state: &RunState,
    under_way: Option<&Progress>,
    failure: Option<&str>,
    writes: bool,
    paused: bool,
) -> Activity {
    let mut activity = Activity {
        phase: Phase::Ready,
        files_seen: state.files_seen,
        last_run: state.last_run.clone(),
        failure: failure.map(str::to_owned),
    };
    // A look whether anything has changed is no run before it finds that something has.
    let under_way = under_way
        .map(Progress::snapshot)
        .filter(|now| now.stage != Stage::Checking);
    if let Some(now) = under_way {
        activity.files_seen = now.files_seen;
        if now.stage == Stage::Done {
            // That it has ended is only to be noted down.
            activity.failure = None;
        }
        activity.phase = match now.stage {
            Stage::Scanning => Phase::Scanning,
            Stage::Indexing => Phase::Indexing,
            Stage::Embedding => Phase::Embedding,
            Stage::Done if paused => Phase::Paused,
            Stage::Done | Stage::Checking => Phase::Ready,
        };
    } else if paused {
        activity.phase = Phase::Paused;
    } else if failure.is_some() {
        activity.phase = Phase::Failed;
    } else if !state.finished {
        // Another process's run cannot be seen into; that files may be missing is what counts.
        activity.phase = if writes {
            Phase::Incomplete
        } else {
            Phase::Indexing
        };
    }
    activity
}
