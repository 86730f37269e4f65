//! Minimum ranking quality on the handbook, with its questions and judgments.

use crate::harness::{Sandbox, root, stdout_of_success};

/// Minimum hybrid nDCG@10. Adding a page moves it by about .01, a mistake by more.
const FLOOR: f64 = 0.83;

#[test]
fn hybrid_beats_keyword_and_vector_search_on_the_handbook() {
    let sandbox = Sandbox::empty();
    let demo = root().join("data/demo");
    let output = sandbox
        .bare_command()
        .arg("eval")
        .arg(&demo)
        .arg("--questions")
        .arg(demo.join("questions.tsv"))
        .arg("--qrels")
        .arg(demo.join("qrels.tsv"))
        .arg("--data-dir")
        .arg(sandbox.data())
        .arg("--quiet")
        .output()
        .unwrap();
    let table = stdout_of_success(&output);
    let ndcg = |mode: &str| -> f64 {
        let line = table.lines().find(|line| line.starts_with(mode)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let (lexical, dense, hybrid) = (ndcg("lexical"), ndcg("dense"), ndcg("hybrid"));
    assert!(hybrid >= FLOOR, "{table}");
    assert!(hybrid > lexical && hybrid > dense, "{table}");
}

#[test]
fn a_ranking_is_compared_with_an_earlier_run_file() {
    let sandbox = Sandbox::with_handbook();
    let file = |name: &str, text: &str| {
        let path = sandbox.docs().parent().unwrap().join(name);
        fs_err::write(&path, text).unwrap();
        path
    };
    let questions = file("q.tsv", "a\twhere do penguins live\nb\twater the plants\n");
    let qrels = file("r.tsv", "a\tsite/index.html\t1\nb\tnotes.txt\t1\n");
    let before = file(
        "before.trec",
        "a\tQ0\tnotes.txt\t1\t0.5\tx\nb\tQ0\tnotes.txt\t1\t0.5\tx\n",
    );
    let mut run = sandbox.command("eval");
    run.arg("--questions").arg(&questions).arg("--qrels").arg(&qrels);
    let output = run.arg("--compare").arg(&before).arg("--quiet").output().unwrap();
    let said = stdout_of_success(&output);
    assert!(said.contains("1 questions better, 0 worse"), "{said}");
    assert!(
        said.contains("+1.000  a  where do penguins live  (not found before, #1 now)"),
        "{said}"
    );
}
