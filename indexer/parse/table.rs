//! Tables as text: comma and tab separated values.

use super::composer::Composer;
use super::sheets::write_table;
use super::{Parsed, Refusal};

/// Separators that a table may have.
const SEPARATORS: &[u8] = b",;\t|";
/// Lines that are looked at to find the separator.
const LOOKED_AT: usize = 20;

/// Parses a table. Where it is none after all, nothing comes of it and the text is to be kept as it is.
pub(super) fn parse(text: &str, kind: &'static str) -> Option<Result<Parsed, Refusal>> {
    let separator = separator(text, kind);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        let record = record.ok()?;
        rows.push(record.iter().map(str::to_owned).collect());
    }
    let mut composer = Composer::default();
    write_table(&rows, 1, &mut composer);
    Some(composer.finish(kind, "a table without text"))
}

/// The separator that most lines have the same number of.
fn separator(text: &str, kind: &str) -> u8 {
    if kind == "tsv" {
        return b'\t';
    }
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty())
        .take(LOOKED_AT)
        .collect();
    let agreement = |separator: u8| {
        let counts = lines
            .iter()
            .map(|line| line.bytes().filter(|byte| *byte == separator).count());
        let counts: Vec<usize> = counts.collect();
        let first = counts.first().copied().unwrap_or_default();
        let alike = counts
            .iter()
            .filter(|count| **count == first && first > 0)
            .count();
        (alike, first)
    };
    SEPARATORS
        .iter()
        .copied()
        .rev()
        .max_by_key(|separator| agreement(*separator))
        .filter(|separator| agreement(*separator).0 > 0)
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_quotes_and_ragged_rows() {
        let text = "name;size\n\"a;b\";1\nc;2;3\n";
        let parsed = parse(text, "csv").unwrap().unwrap();
        assert_eq!(
            parsed.text,
            "| name | size | |\n|---|---|---|\n| a;b | 1 | |\n| c | 2 | 3 |\n"
        );
        let parsed = parse("a\tb\n1,5\t2\n", "tsv").unwrap().unwrap();
        assert_eq!(parsed.text, "| a | b |\n|---|---|\n| 1,5 | 2 |\n");
    }

    #[test]
    fn the_columns_of_a_long_table_are_a_heading() {
        let text = format!("name,size\n{}", "a,1\n".repeat(20));
        let parsed = parse(&text, "csv").unwrap().unwrap();
        let super::super::Structure::Headings(headings) = parsed.structure else {
            panic!()
        };
        assert_eq!((headings[0].at, headings[0].text.as_str()), (0, "name, size"));
        assert!(!parsed.text.contains("name, size"));
    }
}
