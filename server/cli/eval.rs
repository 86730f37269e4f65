//! `autorag eval`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use autorag_indexer::{Cancel, GivenDocument, Progress};
use autorag_query::evaluation::{Collection, Measures, Run};
use autorag_query::{Mode, QueryError, Request};
use clap::Args;

use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, Setup, WalkFlags};
use crate::corpus::{Access, Corpus, Plan};
use crate::progress;

/// Candidates each retriever gives: enough for the best hundred documents by their passages.
const DEPTH: usize = 300;
/// Questions shown of those that a comparison finds better, and of those it finds worse.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub struct Eval {
    /// A collection (corpus.jsonl, queries.jsonl, qrels.tsv), or with --questions and --qrels a folder of documents
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Questions about the folder: id, tab, question
    #[arg(long, value_name = "FILE", requires = "qrels")]
    questions: Option<PathBuf>,
    /// Judgments: question id, tab, document, tab, grade
    #[arg(long, value_name = "FILE", requires = "questions")]
    qrels: Option<PathBuf>,
    /// Write the hybrid ranking in the format of TREC
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Compare the hybrid ranking, question by question, with one written by --run
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    walk: WalkFlags,
    #[command(flatten)]
    common: CommonFlags,
}

impl Eval {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = self.common.setup(&self.walk, Vec::new())?;
        let collection = match (&self.questions, &self.qrels) {
            (Some(questions), Some(qrels)) => Collection::about_folder(questions, qrels)?,
            _ => Collection::read(&self.folder)?,
        };
        anyhow::ensure!(
            !collection.questions.is_empty(),
            "no question has a document that is judged relevant"
        );
        let before = self.compare.as_deref().map(Run::read).transpose()?;
        // Gone with its index when the command ends.
        let scratch = tempfile::tempdir().context("cannot make a temporary folder for the index")?;
        let corpus = indexed(&setup, &self.folder, &collection, scratch.path())?;
        let mut out = std::io::stdout().lock();
        let counts = corpus.index_state()?;
        writeln!(
            out,
            "{} documents, {} passages, {} questions",
            counts.documents,
            counts.passages,
            collection.questions.len()
        )?;
        writeln!(
            out,
            "{:<10}{:>9}{:>11}{:>12}{:>9}",
            "", "nDCG@10", "recall@10", "recall@100", "MRR@10"
        )?;
        for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
            let run = ranked(&corpus, &collection, mode)?;
            row(&mut out, mode.as_str(), run.measures(&collection))?;
            if mode == Mode::Hybrid {
                if let Some(path) = &self.run {
                    run.write(&mut fs_err::File::create(path)?, "autorag")?;
                }
                if let Some(before) = &before {
                    compare(&mut out, &collection, before, &run)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The collection's documents in an index under `scratch`, or the folder's index, up to date.
fn indexed(setup: &Setup, folder: &Path, collection: &Collection, scratch: &Path) -> anyhow::Result<Corpus> {
    let cancel = Cancel::default();
    cancel_on_signal(&cancel)?;
    let progress = Arc::new(Progress::default());
    if collection.documents.is_empty() {
        let corpus = Corpus::open(setup.plan(&[folder.to_owned()])?, Access::Write)?;
        progress::watched(setup.show, &progress, || corpus.update(&progress, &cancel, None))?;
        return Ok(corpus);
    }
    let plan = Plan {
        sources: Vec::new(),
        data_dir: scratch.to_owned(),
        options: setup.settings.index_options(),
        search: setup.settings.search.clone(),
    };
    let corpus = Corpus::open(plan, Access::Write)?;
    let given = |document: &autorag_query::evaluation::CollectionDocument| GivenDocument {
        key: document.id.clone(),
        title: Some(document.title.clone()).filter(|title| !title.trim().is_empty()),
        text: document.text.clone(),
    };
    let documents: Vec<GivenDocument> = collection.documents.iter().map(given).collect();
    let put = progress::watched(setup.show, &progress, || {
        corpus.put(&documents, &progress, &cancel)
    })?;
    let left_out = documents.len() as u64 - put;
    if left_out > 0 {
        tracing::warn!("{left_out} documents of the collection have no text and are left out");
    }
    Ok(corpus)
}

fn ranked(corpus: &Corpus, collection: &Collection, mode: Mode) -> Result<Run, QueryError> {
    let mut run = Run::default();
    for question in &collection.questions {
        let request = Request {
            mode,
            ..Request::new(question.text.clone())
        };
        run.insert(&question.id, corpus.engine().rank(&request, DEPTH)?);
    }
    Ok(run)
}

fn row(out: &mut impl Write, name: &str, measures: Measures) -> std::io::Result<()> {
    let Measures {
        ndcg_10,
        recall_10,
        recall_100,
        mrr_10,
    } = measures;
    writeln!(
        out,
        "{name:<10}{ndcg_10:>9.4}{recall_10:>11.4}{recall_100:>12.4}{mrr_10:>9.4}"
    )
}

/// Which questions gained and lost the most against an earlier run.
fn compare(out: &mut impl Write, collection: &Collection, before: &Run, now: &Run) -> std::io::Result<()> {
    row(out, "before", before.measures(collection))?;
    let change = |id: &str| {
        let of = |run: &Run| run.measures_of(collection, id).ndcg_10;
        of(now) - of(before)
    };
    let mut changed: Vec<_> = collection
        .questions
        .iter()
        .map(|question| (change(&question.id), question))
        .filter(|(change, _)| *change != 0.0)
        .collect();
    changed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let worse = changed.iter().filter(|(change, _)| *change < 0.0);
    let better = changed.iter().rev().filter(|(change, _)| *change > 0.0);
    writeln!(
        out,
        "{} questions better, {} worse, by nDCG@10",
        better.clone().count(),
        worse.clone().count()
    )?;
    for (change, question) in worse.take(SHOWN).chain(better.take(SHOWN)) {
        writeln!(out, "{change:>+8.3}  {}  {}", question.id, question.text)?;
    }
    Ok(())
}
