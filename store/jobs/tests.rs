use std::path::Path;

use super::*;
use crate::{
    ChangeBatch, ContentHash, FileStat, ItemStatus, Metadata, ModelIdentity, NewDocument, Retry, StoreOptions,
};

fn open(dir: &Path) -> Store {
    let model = ModelIdentity {
        id: "test".into(),
        dimensions: 4,
        ..ModelIdentity::default()
    };
    let sources = Vec::new();
    Store::open(dir, StoreOptions { model, sources }).unwrap()
}

fn item(key: &str, action: ItemAction) -> NewJobItem {
    NewJobItem {
        key: key.into(),
        action,
        reason: (action == ItemAction::Failed).then(|| "permission denied".to_owned()),
        passages: u64::from(action == ItemAction::Added) * 3,
        milliseconds: 7,
    }
}

fn log(store: &Store, items: Vec<NewJobItem>) {
    let log = ChangeBatch {
        log: items,
        ..ChangeBatch::default()
    };
    store.apply(&log).unwrap();
}

#[test]
fn the_counts_of_a_job_are_those_of_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    log(&store, vec![item("before.md", ItemAction::Added)]);
    let job = store.begin_job(JobCause::Request, Some("new papers")).unwrap();
    log(
        &store,
        vec![item("a.md", ItemAction::Added), item("b.pdf", ItemAction::Failed)],
    );
    log(&store, vec![item("c.md", ItemAction::Removed)]);
    let progress = JobProgress {
        stage: Some(JobStage::Embedding),
        unchanged: 5,
        to_embed: 3,
        embedded: 1,
        eta_seconds: Some(2),
        ..JobProgress::default()
    };
    store.report_job(job, &progress).unwrap();
    let kept = store.job(job).unwrap().unwrap();
    assert_eq!((kept.state, kept.progress), (JobState::Running, progress));
    assert_eq!(kept.description.as_deref(), Some("new papers"));
    let counts = JobCounts {
        added: 1,
        failed: 1,
        removed: 1,
        unchanged: 5,
        passages: 3,
        ..JobCounts::default()
    };
    assert_eq!(kept.counts, counts);
    let first = store.job_items(job, None, 2).unwrap();
    assert_eq!(first[1].item, item("b.pdf", ItemAction::Failed));
    let remaining = store.job_items(job, Some(first[1].id), 2).unwrap();
    assert_eq!(remaining.len(), 1);
    assert_eq!(remaining[0].item.key, "c.md");

    store.stop_job(job, JobState::Completed, None).unwrap();
    log(&store, vec![item("after.md", ItemAction::Added)]);
    let ended = store.job(job).unwrap().unwrap();
    assert_eq!((ended.state, ended.counts.added), (JobState::Completed, 1));
    assert!(ended.ended_at.is_some() && ended.progress.eta_seconds.is_none());
    assert_eq!(store.open_job().unwrap(), None);
}

#[test]
fn a_job_whose_process_died_is_interrupted_and_a_paused_one_stays_paused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let killed = store.begin_job(JobCause::Start, None).unwrap();
    drop(store);
    let reader = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.jobs(None, 9).unwrap()[0].state, JobState::Interrupted);
    assert_eq!(reader.open_job().unwrap(), None);
    let store = open(dir.path());
    let ended = store.job(killed).unwrap().unwrap();
    assert_eq!(ended.state, JobState::Interrupted);
    assert!(ended.end_reason.is_some() && ended.ended_at == Some(ended.last_seen_at));

    let paused = store.begin_job(JobCause::Start, None).unwrap();
    store.stop_job(paused, JobState::Paused, None).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.open_job().unwrap().unwrap().id, paused);
    assert!(
        !cancel_paused_job(dir.path(), paused).unwrap(),
        "a process has the store open"
    );
    drop(store);
    assert!(cancel_paused_job(dir.path(), paused).unwrap());
    let store = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(store.job(paused).unwrap().unwrap().state, JobState::Cancelled);
}

#[test]
fn a_job_whose_end_was_not_recorded_fails_at_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lost = store.begin_job(JobCause::Change, None).unwrap();
    let next = store.register_job(JobCause::Request, None).unwrap();
    store.fail_stale_jobs(Some(next)).unwrap();
    assert_eq!(store.job(lost).unwrap().unwrap().state, JobState::Failed);
    assert_eq!(store.open_job().unwrap().unwrap().id, next);
}

#[test]
fn a_scheduled_job_without_work_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (cause, kept) in [(JobCause::Schedule, 0), (JobCause::Request, 1)] {
        let job = store.begin_job(cause, None).unwrap();
        store.stop_job(job, JobState::Completed, None).unwrap();
        assert_eq!(store.jobs(None, 9).unwrap().len(), kept, "{cause:?}");
    }
}

#[test]
fn old_jobs_are_deleted_with_their_logs_but_open_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let paused = store.begin_job(JobCause::Start, None).unwrap();
    log(&store, vec![item("paused.md", ItemAction::Added)]);
    store.stop_job(paused, JobState::Paused, None).unwrap();
    let mut last = paused;
    for _ in 0..110 {
        last = store.begin_job(JobCause::Change, None).unwrap();
        log(&store, vec![item("a.md", ItemAction::Changed)]);
        store.stop_job(last, JobState::Completed, None).unwrap();
    }
    let kept = store.jobs(None, 1000).unwrap();
    assert_eq!(kept.len(), 101);
    assert_eq!((kept[0].id, kept[100].id), (last, paused));
    assert!(store.job_items(JobId(paused.0 + 1), None, 9).unwrap().is_empty());
    assert_eq!(store.job_items(paused, None, 9).unwrap().len(), 1);
    let page = store.jobs(Some(kept[1].id), 2).unwrap();
    assert_eq!(page[0].id, kept[2].id);

    let many = (0..100_001).map(|_| item("a.md", ItemAction::Changed)).collect();
    let large = store.begin_job(JobCause::Change, None).unwrap();
    log(&store, many);
    store.stop_job(large, JobState::Completed, None).unwrap();
    let kept: Vec<JobId> = store.jobs(None, 1000).unwrap().iter().map(|job| job.id).collect();
    assert_eq!(kept, [large, paused]);
}

#[test]
fn attempts_at_a_file_are_counted_until_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let document = NewDocument {
        key: "a.md".into(),
        stat: FileStat {
            size: 1,
            modified_ns: 0,
            inode: 0,
        },
        source_hash: ContentHash::of(b""),
        status: ItemStatus::Error,
        reason: Some("permission denied".into()),
        kind: "unknown".into(),
        language: None,
        title: None,
        metadata: Metadata::new(),
        text: String::new(),
        passages: Vec::new(),
    };
    let mut batch = ChangeBatch {
        upserts: vec![document],
        retries: vec![Retry {
            key: "a.md".into(),
            attempts: 2,
            at: Some(UnixMs(1234)),
        }],
        ..ChangeBatch::default()
    };
    store.apply(&batch).unwrap();
    drop(store);
    let store = open(dir.path());
    let known = store.known_files().unwrap();
    assert_eq!(
        (known["a.md"].attempts, known["a.md"].retry_at),
        (2, Some(UnixMs(1234)))
    );
    assert_eq!(store.next_retry().unwrap(), Some(UnixMs(1234)));
    batch.retries.clear();
    store.apply(&batch).unwrap();
    assert_eq!(store.next_retry().unwrap(), None);
    assert_eq!(store.known_files().unwrap()["a.md"].attempts, 0);
}
