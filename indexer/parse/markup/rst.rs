//! reStructuredText headings: underlined titles, some also overlined. The order in which the styles first
//! appear is their level.

use super::{Heading, lines};

pub(super) fn headings(text: &str) -> Vec<Heading> {
    let lines: Vec<(usize, usize, &str)> = lines(text).collect();
    let mut styles: Vec<(char, bool)> = Vec::new();
    let mut headings = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let line = |offset: usize| lines.get(index + offset).map(|(_, _, line)| *line);
        let (over, title, under) = match line(0).and_then(mark) {
            Some(mark_over) if line(2).and_then(mark) == Some(mark_over) => (true, line(1), line(2)),
            _ => (false, line(0), line(1)),
        };
        let height = if over { 3 } else { 2 };
        let above = index.checked_sub(1).and_then(|above| lines.get(above));
        let stands_alone = over || above.is_none_or(|(_, _, line)| line.is_empty());
        if let (Some(title), Some(under)) = (title, under)
            && let Some(mark) = mark(under)
            && stands_alone
            && is_title(title, under, over)
        {
            let style = (mark, over);
            let level = styles
                .iter()
                .position(|known| *known == style)
                .unwrap_or_else(|| {
                    styles.push(style);
                    styles.len() - 1
                });
            headings.push(Heading {
                at: lines[index].0,
                end: lines[index + height - 1].1,
                level: level + 1,
                text: title.trim().to_owned(),
            });
            index += height;
        } else {
            index += 1;
        }
    }
    headings
}

/// The punctuation character that the whole line repeats.
fn mark(line: &str) -> Option<char> {
    let first = line.chars().next().filter(char::is_ascii_punctuation)?;
    (line.len() >= 2 && line.chars().all(|c| c == first)).then_some(first)
}

fn is_title(title: &str, under: &str, over: bool) -> bool {
    let text = title.trim();
    let indented = title.starts_with(char::is_whitespace) && !over;
    // Accepts underlines that are two characters short. Borders of tables and transitions are not below a title.
    let long_enough = under.chars().count() + 2 >= text.chars().count();
    !text.is_empty() && !indented && long_enough && under.len() >= text.len().min(3) && mark(text).is_none()
}
