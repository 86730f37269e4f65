//! Estimates how deeply a page's elements are nested, from its tags alone, before parsing it.

/// Elements without an end tag or with an optional one. They cannot nest directly in themselves.
const NOT_COUNTED: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "option",
    "optgroup", "rb", "rt", "rtc", "rp", "html", "head", "body",
];
/// Elements whose content is not parsed as markup.
const RAW: &[&str] = &["script", "style", "textarea", "title"];

/// The largest number of elements open at once, of those that can nest without limit.
///
/// The tree that a parser builds can be deeper only by a small factor, for the [`NOT_COUNTED`] elements between
/// two counted ones. It is shallower if tags are left open.
pub(super) fn depth(page: &str) -> usize {
    let (mut open, mut deepest) = (0usize, 0usize);
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if let Some(closing) = rest.strip_prefix('/') {
            if is_counted(name(closing)) {
                open = open.saturating_sub(1);
            }
        } else {
            let opened = name(rest);
            if RAW.iter().any(|raw| opened.eq_ignore_ascii_case(raw)) {
                rest = after_end_of(rest, opened);
            } else if is_counted(opened) {
                open += 1;
                deepest = deepest.max(open);
            }
        }
    }
    deepest
}

fn name(tag: &str) -> &str {
    let end = tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    &tag[..end.unwrap_or(tag.len())]
}

fn is_counted(name: &str) -> bool {
    let letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
    letter && !NOT_COUNTED.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The text after the end tag of the raw element `name`; empty if there is no end tag.
fn after_end_of<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest
            .get(..name.len())
            .is_some_and(|tag| tag.eq_ignore_ascii_case(name))
        {
            return rest;
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nesting_elements_are_counted() {
        assert_eq!(depth("<div><b>x</b><i>y</i></div><div></div>"), 2);
        assert_eq!(depth("<p>a<p>b<br>c<li>d<!-- <div><div> --><5>"), 0);
        assert_eq!(depth("<script>'<div><div>'</SCRIPT><div>"), 1);
        assert_eq!(depth("<script>never closed <div>"), 0);
        assert_eq!(depth("</div></div><div>"), 1);
        assert_eq!(depth(&"<table><tr><td>".repeat(7)), 7);
    }
}
