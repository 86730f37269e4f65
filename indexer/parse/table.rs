//! Comma- and tab-separated values.

use super::composer::Composer;
use super::sheets::write_table;
use super::{Parsed, Refusal};

/// Possible separators of a CSV file.
const SEPARATORS: &[u8] = b",;\t|";
/// Lines sampled to find the separator.
const SAMPLE: usize = 20;

/// Parses a table. Returns `None` if the text is not a table.
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
    Some(composer.finish(kind, "table"))
}

/// The separator that occurs equally often in most lines.
fn separator(text: &str, kind: &str) -> u8 {
    if kind == "tsv" {
        return b'\t';
    }
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty())
        .take(SAMPLE)
        .collect();
    let score = |separator: u8| {
        let counts = lines
            .iter()
            .map(|line| line.bytes().filter(|byte| *byte == separator).count());
        let counts: Vec<usize> = counts.collect();
        let first = counts.first().copied().unwrap_or_default();
        let equal = counts
            .iter()
            .filter(|count| **count == first && first > 0)
            .count();
        (equal, first)
    };
    SEPARATORS
        .iter()
        .copied()
        .rev()
        .max_by_key(|separator| score(*separator))
        .filter(|separator| score(*separator).0 > 0)
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_quotes_and_ragged_rows_are_parsed() {
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
    fn a_long_table_has_its_columns_as_a_label() {
        let text = format!("name,size\n{}", "a,1\n".repeat(20));
        let parsed = parse(&text, "csv").unwrap().unwrap();
        let super::super::Structure::Headings(headings) = parsed.structure else {
            panic!()
        };
        assert_eq!((headings[0].at, headings[0].text.as_str()), (0, "name, size"));
        assert!(!parsed.text.contains("name, size"));
    }
}
