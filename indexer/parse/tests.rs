//! Tests of packages of every kind, and of damaged and hostile bytes.

use proptest::prelude::*;

use super::fixtures::{docx, epub, odp, odt, package, pdf, pptx, xlsx};
use super::*;
use autorag_store::ItemStatus;

fn text(name: &str, bytes: &[u8]) -> String {
    parse(name, bytes).unwrap().text
}

#[test]
fn content_and_name_determine_the_kind() {
    let kind = |path: &str, text: &str| {
        let parsed = parse(path, text.as_bytes()).map_err(|refusal| refusal.code);
        parsed.map(|parsed| format!("{} {}", parsed.kind, parsed.language.unwrap_or_default()))
    };
    let is = |kind: &str| Ok(kind.to_owned());
    assert_eq!(kind("a.md", "# A"), is("markdown "));
    assert_eq!(kind("a.txt", "<!DOCTYPE html><p>hello"), is("html "));
    assert_eq!(kind("lib.rs", "fn main() {}"), is("code rust"));
    assert_eq!(
        kind("tool", "#!/usr/bin/env python3\nprint(1)"),
        is("code python")
    );
    assert_eq!(kind("README", "hello"), is("text "));
    assert_eq!(kind("a.md", " \n\t"), Err(ReasonCode::Empty));
}

#[test]
fn only_simple_text_formats_are_parsed_in_this_process() {
    for (name, file) in [
        ("a.docx", docx()),
        ("a.xlsx", xlsx()),
        ("a.epub", epub()),
        ("a.pdf", pdf(&["text"])),
        ("renamed.md", pdf(&["text"])),
        ("a.rtf", b"{\\rtf1 text}".to_vec()),
        ("a.gz", b"\x1f\x8b\x08".to_vec()),
        ("a.eml", b"Subject: x\n\ntext".to_vec()),
        ("a", b"From: a@b\nTo: c@d\nSubject: x\n\ntext".to_vec()),
        ("a.ipynb", b"{}".to_vec()),
        ("a.json", b"{}".to_vec()),
        ("a.csv", b"a,b".to_vec()),
        ("a.tsv", b"a\tb".to_vec()),
        ("a.xml", b"<a/>".to_vec()),
        ("a.svg", b"<?xml version='1.0'?><svg/>".to_vec()),
    ] {
        assert!(is_risky(name, &file), "{name}");
    }
    for (name, text) in [
        ("a.md", "# A"),
        ("a.html", "<p>A"),
        ("a.rs", "fn a() {}"),
        ("a.txt", "text"),
        ("a", "text"),
    ] {
        assert!(!is_risky(name, text.as_bytes()), "{name}");
    }
}

#[test]
fn word_documents() {
    let parsed = parse("a.bin", &docx()).unwrap();
    assert_eq!(
        parsed.text,
        "# Tides\n\nThe water rises twice.\n\n1. first\n2. second\n\n## Piers\n\n| Pier | Depth |\n|---|---|\n| North | 4 m |\n\
         \nOnce\n\n# Footnotes\n\n- Measured at noon.\n"
    );
    assert_eq!(
        (parsed.kind.as_str(), parsed.title.as_deref()),
        ("docx", Some("Harbour report"))
    );
    assert_eq!(parsed.metadata["author"], "Ann");
    assert_eq!(parsed.pages.len(), 2);
    assert!(
        parsed.text[parsed.pages[1]..]
            .trim_start()
            .starts_with("## Piers")
    );
}

#[test]
fn powerpoint_presentations() {
    let parsed = parse("a.pptx", &pptx()).unwrap();
    assert_eq!(
        parsed.text,
        "# Overview\n\n- Cranes\n  - Two of them\n\n# Figures\n\n| Year | Tonnes |\n|---|---|\n\nNotes: Mention the strike.\n"
    );
    assert_eq!(
        (parsed.pages.len(), parsed.title.as_deref()),
        (2, Some("Overview"))
    );
}

