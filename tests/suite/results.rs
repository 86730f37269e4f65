//! Results: thresholds, duplicates, hits per document, context, boosts, explanations.

use serde_json::{Value, json};

use crate::harness::{Sandbox, paths, stdout_of_success};

const LICENCE: &str = "Permission is granted to use, copy and change this harbour map for any purpose, provided that the \
    name of the surveyor stays on every copy and that changed maps are marked as changed.\n";

/// A long document about harbours, copies of a licence, and pages with different dates and stars.
fn harbours() -> Sandbox {
    let sandbox = Sandbox::empty();
    let mut long = String::from("# Harbour handbook\n");
    for (number, part) in ["Piers", "Cranes", "Pilots", "Tides", "Tolls", "Tugs"]
        .iter()
        .enumerate()
    {
        let sentence = format!("{part} of the harbour are dealt with by office {number}. ");
        long += &format!("\n## {part}\n\n{}\n", sentence.repeat(20));
    }
    sandbox.write("handbook.md", long);
    for folder in ["maps", "maps/north", "maps/south"] {
        sandbox.write(&format!("{folder}/LICENCE.txt"), LICENCE);
    }
    for (name, stars) in [("one", 1), ("five", 5), ("three", 3)] {
        sandbox.write(
            &format!("reviews/{name}.md"),
            format!("---\nstars: {stars}\n---\nA review of lighthouses, number {name}.\n"),
        );
    }
    for number in 0..8 {
        sandbox.write(
            &format!("other/{number}.txt"),
            format!("Something else, about the number {number} and its friends.\n"),
        );
    }
    sandbox.index();
    sandbox
}

