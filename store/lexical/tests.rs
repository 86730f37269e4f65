//! Keyword searches in stores of a few documents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::{
    Candidate, ChangeBatch, ContentHash, FileStat, Filter, ItemStatus, Matching, Metadata, ModelIdentity,
    NewDocument, NewPassage, Snapshot, Span, Store, StoreOptions,
};

/// A document with one passage per section. A section is a heading and a line of text.
fn document(key: &str, kind: &str, title: &str, sections: &[(&str, &str)]) -> NewDocument {
    let (mut text, mut passages) = (String::new(), Vec::new());
    for ((heading, line), number) in sections.iter().zip(1..) {
        let start_byte = text.len();
        text += line;
        passages.push(NewPassage {
            span: Span {
                start_byte,
                end_byte: text.len(),
                start_line: number,
                end_line: number,
                page: None,
            },
            heading_path: vec![(*heading).to_owned()],
            embed_hash: ContentHash::of(line.as_bytes()),
        });
        text.push('\n');
    }
    NewDocument {
        key: key.into(),
        stat: FileStat {
            size: 1,
            modified_ns: 0,
            inode: 0,
        },
        source_hash: ContentHash::of(text.as_bytes()),
        status: ItemStatus::Completed,
        reason: None,
        kind: kind.into(),
        language: None,
        title: Some(title.into()),
        metadata: Metadata::new(),
        text,
        passages,
    }
}

fn open_store(dir: &Path) -> Store {
    let model = ModelIdentity {
        id: "none".into(),
        version: "1".into(),
        dimensions: 4,
        ..ModelIdentity::default()
    };
    let sources = Vec::new();
    Store::open(dir, StoreOptions { model, sources }).unwrap()
}

/// Three documents with four passages.
struct Fixture {
    _dir: tempfile::TempDir,
    snapshot: Arc<Snapshot>,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let upserts = vec![
            document(
                "ops/backup.md",
                "markdown",
                "Backup and restore",
                &[
                    ("Copying", "stop the service and copy the data folder"),
                    ("Restoring", "put the data folder back and start the service"),
                ],
            ),
            document(
                "guide/start.md",
                "markdown",
                "Quick start",
                &[("Installing", "copy the program and start the service")],
            ),
            document(
                "src/backup.rs",
                "code",
                "backup.rs",
                &[("fn", "fn copyFolder reads the data and writes a folder")],
            ),
        ];
        let batch = ChangeBatch {
            upserts,
            ..ChangeBatch::default()
        };
        store.apply(&batch).unwrap();
        store.refresh_lexical().unwrap();
        Fixture {
            _dir: dir,
            snapshot: store.snapshot().unwrap(),
        }
    }

    /// The first three words of each hit.
    fn search(&self, text: &str, matching: Matching) -> BTreeSet<String> {
        let candidates = self.snapshot.lexical(text, matching, None, 50).unwrap();
        let ids: Vec<_> = candidates.iter().map(|candidate| candidate.passage).collect();
        let passages = self.snapshot.passages(&ids).unwrap();
        let three_words = |text: &str| text.split(' ').take(3).collect::<Vec<_>>().join(" ");
        passages
            .iter()
            .map(|passage| three_words(&passage.text))
            .collect()
    }

    fn any(&self, text: &str) -> Vec<String> {
        self.search(text, Matching::Any).into_iter().collect()
    }

    fn all(&self, text: &str) -> Vec<String> {
        self.search(text, Matching::All).into_iter().collect()
    }

    /// The keys of the documents that a query restricts to, and the plain text of the query.
    fn restriction(&self, text: &str) -> Option<(Vec<String>, String)> {
        let (set, plain) = self.snapshot.restriction(text, None).unwrap()?;
        let key = |id| self.snapshot.document_by_id(id).unwrap().key.to_string();
        let mut keys: Vec<String> = set.iter().map(key).collect();
        keys.sort();
        Some((keys, plain))
    }
}

const STOP: &str = "stop the service";
const PUT: &str = "put the data";
const COPY: &str = "copy the program";
const CODE: &str = "fn copyFolder reads";

