//! The activity that answers report. It comes from the counters of a run in progress, or from the run state in the store.

use autorag_indexer::{Progress, Stage};
use autorag_query::{Activity, Phase};
use autorag_store::RunState;

/// The current activity.
///
/// `progress` has the counters of this process's run. `failure` is why its last run failed. `is_writer` is false if another
/// process updates the index.
pub fn current(
    state: &RunState,
    progress: Option<&Progress>,
    failure: Option<&str>,
    is_writer: bool,
    is_paused: bool,
) -> Activity {
    let mut activity = Activity {
        phase: Phase::Ready,
        files_seen: state.files_seen,
        last_run: state.last_run.clone(),
        failure: failure.map(str::to_owned),
    };
    // A scheduled check for changes is not reported until it finds one.
    let run = progress
        .map(Progress::snapshot)
        .filter(|now| now.stage != Stage::Checking);
    if let Some(now) = run {
        activity.files_seen = now.files_seen;
        if now.stage == Stage::Done {
            // The run has succeeded. Only its end is not recorded yet.
            activity.failure = None;
        }
        activity.phase = match now.stage {
            Stage::Scanning => Phase::Scanning,
            Stage::Indexing => Phase::Indexing,
            Stage::Embedding => Phase::Embedding,
            Stage::Done if is_paused => Phase::Paused,
            Stage::Done | Stage::Checking => Phase::Ready,
        };
    } else if is_paused {
        activity.phase = Phase::Paused;
    } else if failure.is_some() {
        activity.phase = Phase::Failed;
    } else if !state.finished {
        activity.phase = if is_writer {
            Phase::Incomplete
        } else {
            // The stage of another process's run is unknown. What matters is that files may be missing.
            Phase::Indexing
        };
    }
    activity
}