#[test]
fn a_threshold_distinguishes_nothing_relevant_from_nothing_found() {
    let sandbox = harbours();
    let server = sandbox.serve();
    server.wait_until_complete();
    let answer = server.search(&json!({"query": "offices for the pilots of the harbour"}));
    let scores: Vec<f64> = answer["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["score"].as_f64().unwrap())
        .collect();
    assert!(scores[0] > 0.5, "{scores:?}");
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{scores:?}");
    assert!(answer["below_threshold"].is_null());

    let off_topic = json!({"query": "quarterly revenue of software companies", "score_threshold": 0.3});
    let answer = server.search(&off_topic);
    assert_eq!(answer["hits"], json!([]));
    assert!(answer["below_threshold"]["passages"].as_u64().unwrap() > 0);
    assert!(answer["below_threshold"]["best_score"].as_f64().unwrap() < 0.3);
    let nothing = server.search(&json!({"query": "zyzzyva", "mode": "lexical", "score_threshold": 0.3}));
    assert_eq!(nothing["below_threshold"]["passages"], 0);

    let mut command = sandbox.command("search");
    let output = command
        .args(["quarterly revenue of software companies", "--no-update"])
        .env("AUTORAG_SEARCH_SCORE_THRESHOLD", "0.3")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Nothing relevant"));
}

#[test]
fn duplicate_passages_collapse_into_one_hit() {
    let sandbox = harbours();
    let answer = sandbox.search("permission to copy and change the map", &[]);
    let first = &answer["hits"][0];
    let mut all = vec![first["citation"]["path"].as_str().unwrap()];
    all.extend(
        first["duplicates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|same| same["path"].as_str().unwrap()),
    );
    all.sort_unstable();
    assert_eq!(
        all,
        [
            "maps/LICENCE.txt",
            "maps/north/LICENCE.txt",
            "maps/south/LICENCE.txt"
        ]
    );
    assert_eq!(
        paths(&answer)
            .iter()
            .filter(|path| path.ends_with("LICENCE.txt"))
            .count(),
        1
    );
    let apart = sandbox.search("permission to copy and change the map", &["--keep-duplicates"]);
    assert_eq!(
        paths(&apart)
            .iter()
            .filter(|path| path.ends_with("LICENCE.txt"))
            .count(),
        3
    );
}

#[test]
fn a_long_document_does_not_fill_the_page() {
    let sandbox = harbours();
    let of_handbook = |more: &[&str]| {
        let answer = sandbox.search("harbour offices", more);
        paths(&answer)
            .iter()
            .filter(|path| **path == "handbook.md")
            .count()
    };
    assert_eq!(of_handbook(&[]), 3);
    assert_eq!(of_handbook(&["--max-per-document", "1"]), 1);
    assert!(of_handbook(&["--max-per-document", "0"]) > 3);
}

#[test]
fn context_slices_back_and_is_shown_once() {
    let sandbox = harbours();
    let server = sandbox.serve();
    server.wait_until_complete();
    let body = json!({"query": "harbour pilots tides", "filters": {"path": "handbook.md"}, "context_expansion": 1,
                      "max_per_document": 2});
    let answer = server.search(&body);
    let text = fs_err::read_to_string(sandbox.docs().join("handbook.md")).unwrap();
    let mut expanded = 0;
    for hit in answer["hits"].as_array().unwrap() {
        let range = |span: &Value| {
            let byte = |name: &str| span[name].as_u64().unwrap() as usize;
            byte("start_byte")..byte("end_byte")
        };
        let shown = range(&hit["citation"]);
        assert_eq!(&text[shown.clone()], hit["text"].as_str().unwrap());
        let line = hit["citation"]["start_line"].as_u64().unwrap() as usize;
        assert_eq!(text[..shown.start].matches('\n').count() + 1, line);
        if let Some(passage) = hit.get("passage") {
            let own = range(passage);
            assert!(shown.start <= own.start && own.end <= shown.end && own.len() < shown.len());
            expanded += 1;
        }
    }
    assert!(expanded > 0);
    let plain = server.search(&json!({"query": "harbour pilots tides"}));
    assert!(plain["hits"][0].get("passage").is_none());
    assert_eq!(
        server
            .post_search(&json!({"query": "x", "context_expansion": 4}))
            .status()
            .as_u16(),
        400
    );
}

#[test]
fn boosts_change_the_order_and_say_so() {
    let sandbox = harbours();
    let reviews = |more: &[&str]| {
        let mut flags = vec!["--filter", r#"{"folder": "reviews/"}"#];
        flags.extend(more);
        sandbox.search("a review of lighthouses", &flags)
    };
    let answer = reviews(&["--boost", "stars:desc"]);
    assert_eq!(
        paths(&answer),
        ["reviews/five.md", "reviews/three.md", "reviews/one.md"]
    );
    let scores = &answer["hits"][0]["scores"];
    assert_eq!(scores["boosts"], json!([{"strength": 1.0, "odds": 4.0}]));
    assert!(scores["rank_before_boosts"].is_u64());
    assert_eq!(paths(&reviews(&["--boost", "stars:asc"]))[0], "reviews/one.md");
    assert!(reviews(&[])["hits"][0]["scores"]["boosts"].is_null());
    let server = sandbox.serve();
    let boost = json!({"field": "stars", "direction": "up"});
    let refused = server.post_search(&json!({"query": "x", "boost_by": [boost]}));
    let error: Value = refused.json().unwrap();
    assert_eq!(error["error"]["field"], "boost_by");
    let four = vec![json!({"field": "stars", "direction": "asc"}); 4];
    assert_eq!(
        server
            .post_search(&json!({"query": "x", "boost_by": four}))
            .status()
            .as_u16(),
        400
    );
}

#[test]
fn fields_in_a_question_hold_in_every_mode() {
    let sandbox = harbours();
    for mode in ["hybrid", "lexical", "dense"] {
        let answer = sandbox.search("lighthouses path:reviews", &["--mode", mode]);
        assert_eq!(paths(&answer).len(), 3, "{mode}");
        assert!(
            paths(&answer).iter().all(|path| path.starts_with("reviews/")),
            "{mode}"
        );
        let answer = sandbox.search("harbour title:handbook kind:markdown", &["--mode", mode]);
        assert!(
            !paths(&answer).is_empty() && paths(&answer).iter().all(|path| *path == "handbook.md"),
            "{mode}"
        );
    }
    let answer = sandbox.search("review lighthouses five", &["--all-words", "--mode", "lexical"]);
    assert_eq!(paths(&answer), ["reviews/five.md"]);
}

#[test]
fn explanations_show_terms_scores_and_weights() {
    let sandbox = harbours();
    let answer = sandbox.search("harbour pilots penguin", &["--explain"]);
    let explanation = &answer["hits"][0]["explanation"];
    let terms = explanation["terms"].as_array().unwrap();
    let words: Vec<&str> = terms.iter().map(|term| term["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["harbour", "pilots", "penguin"]);
    assert_eq!(terms[2]["in_text"], 0);
    let number = |value: &Value| value.as_f64().unwrap();
    let mean = |standing: &Value| (number(&standing["relative"]) + number(&standing["absolute"])) / 2.0;
    let weight = number(&answer["fusion"]["dense_weight"]);
    let fused = (1.0 - weight) * mean(&explanation["lexical"]) + weight * mean(&explanation["dense"]);
    assert!((fused - number(&answer["hits"][0]["scores"]["fused"])).abs() < 1e-4);

    let output = sandbox
        .command("search")
        .args(["harbour pilots penguin", "--explain", "--no-update", "--quiet"])
        .output()
        .unwrap();
    let said = stdout_of_success(&output);
    for part in [
        "weights: keywords",
        "pilots",
        "absent",
        "relative to the best in the list",
        "fused",
    ] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}

#[test]
fn known_item_questions_are_generated_and_explained() {
    let sandbox = harbours();
    let run = |more: &[&str]| {
        let output = sandbox
            .command("eval")
            .args(["--known-items", "6", "--quiet"])
            .args(more)
            .output()
            .unwrap();
        stdout_of_success(&output)
    };
    let table = run(&[]);
    assert!(table.contains("hybrid"), "{table}");
    assert_eq!(table, run(&[]), "the same questions each time");
    let measured: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert!(
        measured["measures"]["hybrid"]["recall_10"].as_f64().unwrap() > 0.5,
        "{measured}"
    );
    let explained = run(&["--explain", "known-1"]);
    assert!(
        explained.contains("relevant (1): ") && explained.contains("hybrid #"),
        "{explained}"
    );
    let explained: Value = serde_json::from_str(&run(&["--explain", "known-1", "--json"])).unwrap();
    assert!(explained["answer"]["hits"][0]["explanation"]["terms"].is_array());
    assert!(explained["relevant"][0]["ranks"]["hybrid"].is_u64());
}
