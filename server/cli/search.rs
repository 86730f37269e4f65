//! `autorag search`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use autorag_indexer::{Cancel, IndexError, Progress};
use autorag_query::{Direction, Fusion, Mode, Request};
use autorag_store::{JobCause, UnknownVariant};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, WalkFlags};
use super::{INTERRUPTED, answer};
use crate::instance::{Access, Instance};
use crate::wire::{AnswerWire, BoostBody, SearchBody};

#[derive(Debug, Args)]
pub struct Search {
    /// Folder to search
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Question or keywords; in keyword search "quoted phrases" must occur and -words must not; title:, heading:, path: and kind:
    /// restrict every search
    #[arg(required = true, value_name = "QUERY")]
    query: Vec<String>,
    /// Maximum number of hits, 1 to 50
    #[arg(short = 'n', long, default_value_t = 10)]
    limit: usize,
    /// Skip the first N hits
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,
    /// Retrievers: lexical finds keywords, dense compares embeddings, hybrid does both
    #[arg(short, long, default_value_t = Mode::default(), value_parser = parser_of::<Mode>(Mode::STRINGS))]
    mode: Mode,
    /// Method that merges the two rankings of a hybrid search
    #[arg(long, default_value_t = Fusion::default(), value_parser = parser_of::<Fusion>(Fusion::STRINGS))]
    fusion: Fusion,
    /// Require every keyword
    #[arg(long)]
    all_words: bool,
    /// Search only documents that match, for example '{"folder": {"$prefix": "guide/"}}'
    #[arg(short, long, value_name = "JSON")]
    filter: Option<String>,
    /// Minimum score of a hit, 0 to 1 [default: the setting search.score_threshold, 0]
    #[arg(long, value_name = "SCORE")]
    score_threshold: Option<f32>,
    /// Maximum hits of one document; 0 means no limit [default: 3; no limit below ten documents]
    #[arg(long, value_name = "N")]
    max_per_document: Option<usize>,
    /// Print whole passages plus N neighbours on each side, 0 to 3
    #[arg(long, value_name = "N")]
    context: Option<u32>,
    /// Boost by a metadata field; directions: asc, desc, exists, not_exists; up to three times
    #[arg(long, value_name = "FIELD:DIRECTION", value_parser = parse_boost)]
    boost: Vec<BoostBody>,
    /// Boost recent documents; the boost halves every DAYS days of age
    #[arg(long, value_name = "DAYS")]
    boost_recent: Option<f32>,
    /// Rerank the best candidates with the configured reranker
    #[arg(long)]
    rerank: bool,
    /// Time budget for reranking, in milliseconds [default: the setting rerank.budget_ms, 500]
    #[arg(long, value_name = "MS", requires = "rerank")]
    rerank_budget_ms: Option<u64>,
    /// Show how each hit got its rank: terms, scores, weights
    #[arg(long)]
    explain: bool,
    /// Do not collapse duplicate passages
    #[arg(long)]
    keep_duplicates: bool,
    /// Print the answer as JSON, as the HTTP API returns it
    #[arg(long)]
    json: bool,
    /// Search without updating the index first
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
        // While indexing is paused, search the existing index. The answer reports the pause.
        if instance.writes() && !instance.is_paused() {
            let cancel = Cancel::default();
            cancel_on_signal(&cancel)?;
            let progress = Arc::new(Progress::default());
            let updated = setup.display.show_during(&progress, || {
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
        // Like grep: no match is status 1.
        Ok(if answered.hits.is_empty() {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn boosts(&self) -> Vec<BoostBody> {
        let recent = self.boost_recent.map(|days| BoostBody {
            field: "timestamp".to_owned(),
            direction: Direction::Desc.to_string(),
            weight: None,
            half_life_days: Some(days),
        });
        self.boost.iter().cloned().chain(recent).collect()
    }

    fn body(&self) -> anyhow::Result<SearchBody> {
        let filters = self.filter.as_deref().map(serde_json::from_str);
        Ok(SearchBody {
            query: self.query.join(" "),
            mode: Some(self.mode.to_string()),
            fusion: Some(self.fusion.to_string()),
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

/// Parser of an option whose allowed `words` appear in help and completions.
fn parser_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownVariant> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// Parses the value of `--boost`.
fn parse_boost(text: &str) -> Result<BoostBody, String> {
    let (field, direction) = text
        .rsplit_once(':')
        .ok_or("expected FIELD:DIRECTION, such as timestamp:desc")?;
    let direction: Direction = direction
        .parse()
        .map_err(|error: UnknownVariant| error.to_string())?;
    Ok(BoostBody {
        field: field.to_owned(),
        direction: direction.to_string(),
        weight: None,
        half_life_days: None,
    })
}
