//! `autorag eval`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use autorag_indexer::{Cancel, Progress, PushedDocument};
use autorag_query::evaluation::{Collection, Measures, Run, known_items};
use autorag_query::{Mode, QueryError, Request};
use autorag_store::{DocumentQuery, ItemStatus, JobCause};
use clap::Args;

use super::answer;
use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, Setup, WalkFlags};
use crate::instance::{Access, Instance, InstanceConfig};
use crate::model::Models;
use crate::wire::AnswerWire;

/// Candidates per retriever, enough passages for 100 documents.
const DEPTH: usize = 300;
/// Maximum number of questions that a comparison lists: improved ones, and as many worsened ones.
const MAX_SHOWN: usize = 10;

#[derive(Debug, Args)]
pub struct Eval {
    /// A collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels.tsv), or a folder with --questions or --known-items
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Questions about the folder, tab-separated: id, question
    #[arg(long, value_name = "FILE", requires = "qrels")]
    questions: Option<PathBuf>,
    /// Relevance judgments, tab-separated: question id, document, grade
    #[arg(long, value_name = "FILE", requires = "questions")]
    qrels: Option<PathBuf>,
    /// Generate N known-item questions from the documents
    #[arg(long, value_name = "N", conflicts_with_all = ["questions", "qrels"])]
    known_items: Option<usize>,
    /// Seed of the generated questions
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "known_items")]
    seed: u64,
    /// Explain the ranking of one question
    #[arg(long, value_name = "ID", conflicts_with_all = ["run", "compare"])]
    explain: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "compare")]
    json: bool,
    /// Write the hybrid ranking as a TREC run file
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Compare the hybrid ranking with a run file, question by question
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
        let mut collection = match (&self.questions, &self.qrels, self.known_items) {
            (Some(questions), Some(qrels), _) => Collection::about_folder(questions, qrels)?,
            (_, _, Some(_)) => Collection::default(),
            _ => Collection::read(&self.folder)?,
        };
        let before = self.compare.as_deref().map(Run::read).transpose()?;
        // Deleted, with its index, when the command ends.
        let scratch = tempfile::tempdir().context("cannot create a temporary folder for the index")?;
        let instance = open_index(&setup, &self.folder, &collection, scratch.path())?;
        if let Some(count) = self.known_items {
            collection = generate_questions(&instance, count, self.seed)?;
            anyhow::ensure!(
                !collection.questions.is_empty(),
                "no document in {} has a unique sentence of 8 to 40 words to generate a question from",
                self.folder.display()
            );
        }
        anyhow::ensure!(
            !collection.questions.is_empty(),
            "no question has a document judged relevant"
        );
        let mut out = std::io::stdout().lock();
        if let Some(id) = &self.explain {
            explain(&mut out, &instance, &collection, id, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let counts = instance.index_state()?;
        let mut runs = Vec::new();
        for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
            runs.push((mode, rank_all(&instance, &collection, mode)?));
        }
        if self.json {
            let measures: serde_json::Map<String, serde_json::Value> = runs
                .iter()
                .map(|(mode, run)| (mode.as_str().to_owned(), as_json(run.measures(&collection))))
                .collect();
            let table = serde_json::json!({
                "documents": counts.documents,
                "passages": counts.passages,
                "questions": collection.questions.len(),
                "measures": measures,
            });
            serde_json::to_writer_pretty(&mut out, &table)?;
            writeln!(out)?;
        } else {
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
            for (mode, run) in &runs {
                row(&mut out, mode.as_str(), run.measures(&collection))?;
            }
        }
        if let Some((_, hybrid)) = runs.pop() {
            if let Some(path) = &self.run {
                hybrid.write(&mut fs_err::File::create(path)?, "autorag")?;
            }
            if let Some(before) = &before {
                compare(&mut out, &collection, before, &hybrid)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Generates known-item questions from the indexed documents.
fn generate_questions(instance: &Instance, count: usize, seed: u64) -> Result<Collection, QueryError> {
    let snapshot = instance.store().snapshot()?;
    let everything = DocumentQuery {
        prefix: None,
        status: Some(ItemStatus::Completed),
        after_key: None,
        limit: usize::MAX,
    };
    let mut texts = Vec::new();
    for entry in snapshot.documents(&everything) {
        if let Some(text) = snapshot.document_text(entry.key.as_str())? {
            texts.push((entry.key.clone(), text));
        }
    }
    let texts = texts.iter().map(|(key, text)| (key.as_str(), text.as_str()));
    Ok(known_items(texts, count, seed))
}

/// Prints one question: the ranks of its relevant documents in each mode, and the explained answer.
fn explain(
    out: &mut impl Write,
    instance: &Instance,
    collection: &Collection,
    id: &str,
    json: bool,
) -> anyhow::Result<()> {
    let question = collection.questions.iter().find(|question| question.id == id);
    let question = question.with_context(|| {
        let ids = collection
            .questions
            .iter()
            .take(3)
            .map(|question| question.id.as_str());
        let ids: Vec<&str> = ids.collect();
        format!("no question has the id {id:?}; ids look like {}", ids.join(", "))
    })?;
    let one = Collection {
        questions: vec![question.clone()],
        ..Collection::default()
    };
    let mut runs = Vec::new();
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        runs.push((mode, rank_all(instance, &one, mode)?));
    }
    let judged = collection.judgments.get(id).into_iter().flatten();
    let mut relevant: Vec<(&String, u32)> = judged
        .filter(|(_, grade)| **grade > 0)
        .map(|(document, grade)| (document, *grade))
        .collect();
    relevant.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let request = Request {
        explain: true,
        ..Request::new(question.text.clone())
    };
    let answered = AnswerWire::from(instance.search(&request)?);
    if json {
        let relevant: Vec<serde_json::Value> = relevant
            .iter()
            .map(|(document, grade)| {
                let ranks: serde_json::Map<String, serde_json::Value> = runs
                    .iter()
                    .map(|(mode, run)| (mode.as_str().to_owned(), run.rank_of(id, document).into()))
                    .collect();
                serde_json::json!({"document": document, "grade": grade, "ranks": ranks})
            })
            .collect();
        let explained = serde_json::json!({
            "question": {"id": question.id, "text": question.text},
            "relevant": relevant,
            "answer": answered,
        });
        serde_json::to_writer_pretty(&mut *out, &explained)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{}  {}\n", question.id, question.text)?;
    for (document, grade) in relevant {
        let ranks = runs.iter().map(|(mode, run)| match run.rank_of(id, document) {
            Some(rank) => format!("{mode} #{rank}"),
            None => format!("{mode} not found"),
        });
        let ranks: Vec<String> = ranks.collect();
        writeln!(out, "relevant ({grade}): {document}  {}", ranks.join(", "))?;
    }
    writeln!(out)?;
    answer::print(out, &answered, false, answer::palette())?;
    Ok(())
}

fn as_json(measures: Measures) -> serde_json::Value {
    serde_json::json!({
        "ndcg_10": measures.ndcg_10,
        "recall_10": measures.recall_10,
        "recall_100": measures.recall_100,
        "mrr_10": measures.mrr_10,
    })
}

/// Indexes the collection's documents under `scratch`, or updates the folder's own index.
fn open_index(
    setup: &Setup,
    folder: &Path,
    collection: &Collection,
    scratch: &Path,
) -> anyhow::Result<Instance> {
    let cancel = Cancel::default();
    cancel_on_signal(&cancel)?;
    let progress = Arc::new(Progress::default());
    if collection.documents.is_empty() {
        let instance = Instance::open(setup.instance_config(&[folder.to_owned()])?, Access::Write)?;
        // While indexing is paused, measure the existing index.
        if !instance.is_paused() {
            setup.display.show_during(&progress, || {
                instance.update(&progress, &cancel, None, JobCause::Command)
            })?;
        }
        return Ok(instance);
    }
    let config = InstanceConfig {
        sources: Vec::new(),
        data_dir: scratch.to_owned(),
        options: setup.index_options(),
        search: setup.settings().search.clone(),
        reranker: None,
        models: Models::beside(scratch, setup.settings().model.clone(), setup.environment.clone()),
        vector_index: setup.settings().vectors.index,
    };
    let instance = Instance::open(config, Access::Write)?;
    let to_pushed = |document: &autorag_query::evaluation::CollectionDocument| PushedDocument {
        key: document.id.as_str().into(),
        title: Some(document.title.clone()).filter(|title| !title.trim().is_empty()),
        text: document.text.clone(),
    };
    let documents: Vec<PushedDocument> = collection.documents.iter().map(to_pushed).collect();
    let put = setup
        .display
        .show_during(&progress, || instance.push(&documents, &progress, &cancel))?;
    let skipped = documents.len() as u64 - put;
    if skipped > 0 {
        tracing::warn!("{skipped} documents of the collection have no text and are skipped");
    }
    Ok(instance)
}

fn rank_all(instance: &Instance, collection: &Collection, mode: Mode) -> Result<Run, QueryError> {
    let mut run = Run::default();
    for question in &collection.questions {
        let request = Request {
            mode,
            ..Request::new(question.text.clone())
        };
        let ranking = instance.engine().rank(&request, DEPTH)?;
        let ranking = ranking.into_iter().map(|(key, score)| (key.into(), score));
        run.insert(&question.id, ranking);
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

/// Prints the questions that changed most against an earlier run.
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
    for (change, question) in worse.take(MAX_SHOWN).chain(better.take(MAX_SHOWN)) {
        let place = |run: &Run| match run.first_relevant(collection, &question.id) {
            Some(rank) => format!("#{rank}"),
            None => "not found".to_owned(),
        };
        writeln!(
            out,
            "{change:>+8.3}  {}  {}  ({} before, {} now)",
            question.id,
            question.text,
            place(before),
            place(now)
        )?;
    }
    Ok(())
}
