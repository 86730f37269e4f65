//! `autorag search`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use autorag_indexer::{Cancel, IndexError, Progress};
use autorag_query::Request;
use clap::Args;

use super::INTERRUPTED;
use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, WalkFlags};
use crate::corpus::{Access, Corpus};
use crate::progress;
use crate::wire::{AnswerWire, BoostBody, HitWire, SearchBody};

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
        let plan = setup.plan(std::slice::from_ref(&self.folder))?;
        let access = if self.no_update {
            Access::Read
        } else {
            Access::WriteOrFollow
        };
        let corpus = Corpus::open(plan, access)?;
        if corpus.writes() {
            let cancel = Cancel::default();
            cancel_on_signal(&cancel)?;
            let progress = Arc::new(Progress::default());
            match progress::watched(setup.show, &progress, || corpus.update(&progress, &cancel, None)) {
                Ok(_) => {}
                Err(IndexError::Cancelled) => return Ok(ExitCode::from(INTERRUPTED)),
                Err(error) => return Err(error.into()),
            }
        }
        let answer = AnswerWire::from(corpus.search(&request)?);
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &answer)?;
            writeln!(out)?;
        } else {
            let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            let whole = self.context.is_some();
            print(&mut out, &answer, whole, if colours { &COLOURS } else { &PLAIN })?;
        }
        // As grep has it: nothing found is not an error, but a script can tell.
        Ok(if answer.hits.is_empty() {
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

/// Escape sequences around parts of a hit.
struct Palette {
    title: &'static str,
    place: &'static str,
    marked: &'static str,
    dim: &'static str,
    warn: &'static str,
    reset: &'static str,
}

const PLAIN: Palette = Palette {
    title: "",
    place: "",
    marked: "",
    dim: "",
    warn: "",
    reset: "",
};
const COLOURS: Palette = Palette {
    title: "\x1b[1m",
    place: "\x1b[36m",
    marked: "\x1b[1;33m",
    dim: "\x1b[2m",
    warn: "\x1b[31m",
    reset: "\x1b[0m",
};

fn print(out: &mut impl Write, answer: &AnswerWire, whole: bool, colour: &Palette) -> std::io::Result<()> {
    for hit in &answer.hits {
        print_hit(out, hit, whole, colour)?;
    }
    if answer.hits.is_empty() {
        let state = &answer.index_state;
        match (&answer.below_threshold, state.complete) {
            (Some(below), _) if below.passages > 0 => writeln!(
                out,
                "Nothing relevant: the best of {} passages found has a score of {:.2}, which is below the threshold.",
                below.passages, below.best_score
            )?,
            (_, true) => writeln!(out, "Nothing found in {} documents.", state.documents)?,
            (_, false) => writeln!(
                out,
                "Nothing found yet: the index is {}, not complete.",
                state.phase
            )?,
        }
    }
    for part in &answer.degraded {
        writeln!(
            out,
            "{}note: {}: {}{}",
            colour.warn, part.part, part.reason, colour.reset
        )?;
    }
    Ok(())
}

fn print_hit(out: &mut impl Write, hit: &HitWire, whole: bool, colour: &Palette) -> std::io::Result<()> {
    let Palette {
        title,
        place,
        marked,
        dim,
        warn,
        reset,
    } = colour;
    let cited = &hit.citation;
    let mut heading = cited.heading_path.clone();
    if let Some(name) = hit
        .document
        .title
        .clone()
        .filter(|name| heading.first() != Some(name))
    {
        heading.insert(0, name);
    }
    write!(
        out,
        "{:>2}. {place}{}:{}-{}{reset}",
        hit.rank,
        printable(&cited.path),
        cited.start_line,
        cited.end_line
    )?;
    if !heading.is_empty() {
        write!(out, "  {title}{}{reset}", printable(&heading.join(" › ")))?;
    }
    if hit.freshness != "current" {
        write!(out, "  {warn}[{}]{reset}", hit.freshness)?;
    }
    if whole {
        for line in hit.text.lines() {
            write!(out, "\n    {}", printable(line))?;
        }
    } else {
        write!(out, "\n    ")?;
        for piece in &hit.snippet {
            let text = printable(&piece.text);
            match piece.highlight {
                true => write!(out, "{marked}{text}{reset}")?,
                false => write!(out, "{text}")?,
            }
        }
    }
    if !hit.duplicates.is_empty() {
        let again = hit
            .duplicates
            .iter()
            .map(|duplicate| format!("{}:{}", printable(&duplicate.path), duplicate.start_line));
        let again: Vec<String> = again.collect();
        write!(out, "\n    {dim}the same in {}{reset}", again.join(", "))?;
    }
    write!(out, "\n    {dim}score {:.2}", hit.score)?;
    if let (Some(score), Some(rank)) = (hit.scores.lexical, hit.scores.lexical_rank) {
        write!(out, "  bm25 {score:.2} (#{rank})")?;
    }
    if let (Some(score), Some(rank)) = (hit.scores.dense, hit.scores.dense_rank) {
        write!(out, "  cosine {score:.3} (#{rank})")?;
    }
    if let Some(rank) = hit.scores.rank_before_boosts {
        write!(out, "  before boosts #{rank}")?;
    }
    writeln!(out, "{reset}\n")
}

/// Text without control characters: a document must not steer the terminal it is shown on.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
