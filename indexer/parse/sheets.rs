//! Spreadsheets. Each sheet is a page with its name as heading and its filled areas as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use autorag_store::Metadata;
use calamine::{Data, Error, Ods, OdsError, Reader, Sheets, Xls, XlsError, Xlsb, XlsbError, Xlsx, XlsxError};

use super::composer::{Composer, MAX_TEXT};
use super::package::needs_password;
use super::{Parsed, Refusal};

/// A table with more rows than this gets its column names as a label above every passage.
const LONG_TABLE: usize = 8;
/// Longest label of column names, characters.
const MAX_LABEL: usize = 160;

/// The filled cells of a row, by column.
type Row = BTreeMap<u32, String>;

/// Parses a workbook of document kind `kind`, whose title and metadata were read before.
pub(super) fn parse(
    bytes: &[u8],
    kind: &'static str,
    (title, metadata): (Option<String>, Metadata),
) -> Result<Parsed, Refusal> {
    let mut workbook = open(bytes, kind).map_err(|error| refusal(&error))?;
    let mut composer = Composer::default();
    let mut first_failure = None;
    for name in workbook.sheet_names() {
        composer.page();
        match rows(&mut workbook, &name) {
            Ok(rows) => write_sheet(&name, &rows, &mut composer),
            Err(error) => first_failure = first_failure.or_else(|| Some(refusal(&error))),
        }
    }
    if composer.is_empty()
        && let Some(refusal) = first_failure
    {
        return Err(refusal);
    }
    let mut parsed = composer.finish(kind, "spreadsheet")?;
    parsed.title = title;
    parsed.metadata = metadata;
    Ok(parsed)
}

/// A refusal for a workbook that cannot be read.
fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Ods(OdsError::Password)
        | Error::Xls(XlsError::Password)
        | Error::Xlsb(XlsbError::Password)
        | Error::Xlsx(XlsxError::Password) => Refusal::encrypted(),
        Error::Ods(OdsError::Zip(zip))
        | Error::Xlsb(XlsbError::Zip(zip))
        | Error::Xlsx(XlsxError::Zip(zip))
            if needs_password(zip) =>
        {
            Refusal::encrypted()
        }
        error => Refusal::malformed("spreadsheet", error),
    }
}

fn open<'b>(bytes: &'b [u8], kind: &str) -> Result<Sheets<Cursor<&'b [u8]>>, Error> {
    let file = Cursor::new(bytes);
    Ok(match kind {
        "xlsx" => Sheets::Xlsx(Xlsx::new(file)?),
        "xlsb" => Sheets::Xlsb(Xlsb::new(file)?),
        "ods" => Sheets::Ods(Ods::new(file)?),
        _ => Sheets::Xls(Xls::new(file)?),
    })
}

/// The filled cells of a sheet.
///
/// Newer formats are read cell by cell: a single cell far out in an empty sheet would make a full grid larger
/// than memory.
fn rows(workbook: &mut Sheets<Cursor<&[u8]>>, name: &str) -> Result<BTreeMap<u32, Row>, Error> {
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    let mut length = 0;
    let mut keep = |row: u32, column: u32, text: String| {
        length += text.len();
        if !text.trim().is_empty() && length <= MAX_TEXT {
            rows.entry(row).or_default().insert(column, text);
        }
    };
    match workbook {
        Sheets::Xlsx(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(name)?;
            while let Some(cell) = cells.next_cell()? {
                let (row, column) = cell.get_position();
                keep(row, column, cell_text(&Data::from(cell.get_value().clone())));
            }
        }
        Sheets::Xlsb(workbook) => {
            let mut cells = workbook.worksheet_cells_reader(name)?;
            while let Some(cell) = cells.next_cell()? {
                let (row, column) = cell.get_position();
                keep(row, column, cell_text(&Data::from(cell.get_value().clone())));
            }
        }
        other => {
            let range = other.worksheet_range(name)?;
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, cell) in range.used_cells() {
                keep(top + row as u32, left + column as u32, cell_text(cell));
            }
        }
    }
    Ok(rows)
}

/// A cell as a spreadsheet program displays it.
fn cell_text(cell: &Data) -> String {
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

/// Formats a number without the rounding noise of binary fractions.
fn number(value: f64) -> String {
    let rounded = format!("{value:.12}");
    if rounded.contains('.') && value.abs() < 1e15 && value.abs() > 1e-9 {
        rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        value.to_string()
    }
}

/// Writes a sheet as areas, which are separated by empty rows.
fn write_sheet(name: &str, rows: &BTreeMap<u32, Row>, composer: &mut Composer) {
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
    // Rows of a single cell above a table are its title.
    let titles = if area.iter().any(|row| row.len() > 1) {
        area.iter().take_while(|row| row.len() == 1).count()
    } else {
        area.len()
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

/// Writes a table whose first row names its columns. The column names of a long table become a label, because
/// the table will be cut into several passages.
pub(super) fn write_table(rows: &[Vec<String>], level: usize, composer: &mut Composer) {
    let is_long = rows.len() > LONG_TABLE;
    if is_long && let Some(head) = rows.first() {
        let mut names = head
            .iter()
            .filter(|name| !name.trim().is_empty())
            .cloned()
            .collect::<Vec<_>>();
        while names.len() > 1 && names.iter().map(|name| name.chars().count() + 2).sum::<usize>() > MAX_LABEL
        {
            names.pop();
        }
        let line: String = names.join(", ").chars().take(MAX_LABEL).collect();
        composer.label(level, &line);
    }
    composer.table(rows);
    if is_long {
        composer.end_label(level);
    }
}
