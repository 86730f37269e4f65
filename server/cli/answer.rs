//! Prints answers as text.

use std::io::{IsTerminal, Write};

use super::explanation;
use crate::wire::{AnswerWire, HitWire};

/// Escape sequences for the parts of a hit.
pub(super) struct Palette {
    pub(super) title: &'static str,
    pub(super) place: &'static str,
    pub(super) marked: &'static str,
    pub(super) dim: &'static str,
    pub(super) warn: &'static str,
    pub(super) reset: &'static str,
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

/// Colours if standard output is a terminal and `NO_COLOR` is unset.
pub(super) fn palette() -> &'static Palette {
    let is_allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if std::io::stdout().is_terminal() && is_allowed {
        &COLOURS
    } else {
        &PLAIN
    }
}

/// Prints an answer: the snippet of each hit, or with `whole` its full text.
pub(super) fn print(
    out: &mut impl Write,
    answer: &AnswerWire,
    whole: bool,
    colour: &Palette,
) -> std::io::Result<()> {
    if let Some(fusion) = answer.fusion.as_ref().filter(|_| has_explanation(answer)) {
        explanation::print_fusion(out, fusion, colour)?;
    }
    for hit in &answer.hits {
        print_hit(out, hit, whole, colour)?;
        if let Some(explanation) = &hit.explanation {
            explanation::print_hit(out, hit, explanation, answer.fusion.as_ref(), colour)?;
        }
        writeln!(out)?;
    }
    if answer.hits.is_empty() {
        let state = &answer.index_state;
        let below = answer.below_threshold.as_ref();
        if let Some(below) = below.filter(|below| below.passages > 0) {
            writeln!(
                out,
                "Nothing relevant: the best of {} passages has score {:.2}, below the threshold.",
                below.passages, below.best_score
            )?;
        } else if state.complete {
            writeln!(out, "Nothing found in {} documents.", state.documents)?;
        } else {
            writeln!(
                out,
                "Nothing found yet: the index is incomplete ({}).",
                state.phase
            )?;
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
            if piece.highlight {
                write!(out, "{marked}{text}{reset}")?;
            } else {
                write!(out, "{text}")?;
            }
        }
    }
    if !hit.duplicates.is_empty() {
        let places = hit
            .duplicates
            .iter()
            .map(|duplicate| format!("{}:{}", printable(&duplicate.path), duplicate.start_line));
        let places: Vec<String> = places.collect();
        write!(out, "\n    {dim}duplicates: {}{reset}", places.join(", "))?;
    }
    write!(out, "\n    {dim}score {:.2}", hit.score)?;
    if let (Some(score), Some(rank)) = (hit.scores.lexical, hit.scores.lexical_rank) {
        write!(out, "  bm25 {score:.2} (#{rank})")?;
    }
    if let (Some(score), Some(rank)) = (hit.scores.dense, hit.scores.dense_rank) {
        write!(out, "  cosine {score:.3} (#{rank})")?;
    }
    if let (Some(score), Some(rank)) = (hit.scores.rerank, hit.scores.rank_before_rerank) {
        write!(out, "  rerank {score:.3} (before #{rank})")?;
    }
    if let Some(rank) = hit.scores.rank_before_boosts {
        write!(out, "  before boosts #{rank}")?;
    }
    writeln!(out, "{reset}")
}

fn has_explanation(answer: &AnswerWire) -> bool {
    answer.hits.iter().any(|hit| hit.explanation.is_some())
}

/// Replaces control characters with spaces. Otherwise a document could send escape sequences to the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
