//! How deep a page's elements may be nested, from its tags alone, before a parser takes it in.

/// Elements without an end tag, and those whose end tag may be left out: they do not nest in themselves without another between.
const NOT_COUNTED: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot", "colgroup", "option",
    "optgroup", "rb", "rt", "rtc", "rp", "html", "head", "body",
];
/// Elements whose content is not markup.
const RAW: &[&str] = &["script", "style", "textarea", "title"];

/// The most elements that are open at once, of those that can nest without end. Never less than what a parser makes of them but
/// for a factor of the few elements in [`NOT_COUNTED`] that may stand between two of them; more where tags are left open.
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

/// What follows the end tag of the raw element `name`; nothing where it has none.
fn after_end_of<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
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
    fn counts_what_nests() {
        assert_eq!(depth("<div><b>x</b><i>y</i></div><div></div>"), 2);
        assert_eq!(depth("<p>a<p>b<br>c<li>d<!-- <div><div> --><5>"), 0);
        assert_eq!(depth("<script>'<div><div>'</SCRIPT><div>"), 1);
        assert_eq!(depth("<script>never closed <div>"), 0);
        assert_eq!(depth("</div></div><div>"), 1);
        assert_eq!(depth(&"<table><tr><td>".repeat(7)), 7);
    }
}