#[test]
fn any_word_matches_or_all_words_are_required() {
    let fixture = Fixture::new();
    assert_eq!(fixture.any("copy data"), [COPY, CODE, PUT, STOP]);
    assert_eq!(fixture.all("copy data"), [CODE, STOP]);
    assert_eq!(
        fixture.all("copyFolder"),
        [CODE, STOP],
        "the parts of an identifier are enough"
    );
    assert_eq!(fixture.all("restore service"), [PUT, STOP], "titles match too");
    assert_eq!(fixture.all("copy penguin"), Vec::<String>::new());
}

#[test]
fn phrases_are_required_and_exclusions_remove_hits() {
    let fixture = Fixture::new();
    assert_eq!(fixture.any("\"start the service\""), [COPY, PUT]);
    assert_eq!(fixture.any("service -folder"), [COPY]);
    assert_eq!(fixture.any("service -\"copy the data\""), [COPY, PUT]);
    assert_eq!(fixture.any("-folder"), [COPY]);
}

#[test]
fn field_clauses_match_only_their_field() {
    let fixture = Fixture::new();
    assert_eq!(fixture.any("title:backup service"), [CODE, PUT, STOP]);
    assert_eq!(fixture.any("service title:\"quick start\""), [COPY]);
    assert_eq!(fixture.any("heading:copying"), [STOP]);
    assert_eq!(fixture.any("folder path:ops/backup"), [PUT, STOP]);
    assert_eq!(fixture.any("folder -path:src"), [PUT, STOP]);
    assert_eq!(fixture.any("title:penguin service"), Vec::<String>::new());
}

#[test]
fn field_clauses_restrict_documents() {
    let fixture = Fixture::new();
    let keys = |text: &str| fixture.restriction(text).map(|(keys, _)| keys).unwrap();
    assert_eq!(keys("title:backup x"), ["ops/backup.md", "src/backup.rs"]);
    assert_eq!(keys("kind:code"), ["src/backup.rs"]);
    assert_eq!(keys("-kind:code"), ["guide/start.md", "ops/backup.md"]);
    assert_eq!(keys("kind:code kind:html"), ["src/backup.rs"]);
    assert_eq!(keys("title:backup -path:src"), ["ops/backup.md"]);
    assert_eq!(keys("heading:restoring"), ["ops/backup.md"]);
    assert_eq!(keys("kind:pdf"), Vec::<String>::new());
    let (_, plain) = fixture.restriction("how do I title:backup copy it").unwrap();
    assert_eq!(plain, "how do I copy it");
    assert_eq!(fixture.restriction("how: do I \"copy\" -it"), None);
}

#[test]
fn terms_report_their_weight_and_their_fields() {
    let fixture = Fixture::new();
    let found = fixture
        .snapshot
        .lexical("restoring the folder penguin", Matching::Any, None, 1)
        .unwrap();
    let passage = fixture.snapshot.passages(&[found[0].passage]).unwrap().remove(0);
    let entry = fixture.snapshot.document_by_id(passage.document).unwrap();
    let terms = fixture
        .snapshot
        .terms("restoring the folder penguin", &passage, &entry)
        .unwrap();
    let words: Vec<&str> = terms.iter().map(|term| term.word.as_str()).collect();
    assert_eq!(words, ["restoring", "folder", "penguin"]);
    assert!((terms.iter().map(|term| term.share).sum::<f32>() - 1.0).abs() < 1e-5);
    assert!(terms[2].share > terms[1].share, "a rare word has a larger share");
    assert_eq!(
        (terms[0].in_text, terms[0].in_title, terms[0].in_headings),
        (0, true, true)
    );
    assert_eq!((terms[1].in_text, terms[1].passages), (1, 3));
    assert!(!terms[2].matches() && terms[0].matches());
}