#[test]
fn excel_workbooks() {
    let parsed = parse("a.xlsx", &xlsx()).unwrap();
    let expected = "# Traffic\n\nShips by month\n\n| Month | Ships |\n|---|---|\n| 4 | 0.3 |\n| 5 | 0.3 |\n";
    assert!(parsed.text.starts_with(expected), "{}", parsed.text);
    assert!(
        parsed.text.ends_with("| 15 | 0.3 |\n\ncorner\n"),
        "{}",
        parsed.text
    );
    assert_eq!((parsed.pages.len(), parsed.kind.as_str()), (2, "xlsx"));
    let Structure::Headings(headings) = parsed.structure else {
        panic!()
    };
    let names: Vec<&str> = headings.iter().map(|heading| heading.text.as_str()).collect();
    assert_eq!(names, ["Traffic", "Month, Ships", ""]);
}

#[test]
fn opendocument_texts_and_presentations() {
    let parsed = parse("a.odt", &odt()).unwrap();
    assert_eq!(
        parsed.text,
        "# Ropes\n\nMade of hemp  and\nflax.\n\n- knots\n  - bowline\n\n| Use | x | x |\n|---|---|---|\n\n# Notes\n\n- Or jute.\n"
    );
    assert_eq!(parsed.title.as_deref(), Some("On ropes"));
    assert_eq!(parsed.metadata["author"], "Bo");
    let parsed = parse("a.odp", &odp()).unwrap();
    assert_eq!(
        parsed.text,
        "# Sails\n\nof canvas\n\n- masts\n\nNotes: say more\n"
    );
    assert_eq!((parsed.pages.len(), parsed.title.as_deref()), (2, Some("Sails")));
    let locked = package(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", "<m:encryption-data xmlns:m='m'/>"),
        ("content.xml", "noise"),
    ]);
    assert_eq!(parse("a.odt", &locked).unwrap_err().code, ReasonCode::Encrypted);
}

#[test]
fn epub_books() {
    let parsed = parse("a.epub", &epub()).unwrap();
    assert_eq!(parsed.text, "# Lamp\n\nIt turns.\n\n# Fog\n\nIt sounds low.\n");
    assert_eq!(parsed.title.as_deref(), Some("The lighthouse"));
    assert_eq!(
        (&parsed.metadata["author"], &parsed.metadata["lang"]),
        (&"Cy".into(), &"en".into())
    );
}

#[test]
fn archives_list_their_members() {
    let inner = package(&[
        ("notes/a.md", "# A\n\nkiwi\n"),
        ("b/../../evil.txt", "text\n"),
        ("empty.txt", ""),
    ]);
    let listed = text("x.zip", &inner);
    assert_eq!(
        listed,
        "# notes/a.md\n\n# A\n\nkiwi\n\n# b/../../evil.txt\n\ntext\n\n- empty.txt (empty)\n"
    );
    assert_eq!(parse("x.zip", &package(&[])).unwrap_err().code, ReasonCode::Empty);
}

#[test]
fn iwork_documents_are_unsupported_rather_than_archives() {
    for name in ["Index/Document.iwa", "Index.zip", "buildVersionHistory.plist"] {
        let file = package(&[(name, "bytes"), ("index.xml", "<text>Letter</text>")]);
        let refusal = parse("letter.pages", &file).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::UnsupportedFormat);
        assert_eq!(refusal.status(), ItemStatus::Skipped);
    }
}

#[test]
fn pdf_pages_and_hyphenation() {
    let parsed = parse("a.pdf", &pdf(&["first page of it\nsecond line", "another one"])).unwrap();
    assert_eq!(parsed.pages.len(), 2);
    assert!(parsed.text.contains("second line"), "{}", parsed.text);
    assert!(
        parsed.text[parsed.pages[1]..].contains("another one"),
        "{}",
        parsed.text
    );
    let hyphenated = parse(
        "a.pdf",
        &pdf(&["It goes on in the docu-\nmentation of it\nfor all"]),
    )
    .unwrap();
    assert!(
        hyphenated.text.contains("the documentation of it"),
        "{}",
        hyphenated.text
    );
    let refusal = parse("scan.pdf", &pdf(&["", ""])).unwrap_err();
    assert_eq!(refusal.code, ReasonCode::NoText);
}

