//! HTML: the main content of a page, written as Markdown.

mod nesting;
mod writer;

use autorag_store::Metadata;
use scraper::{ElementRef, Html, Selector};

use super::composer::one_line;
use super::{Parsed, Refusal, Structure};
use writer::Writer;

/// Selectors of a page's main content. The first that matches is used.
const MAIN: &[&str] = &["main", "[role=main]", "article", "div.body", "#content"];
/// Deepest nesting of elements. The parser searches all open elements for each new one, so time grows with the
/// square of the depth. Real pages stay far below this.
const MAX_DEPTH: usize = 4096;
/// Meta tags that become metadata.
const META: &[&str] = &["description", "author", "keywords", "date", "generator"];

/// Whether a text without an HTML extension is HTML.
pub(super) fn looks_like(text: &str) -> bool {
    let head: String = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .chars()
        .take(15)
        .collect();
    let head = head.to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.starts_with("<html")
}

pub(super) fn parse(text: &str) -> Result<Parsed, Refusal> {
    if nesting::depth(text) > MAX_DEPTH {
        return Err(Refusal::over_limit(format!(
            "elements are nested more than {MAX_DEPTH} deep"
        )));
    }
    let page = Html::parse_document(text);
    let title = first(&page, "title").map(|element| one_line(&element.text().collect::<String>()));
    let mut metadata = Metadata::new();
    for element in all(&page, "meta[name][content]") {
        let (name, content) = (
            element.attr("name").unwrap_or_default(),
            element.attr("content").unwrap_or_default(),
        );
        let name = name.to_ascii_lowercase();
        if META.contains(&name.as_str()) && !content.trim().is_empty() {
            metadata.insert(name, one_line(content).into());
        }
    }
    if let Some(language) = page
        .root_element()
        .attr("lang")
        .filter(|language| !language.is_empty())
    {
        metadata.insert("lang".into(), language.into());
    }
    let content = MAIN
        .iter()
        .find_map(|selector| first(&page, selector))
        .unwrap_or_else(|| page.root_element());
    let mut writer = Writer::default();
    writer.write(content);
    let mut text = writer.finish();
    if text.trim().is_empty() {
        // If a script fills the main element, there may still be text outside it.
        let mut writer = Writer::default();
        writer.write(page.root_element());
        text = writer.finish();
    }
    if text.trim().is_empty() {
        return Err(Refusal::no_text("page"));
    }
    let title = title.filter(|title| !title.is_empty()).or_else(|| {
        let heading = text.lines().find_map(|line| line.strip_prefix("# "))?;
        Some(heading.to_owned())
    });
    Ok(Parsed {
        title,
        metadata,
        structure: Structure::Markdown,
        ..Parsed::plain("html", text)
    })
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    Selector::parse(selector).map_or_else(|_| Vec::new(), |selector| page.select(&selector).collect())
}

fn first<'a>(page: &'a Html, selector: &str) -> Option<ElementRef<'a>> {
    let selector = Selector::parse(selector).ok()?;
    page.select(&selector).next()
}

#[cfg(test)]
mod tests {
    use super::super::ReasonCode;
    use super::*;

    fn text(html: &str) -> String {
        parse(html).unwrap().text
    }

    #[test]
    fn structure_is_written_as_markdown() {
        let html = "<title> The  page </title><nav>menu</nav><main><h1>Top<a class=headerlink href=#>¶</a></h1>\
                    <p>One <b>two</b>\n three.</p><ul><li>a<li>b<ol><li>c</ol></ul><pre>x  y\n z</pre><script>no</script>\
                    <h2>Next</h2>end</main><footer>foot</footer>";
        let expected =
            "# Top\n\nOne two three.\n\n- a\n- b\n  1. c\n\n```\nx  y\n z\n```\n\n## Next\n\nend\n";
        assert_eq!(text(html), expected);
        assert_eq!(parse(html).unwrap().title.as_deref(), Some("The page"));
    }

    #[test]
    fn tables_keep_rows_and_cells() {
        let html = "<table><tr><th>Name<th>Size<tr><td><p>a</p><td>1 <i>kB</i></table>after";
        assert_eq!(text(html), "| Name | Size |\n|---|---|\n| a | 1 kB |\n\nafter\n");
        let html = "<table><tr><td>k<td><ul><li>a<br>b<li>c</ul><tr><td><td>x</table>";
        assert_eq!(text(html), "| k | - a b - c |\n|---|---|\n| | x |\n");
    }

    #[test]
    fn layout_tables_are_written_as_blocks() {
        let html = "<table><tr><td>menu<td><h1>Top</h1>one<table><tr><td>a<td>b</table></table>end";
        assert_eq!(
            text(html),
            "menu\n\n# Top\n\none\n\n| a | b |\n|---|---|\n\nend\n"
        );
        let html = format!("{}x", "<table><tr><td>".repeat(1000));
        assert_eq!(text(&html), "| x |\n|---|\n");
    }

    #[test]
    fn meta_tags_and_language_are_metadata() {
        let html = "<html lang=de><meta name=Author content='A  B'><meta name=viewport content=x><body>x";
        let metadata = parse(html).unwrap().metadata;
        assert_eq!(metadata.len(), 2);
        assert_eq!(
            (&metadata["author"], &metadata["lang"]),
            (&"A B".into(), &"de".into())
        );
    }

    #[test]
    fn a_page_without_text_is_refused() {
        assert_eq!(parse("<script>x</script>").unwrap_err().code, ReasonCode::NoText);
        assert_eq!(text("<main></main><p>beside"), "beside\n");
    }

    #[test]
    fn deep_nesting_needs_no_stack_and_is_limited() {
        let nested = |depth| format!("{}deep{}", "<div>".repeat(depth), "</div>".repeat(depth));
        assert_eq!(text(&nested(MAX_DEPTH)), "deep\n");
        let refusal = parse(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::LimitExceeded);
    }
}