/// Scores of a query by document key, in a store that the batches were applied to one by one.
fn scores(batches: &[ChangeBatch], question: &str) -> BTreeMap<String, f32> {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    for batch in batches {
        store.apply(batch).unwrap();
        store.refresh_lexical().unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let found = snapshot.lexical(question, Matching::Any, None, 500).unwrap();
    let ids: Vec<_> = found.iter().map(|candidate| candidate.passage).collect();
    let passages = snapshot.passages(&ids).unwrap().into_iter();
    let keys = passages.map(|passage| snapshot.document_by_id(passage.document).unwrap().key.to_string());
    keys.zip(found.iter().map(|candidate| candidate.score)).collect()
}

#[test]
fn scores_do_not_depend_on_replaced_or_removed_documents() {
    let numbered = |number: usize, text: &str| {
        document(&format!("{number}.md"), "markdown", "A report", &[("Part", text)])
    };
    let text = |number: usize| format!("harbour lantern {}copper", "orchard ".repeat(number % 7));
    let current = ChangeBatch {
        upserts: (0..200).map(|number| numbered(number, &text(number))).collect(),
        ..ChangeBatch::default()
    };
    // Few deletions and many: deleted postings are counted in a different way for each.
    for deleted in [3, 150] {
        let mut before = current.clone();
        before.upserts.drain(..deleted);
        before
            .upserts
            .extend((0..deleted).map(|number| numbered(number, "harbour hafen")));
        before
            .upserts
            .extend((200..200 + deleted).map(|number| numbered(number, "lantern harbour copper hafen")));
        let change = ChangeBatch {
            upserts: current.upserts[..deleted].to_vec(),
            removals: (200..200 + deleted)
                .map(|number| format!("{number}.md").into())
                .collect(),
            ..ChangeBatch::default()
        };
        let with_history = [before, change];
        for question in ["lantern", "orchard copper", "harbour"] {
            assert_eq!(
                scores(&with_history, question),
                scores(std::slice::from_ref(&current), question),
                "{question}, {deleted} deleted"
            );
        }
    }
}

/// A document and its only passage.
fn entry_and_row() -> (crate::DocumentEntry, crate::catalog::LexicalRow) {
    let new = document("a.md", "markdown", "", &[("", "giraffes")]);
    let entry = crate::DocumentEntry {
        id: crate::DocumentId(1),
        key: new.key,
        stat: new.stat,
        source_hash: new.source_hash,
        status: new.status,
        reason: None,
        kind: new.kind,
        language: None,
        title: None,
        metadata: new.metadata,
        passages: 1,
    };
    let row = crate::catalog::LexicalRow {
        passage: crate::PassageId(1),
        document: crate::DocumentId(1),
        heading_path: Vec::new(),
        text: "giraffes".into(),
    };
    (entry, row)
}

#[test]
fn a_dropped_change_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let lexical = super::LexicalIndex::open(&dir.path().join("lexical")).unwrap();
    let (entry, row) = entry_and_row();
    let mut change = lexical.change().unwrap();
    change.add(&entry, &[row]).unwrap();
    drop(change);
    lexical.change().unwrap().commit(5).unwrap();
    let view = lexical.view().unwrap();
    let found = view.search("giraffes", Matching::Any, None, 1, 5).unwrap();
    assert!(found.is_empty());
}

/// tantivy's indexing thread ends at a failed write. Adding the next document must report that failure, not
/// the end of the thread.
#[test]
fn a_failed_write_is_reported_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lexical");
    let lexical = super::LexicalIndex::open(&path).unwrap();
    let mut change = lexical.change().unwrap();
    fs_err::remove_dir_all(&path).unwrap();
    let error = loop {
        let (entry, row) = entry_and_row();
        if let Err(error) = change.add(&entry, &[row]) {
            break error;
        }
    };
    assert!(!error.is_lexical_damage(), "{error:?}");
    let cause = crate::ErrorChain(&error).to_string();
    let not_found = std::io::Error::from(std::io::ErrorKind::NotFound).to_string();
    assert!(
        cause.contains("No such file") || cause.contains(&not_found),
        "{cause}"
    );
}