fn fixtures() -> Vec<Vec<u8>> {
    let mail =
        b"From: a@b\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b--\n".to_vec();
    let rtf =
        b"{\\rtf1{\\info{\\title x}}\\pard\\intbl a\\cell b\\cell\\row\\u8364? \\'e4\\bin3 abc}".to_vec();
    let tar = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        builder.append_data(&mut header, "a.txt", &b"text"[..]).unwrap();
        builder.into_inner().unwrap()
    };
    vec![
        docx(),
        pptx(),
        xlsx(),
        odt(),
        odp(),
        epub(),
        pdf(&["a page"]),
        mail,
        rtf,
        tar,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// A damaged file gives a consistent document or none. Panics are caught, because third-party parsers panic
    /// on some input.
    #[test]
    fn damaged_files_give_a_consistent_document_or_none(
        which in 0usize..10,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = fixtures().swap_remove(which);
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(parsed) = catch_panic(|| parse("a.eml", &bytes)) {
            check_consistency(&parsed)?;
        }
    }

    /// Noise after the magic number of any format gives a consistent document or none.
    #[test]
    fn noise_after_a_magic_number_gives_a_consistent_document_or_none(
        magic in prop::sample::select(vec![
            &b"%PDF-1.7\n"[..], b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf1", b"\x1f\x8b\x08\0", b"BZh91AY&SY",
            b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"From: a\nSubject: b\n", b"From x\nFrom: a\nTo: b\n", b"<?xml version='1.0'?><r>",
            b"WEBVTT\n\n", b"{\"cells\": [", b".TH x 1\n.SH ",
        ]),
        noise in proptest::collection::vec(any::<u8>(), 0..600),
        name in prop::sample::select(vec!["a.eml", "a.json", "a.csv", "a.vtt", "a.1", "a.rst", "a.tex", "a.org", "a.adoc", "a"]),
    ) {
        if let Ok(parsed) = catch_panic(|| parse(name, &[magic, &noise].concat())) {
            check_consistency(&parsed)?;
        }
    }

    /// No bytes make our own text parsers panic.
    #[test]
    fn no_bytes_make_a_text_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in "[a-z]{1,3}\\.(md|html|rs|txt|py)") {
        let _ = parse(&name, &bytes);
    }

    /// No sequence of Markdown and HTML makes a parser panic.
    #[test]
    fn no_markup_makes_a_parser_panic(
        pieces in proptest::collection::vec(
            prop::sample::select(vec![
                "---\n", "+++\n", "a: b\n", "# ", "\n===\n", "```\n", "<p>", "</p>", "<table>", "<tr>", "<td>", "</table>",
                "<pre>", "<h1>", "</h1>", "<li>", "&amp;", "<!--", "text ", "\n", "ü", "\r\n", "<title>", "<main>", "<br>",
            ]),
            0..40,
        ),
        name in prop::sample::select(vec!["a.md", "a.html"]),
    ) {
        let text: String = pieces.concat();
        if let Ok(parsed) = parse(name, text.as_bytes()) {
            prop_assert!(parsed.text.is_char_boundary(parsed.body_start));
        }
    }

    /// Headings lie within the text for any sequence of markup lines.
    #[test]
    fn headings_of_any_markup_lie_within_the_text(
        pieces in proptest::collection::vec(
            prop::sample::select(vec![
                "Title\n", "=====\n", "-----\n", "== A\n", "* B :t:\n", "\\section{C}\n", "\\section*{", "}\n", "\n", "----\n",
                "#+BEGIN_SRC\n", "#+END_SRC\n", "%\n", "ü", ".SH D\n", ".B \\fBx\n", "00:01 --> 00:02\n", "a;b;\"c\n", "key: v\n", "[t]\n",
            ]),
            0..40,
        ),
        name in prop::sample::select(vec!["a.rst", "a.tex", "a.org", "a.adoc", "a.1", "a.srt", "a.csv", "a.yaml", "a.toml"]),
    ) {
        if let Ok(parsed) = parse(name, pieces.concat().as_bytes()) {
            check_consistency(&parsed)?;
        }
    }
}

/// Checks that headings and pages are in order, within the text and on character boundaries.
fn check_consistency(parsed: &Parsed) -> Result<(), TestCaseError> {
    if let Structure::Headings(headings) = &parsed.structure {
        let mut last = 0;
        for heading in headings {
            prop_assert!(heading.at >= last && heading.end >= heading.at, "{heading:?}");
            prop_assert!(parsed.text.get(heading.at..heading.end).is_some(), "{heading:?}");
            last = heading.at;
        }
    }
    prop_assert!(parsed.pages.is_sorted());
    prop_assert!(parsed.pages.last().is_none_or(|page| *page <= parsed.text.len()));
    Ok(())
}
