//! Spreadsheets: a page a sheet, its name the heading, its filled areas as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use autorag_store::Metadata;
use calamine::{Data, Ods, Reader, Sheets, Xls, Xlsb, Xlsx};

use super::composer::{Composer, LONGEST_TEXT};
use super::{Parsed, Refusal};

/// Rows from which on the names of the columns stand above every passage.
const LONG_TABLE: usize = 8;
/// Longest line of names of columns, characters.
const LONGEST_NAMES: usize = 160;

/// A row: its cells that hold something, by column.
pub(super) type Row = BTreeMap<u32, String>;

/// Parses a workbook, named `kind`, of which title and metadata are known already.
pub(super) fn parse(
    bytes: &[u8],
    kind: &'static str,
    (title, metadata): (Option<String>, Metadata),
) -> Result<Parsed, Refusal> {
    let failed = |error: calamine::Error| {
        let said = error.to_string();
        match said.to_lowercase().contains("password") {
            true => Refusal::error("encrypted with a password"),
            false => Refusal::error(format!("broken spreadsheet: {said}")),
        }
    };
    let mut workbook = open(bytes, kind).map_err(failed)?;
    let mut composer = Composer::default();
    let mut unread = Vec::new();
    for name in workbook.sheet_names() {
        composer.page();
        match rows(&mut workbook, &name) {
            Ok(rows) => sheet(&name, &rows, &mut composer),
            Err(error) => unread.push(failed(error).reason),
        }
    }
    if composer.is_empty()
        && let Some(reason) = unread.pop()
    {
        return Err(Refusal::error(reason));
    }
    let mut parsed = composer.finish(kind, "a spreadsheet without text")?;
    parsed.title = title;
    parsed.metadata = metadata;
    Ok(parsed)
}

fn open<'b>(bytes: &'b [u8], kind: &str) -> Result<Sheets<Cursor<&'b [u8]>>, calamine::Error> {
    let file = Cursor::new(bytes);
    Ok(match kind {
        "xlsx" => Sheets::Xlsx(Xlsx::new(file)?),
        "xlsb" => Sheets::Xlsb(Xlsb::new(file)?),
        "ods" => Sheets::Ods(Ods::new(file)?),
        _ => Sheets::Xls(Xls::new(file)?),
    })
}

/// The filled cells of a sheet. Those of the newer formats are read one by one: a cell far out in an empty sheet would make a
/// full grid too large for any memory.
fn rows(workbook: &mut Sheets<Cursor<&[u8]>>, name: &str) -> Result<BTreeMap<u32, Row>, calamine::Error> {
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    let mut length = 0;
    let mut keep = |row: u32, column: u32, text: String| {
        length += text.len();
        if !text.trim().is_empty() && length <= LONGEST_TEXT {
            rows.entry(row).or_default().insert(column, text);
        }
    };
    match workbook {
        Sheets::Xlsx(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(name)?;
            while let Some(cell) = cells.next_cell()? {
                let (row, column) = cell.get_position();
                keep(row, column, written(&Data::from(cell.get_value().clone())));
            }
        }
        Sheets::Xlsb(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(name)?;
            while let Some(cell) = cells.next_cell()? {
                let (row, column) = cell.get_position();
                keep(row, column, written(&Data::from(cell.get_value().clone())));
            }
        }
        other => {
            let range = other.worksheet_range(name)?;
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, cell) in range.used_cells() {
                keep(top + row as u32, left + column as u32, written(cell));
            }
        }
    }
    Ok(rows)
}

/// A cell as a reader sees it.
fn written(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(value) => (if *value { "TRUE" } else { "FALSE" }).to_owned(),
        Data::Error(error) => error.to_string(),
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ if time.as_f64() < 1.0 => format!("{hour:02}:{minute:02}:{second:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        Data::DateTime(time) => number(time.as_f64()),
        Data::Float(value) => number(*value),
        other => other.to_string(),
    }
}

/// A number without the noise of binary fractions.
fn number(value: f64) -> String {
    let rounded = format!("{value:.12}");
    match rounded.contains('.') && value.abs() < 1e15 && value.abs() > 1e-9 {
        true => rounded.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => value.to_string(),
    }
}

/// A sheet in areas, which empty rows part.
fn sheet(name: &str, rows: &BTreeMap<u32, Row>, composer: &mut Composer) {
    if rows.is_empty() {
        return;
    }
    composer.heading(1, name);
    let mut area: Vec<&Row> = Vec::new();
    let mut last = None;
    for (at, row) in rows {
        if last.is_some_and(|last| at - last > 1) {
            write_area(&std::mem::take(&mut area), composer);
        }
        last = Some(*at);
        area.push(row);
    }
    write_area(&area, composer);
}

fn write_area(area: &[&Row], composer: &mut Composer) {
    // Lines of one cell above a table are its title.
    let titles = match area.iter().any(|row| row.len() > 1) {
        true => area.iter().take_while(|row| row.len() == 1).count(),
        false => area.len(),
    };
    let (titles, table) = area.split_at(titles);
    let lines: Vec<&str> = titles
        .iter()
        .flat_map(|row| row.values())
        .map(String::as_str)
        .collect();
    composer.paragraph(&lines.join("\n"));
    let columns: BTreeSet<u32> = table.iter().flat_map(|row| row.keys().copied()).collect();
    let cell = |row: &Row, column: &u32| row.get(column).cloned().unwrap_or_default();
    let rows: Vec<Vec<String>> = table
        .iter()
        .map(|row| columns.iter().map(|column| cell(row, column)).collect())
        .collect();
    write_table(&rows, 2, composer);
}

/// A table whose first row names its columns. Where it is long, they are a heading, since it will be cut into passages.
pub(super) fn write_table(rows: &[Vec<String>], level: usize, composer: &mut Composer) {
    let is_long = rows.len() > LONG_TABLE;
    if is_long && let Some(head) = rows.first() {
        let mut names = head
            .iter()
            .filter(|name| !name.trim().is_empty())
            .cloned()
            .collect::<Vec<_>>();
        while names.len() > 1
            && names.iter().map(|name| name.chars().count() + 2).sum::<usize>() > LONGEST_NAMES
        {
            names.pop();
        }
        let line: String = names.join(", ").chars().take(LONGEST_NAMES).collect();
        composer.label(level, &line);
    }
    composer.table(rows);
    if is_long {
        composer.end_label(level);
    }
}