/// The best passage is in a document with a low score. The passage gets that score added, even with a limit of
/// one hit.
#[test]
fn document_scores_do_not_depend_on_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let filler = "orchard ".repeat(200);
    let others = (0..100).map(|number| {
        let line = format!("lantern {number} and a lantern more of the harbour");
        document(
            &format!("{number}.md"),
            "markdown",
            "Report",
            &[("Part", &line), ("More", &line)],
        )
    });
    let apart = [("Part", "lantern"), ("Rest", filler.as_str())];
    let batch = ChangeBatch {
        upserts: others
            .chain([document("apart.md", "markdown", "Report", &apart)])
            .collect(),
        ..ChangeBatch::default()
    };
    store.apply(&batch).unwrap();
    store.refresh_lexical().unwrap();
    let snapshot = store.snapshot().unwrap();
    let lexical = |limit| snapshot.lexical("lantern", Matching::Any, None, limit).unwrap();
    let (first, all) = (lexical(1)[0], lexical(500));
    let documents = snapshot.documents_of(&[first.passage]).unwrap();
    assert_eq!(
        snapshot.document_by_id(documents[&first.passage]).unwrap().key,
        "apart.md"
    );
    assert_eq!(all.len(), 201);
    let same = all
        .iter()
        .find(|candidate| candidate.passage == first.passage)
        .unwrap();
    assert_eq!(first.score, same.score);
    assert!(all[0].score > same.score);
}

/// With a selective filter all passages of its documents are scored. Hits and scores must equal those of a
/// search without a filter.
#[test]
fn a_selective_filter_does_not_change_scores() {
    const WORDS: [&str; 12] = [
        "river", "copy", "service", "folder", "the", "start", "apple", "restore", "data", "réseau",
        "fn_main", "42",
    ];
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut rng = fastrand::Rng::with_seed(7);
    let mut numbered = |number: u32| {
        let mut line = || {
            let words: Vec<&str> = (0..9).map(|_| WORDS[rng.usize(0..WORDS.len())]).collect();
            words.join(" ")
        };
        let lines = [line(), line(), line()];
        let sections: Vec<(&str, &str)> = lines
            .iter()
            .map(|line| ("Heading apple", line.as_str()))
            .collect();
        document(
            &format!("{}/{number}.md", number % 25),
            "markdown",
            &format!("River {number}"),
            &sections,
        )
    };
    // Several segments; later commits replace and remove documents of earlier ones.
    for (numbers, removals) in [(0..200, 0..0), (150..260, 20..40), (240..400, 300..310)] {
        let batch = ChangeBatch {
            upserts: numbers.map(&mut numbered).collect(),
            removals: removals
                .map(|number| format!("{}/{number}.md", number % 25).into())
                .collect(),
            ..ChangeBatch::default()
        };
        store.apply(&batch).unwrap();
        store.refresh_lexical().unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    let filter = Filter::parse(&serde_json::json!({"folder": "7/"})).unwrap();
    let few = snapshot.select(&filter);
    assert!((10..20).contains(&few.len()), "{}", few.len());
    for text in [
        "river",
        "the copy of a restore",
        "réseau fn_main 42",
        "apple -service",
        "\"start data\"",
        "nothing",
    ] {
        for matching in [Matching::Any, Matching::All] {
            for limit in [1, 5, 1000] {
                let found = snapshot.lexical(text, matching, Some(&few), limit).unwrap();
                let all = snapshot.lexical(text, matching, None, 5000).unwrap();
                let ids: Vec<_> = all.iter().map(|candidate| candidate.passage).collect();
                let documents = snapshot.documents_of(&ids).unwrap();
                let mut expected = all;
                expected.retain(|candidate| few.contains(documents[&candidate.passage]));
                if expected.len() > limit {
                    // The limit applies before the documents' scores are added, so only scores can be compared.
                    assert!(found.len() >= limit, "{text}, {matching:?}, {limit}");
                    expected.retain(|candidate| {
                        let is_found = |other: &Candidate| other.passage == candidate.passage;
                        found.iter().any(is_found)
                    });
                }
                assert_eq!(found, expected, "{text}, {matching:?}, {limit}");
            }
        }
    }
}
