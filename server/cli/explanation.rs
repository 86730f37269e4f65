//! Prints how each hit got its rank (`--explain`).

use std::io::{Result, Write};

use super::answer::{Palette, printable};
use crate::wire::{ExplanationWire, FusionWire, HitWire, TermWire};

/// Prints the fusion weights, which depend on the question.
pub(super) fn print_fusion(out: &mut impl Write, fusion: &FusionWire, colour: &Palette) -> Result<()> {
    let Palette { dim, reset, .. } = colour;
    match fusion.method {
        "weighted" => writeln!(
            out,
            "{dim}weights: keywords {:.2}, embeddings {:.2}  (foreign {:.2}, code {:.2}, lead {:.2}){reset}\n",
            1.0 - fusion.dense_weight,
            fusion.dense_weight,
            fusion.foreign,
            fusion.code,
            fusion.lead
        ),
        method => writeln!(out, "{dim}fusion: {method}{reset}\n"),
    }
}

/// Prints the parts of a hit's score.
pub(super) fn print_hit(
    out: &mut impl Write,
    hit: &HitWire,
    explanation: &ExplanationWire,
    fusion: Option<&FusionWire>,
    colour: &Palette,
) -> Result<()> {
    let Palette { dim, reset, .. } = colour;
    for (number, term) in explanation.terms.iter().enumerate() {
        let name = if number == 0 { "terms" } else { "" };
        writeln!(out, "    {dim}{name:<8}{}{reset}", term_line(term))?;
    }
    let scores = &hit.scores;
    if let (Some(standing), Some(rank)) = (&explanation.lexical, scores.lexical_rank) {
        writeln!(
            out,
            "    {dim}lexical rank {rank}: {:.2} relative to the best in the list, {:.2} of the maximum for this question{reset}",
            standing.relative, standing.absolute
        )?;
    }
    if let (Some(standing), Some(rank)) = (&explanation.dense, scores.dense_rank) {
        writeln!(
            out,
            "    {dim}dense   rank {rank}: {:.2} relative to the best in the list, cosine {:.2}{reset}",
            standing.relative, standing.absolute
        )?;
    }
    let weights = fusion
        .filter(|fusion| fusion.method == "weighted")
        .map(|fusion| fusion.dense_weight);
    if let (Some(weight), Some(lexical), Some(dense)) = (weights, &explanation.lexical, &explanation.dense) {
        writeln!(
            out,
            "    {dim}fused   {:.3} = {:.2} x {:.2} + {:.2} x {:.2}{reset}",
            scores.fused,
            1.0 - weight,
            (lexical.relative + lexical.absolute) / 2.0,
            weight,
            (dense.relative + dense.absolute) / 2.0
        )?;
    } else if fusion.is_some() {
        writeln!(out, "    {dim}fused   {:.4}{reset}", scores.fused)?;
    }
    if let Some(before) = scores.rank_before_boosts {
        let odds: Vec<String> = scores
            .boosts
            .iter()
            .map(|boost| format!("x {:.2}", boost.odds))
            .collect();
        writeln!(
            out,
            "    {dim}boosts  odds {}: rank {before} before, {} now{reset}",
            odds.join(", "),
            hit.rank
        )?;
    }
    Ok(())
}

/// One line on a query term: its share of the score, and where it occurs.
fn term_line(term: &TermWire) -> String {
    let mut places = Vec::new();
    if term.in_text > 0 {
        places.push(format!("{} in text", term.in_text));
    }
    for (is_there, place) in [
        (term.in_title, "title"),
        (term.in_headings, "heading"),
        (term.in_path, "path"),
    ] {
        if is_there {
            places.push(place.to_owned());
        }
    }
    let places = if places.is_empty() {
        "absent".to_owned()
    } else {
        places.join(", ")
    };
    format!(
        "{:<16} {:>3.0} %  {places}  (in {} passages)",
        printable(&term.word),
        term.share * 100.0,
        term.passages
    )
}
