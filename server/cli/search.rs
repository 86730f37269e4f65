//! `autorag search`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use autorag_indexer::{Cancel, IndexError, Progress};
use autorag_query::Request;
use autorag_store::JobCause;
use clap::Args;

use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, WalkFlags};
use super::{INTERRUPTED, answer};
use crate::instance::{Access, Instance};
use crate::progress;
use crate::wire::{AnswerWire, BoostBody, SearchBody};

#[derive(Debug, Args)]
pub struct Search {
    /// Folder to ask
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The question, in words; "quoted phrases" must occur, -words must not; title:, heading:, path:, kind:
    #[arg(required = true, value_name = "QUERY")]
    query: Vec<String>,
    /// How many hits, 1 to 50
    #[arg(short = 'n', long, default_value_t = 10)]
    limit: usize,
    /// How many hits to pass over first
    #[arg(long, default_value_t = 0)]
    offset: usize,
    /// hybrid, lexical (words) or dense (meaning)
    #[arg(short, long, default_value = "hybrid")]
    mode: String,
    /// How hybrid joins its two lists: weighted, rrf or max
    #[arg(long, default_value = "weighted")]
    fusion: String,
    /// Find by words only passages that have all of them
    #[arg(long)]
    all_words: bool,
    /// Which documents may answer, in JSON, such as '{"folder": {"$prefix": "guide/"}}'
    #[arg(short, long, value_name = "JSON")]
    filter: Option<String>,
    /// Least score of a hit, from 0 (any) to 1 [default: search.score_threshold of the settings, 0]
    #[arg(long, value_name = "SCORE")]
    score_threshold: Option<f32>,
    /// Most hits of one document, 1 to 50, or 0 for any number [default: 3; any where there are fewer than ten documents]
    #[arg(long, value_name = "N")]
    max_per_document: Option<usize>,
    /// Print each hit whole, with so many passages on each side, 0 to 3
    #[arg(long, value_name = "N")]
    context: Option<u32>,
    /// What moves passages up, FIELD:DIRECTION with asc, desc, exists or not_exists; up to three times
    #[arg(long, value_name = "FIELD:DIRECTION", value_parser = boost)]
    boost: Vec<BoostBody>,
    /// Move new documents up; the boost halves with every so many days of age
    #[arg(long, value_name = "DAYS")]
    boost_recent: Option<f32>,
    /// Let the reranker of the settings look at the best candidates again
    #[arg(long)]
    rerank: bool,
    /// How long that may take, milliseconds [default: rerank.budget_ms of the settings, 500]
    #[arg(long, value_name = "MS", requires = "rerank")]
    rerank_budget_ms: Option<u64>,
    /// Say of each hit why it is where it is: words, scores, weights, ranks
    #[arg(long)]
    explain: bool,
    /// Show passages that say the same as hits of their own
    #[arg(long)]
    keep_duplicates: bool,
    /// Print the answer as JSON, in the shape of the HTTP API
    #[arg(long)]
    json: bool,
    /// Ask the index as it is, without bringing it up to date first
    #[arg(long)]
    no_update: bool,
    #[command(flatten)]
    walk: WalkFlags,
    #[command(flatten)]
    common: CommonFlags,
}

impl Search {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = self.common.setup(&self.walk, Vec::new())?;
        let request = Request::try_from(self.body()?)?;
        let config = setup.instance_config(std::slice::from_ref(&self.folder))?;
        let access = if self.no_update {
            Access::Read
        } else {
            Access::WriteOrFollow
        };
        let instance = Instance::open(config, access)?;
        // Where indexing rests, the answer says so.
        if instance.writes() && !instance.is_paused() {
            let cancel = Cancel::default();
            cancel_on_signal(&cancel)?;
            let progress = Arc::new(Progress::default());
            let updated = progress::watched(setup.show, &progress, || {
                instance.update(&progress, &cancel, None, JobCause::Command)
            });
            match updated {
                Ok(_) | Err(IndexError::Paused | IndexError::JobCancelled) => {}
                Err(IndexError::Cancelled) => return Ok(ExitCode::from(INTERRUPTED)),
                Err(error) => return Err(error.into()),
            }
        }
        let answered = AnswerWire::from(instance.search(&request)?);
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &answered)?;
            writeln!(out)?;
        } else {
            answer::print(&mut out, &answered, self.context.is_some(), answer::palette())?;
        }
        // As grep has it: nothing found is not an error, but a script can tell.
        Ok(if answered.hits.is_empty() {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn boosts(&self) -> Vec<BoostBody> {
        let recent = self.boost_recent.map(|days| BoostBody {
            field: "timestamp".to_owned(),
            direction: "desc".to_owned(),
            weight: None,
            half_life_days: Some(days),
        });
        self.boost.iter().cloned().chain(recent).collect()
    }

    fn body(&self) -> anyhow::Result<SearchBody> {
        let filters = self.filter.as_deref().map(serde_json::from_str);
        Ok(SearchBody {
            query: self.query.join(" "),
            mode: Some(self.mode.clone()),
            fusion: Some(self.fusion.clone()),
            keyword_match_mode: self.all_words.then(|| "and".to_owned()),
            limit: Some(self.limit),
            offset: Some(self.offset),
            filters: filters.transpose().context("--filter is not JSON")?,
            score_threshold: self.score_threshold,
            max_per_document: self.max_per_document,
            rerank: self.rerank,
            rerank_budget_ms: self.rerank_budget_ms,
            explain: self.explain,
            boost_by: self.boosts(),
            context_expansion: self.context,
            collapse_duplicates: Some(!self.keep_duplicates),
        })
    }
}

/// A boost as typed.
fn boost(typed: &str) -> Result<BoostBody, String> {
    let (field, direction) = typed
        .rsplit_once(':')
        .ok_or("needs a field, a colon and a direction, such as timestamp:desc")?;
    Ok(BoostBody {
        field: field.to_owned(),
        direction: direction.to_owned(),
        weight: None,
        half_life_days: None,
    })
}
