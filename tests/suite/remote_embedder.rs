//! Remote models: requests to the server, and the handling of its answers.

use std::time::Duration;

use autorag_embedder::{EmbedError, Embedder, Key, ModelSource, Patience, RemoteOptions};
use serde_json::json;

use crate::harness::wait_for;
use crate::provider::{Behaviour, DIMENSIONS, Provider};

const TEXTS: [&str; 4] = ["the red fox", "a green tree", "deep blue water", "the red water"];

fn options(provider: &Provider) -> RemoteOptions {
    RemoteOptions {
        query_timeout: Duration::from_secs(20),
        ..RemoteOptions::new(provider.base_url(), "words")
    }
}

fn open(options: RemoteOptions) -> Embedder {
    Embedder::open(&ModelSource::Remote(options)).unwrap()
}

fn refused(embedder: &Embedder) -> EmbedError {
    embedder.embed(&TEXTS).unwrap_err()
}

#[test]
fn requests_follow_the_openai_format() {
    let provider = Provider::start();
    let embedder = open(RemoteOptions {
        dimensions: Some(32),
        query_prefix: "query: ".into(),
        passage_prefix: "passage: ".into(),
        key: Some(Key::new("sk-abc").unwrap()),
        ..options(&provider)
    });
    let model = embedder.model();
    assert_eq!((model.id.as_str(), model.dimensions), ("words", 32));
    let vectors = embedder.embed(&TEXTS[..2]).unwrap();
    let query = embedder.embed_query("red fox").unwrap();
    for vector in vectors.iter().chain([&query.vector]) {
        assert_eq!(vector.len(), 32);
        assert!((vector.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let asked = provider.asked();
    let [_probe, passages, question] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(
        passages.texts(),
        ["passage: the red fox", "passage: a green tree"]
    );
    assert_eq!(question.texts(), ["query: red fox"]);
    assert_eq!(passages.body["model"], "words");
    assert_eq!(passages.body["encoding_format"], "float");
    assert_eq!(passages.body["dimensions"], 32);
    assert!(
        asked
            .iter()
            .all(|asked| asked.authorization.as_deref() == Some("Bearer sk-abc"))
    );
}

#[test]
fn the_order_of_an_answer_does_not_matter() {
    let provider = Provider::start();
    let embedder = open(options(&provider));
    let in_order = embedder.embed(&TEXTS).unwrap();
    provider.always(Behaviour::Shuffled);
    assert_eq!(embedder.embed(&TEXTS).unwrap(), in_order);
}

#[test]
fn transient_failures_are_retried() {
    let provider = Provider::start();
    let embedder = open(options(&provider));
    let good = embedder.embed(&TEXTS).unwrap();
    for failures in [
        vec![Behaviour::Busy, Behaviour::Busy],
        vec![Behaviour::Status(503, "loading".into())],
        vec![Behaviour::CutOff],
        vec![Behaviour::HungUp],
    ] {
        let before = provider.asked().len();
        provider.next(failures.clone());
        assert_eq!(embedder.embed(&TEXTS).unwrap(), good, "{failures:?}");
        assert_eq!(
            provider.asked().len(),
            before + failures.len() + 1,
            "{failures:?}"
        );
        provider.next(failures.clone());
        embedder.embed_query("red").unwrap();
        assert_eq!(embedder.outage(), None);
    }
}

#[test]
fn malformed_answers_are_rejected() {
    let provider = Provider::start();
    let cases = [
        (Behaviour::Length(DIMENSIONS + 1), "65 numbers instead of 64"),
        (Behaviour::NotANumber, "not JSON"),
        (Behaviour::Fewer, "3 vectors for 4 texts"),
        (Behaviour::Status(200, "{}".into()), "shape"),
    ];
    for (behaviour, expected) in cases {
        let embedder = open(options(&provider));
        provider.next([behaviour]);
        let error = refused(&embedder);
        assert!(matches!(error, EmbedError::InvalidResponse { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(embedder.outage().is_some());
    }
}

#[test]
fn a_rejected_request_fails_at_once_and_leaks_neither_text_nor_key() {
    let provider = Provider::start();
    let key = "sk-0123456789abcdef";
    let embedder = open(RemoteOptions {
        key: Some(Key::new(key).unwrap()),
        ..options(&provider)
    });
    let before = provider.asked().len();
    let said = format!("Incorrect API key provided: {key} for 'the red fox over there' and so on");
    provider.next([Behaviour::Status(
        401,
        json!({"error": {"message": said}}).to_string(),
    )]);
    let error = embedder.embed(&["see the red fox over there"]).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, EmbedError::Refused { status: 401, .. }),
        "{error:?}"
    );
    assert!(text.contains("Incorrect API key provided"), "{text}");
    assert!(
        !text.contains("0123456789") && !text.contains("red fox"),
        "{text}"
    );
    assert_eq!(provider.asked().len(), before + 1);
    assert!(embedder.outage().unwrap().reason.contains("401"));
}

#[test]
fn dimensions_are_checked_when_the_model_opens() {
    let provider = Provider::start();
    let asks_for = |dimensions| {
        Embedder::open(&ModelSource::Remote(RemoteOptions {
            dimensions,
            ..options(&provider)
        }))
    };
    provider.always(Behaviour::FixedLength);
    assert_eq!(asks_for(Some(DIMENSIONS)).unwrap().model().dimensions, DIMENSIONS);
    let error = asks_for(Some(100)).unwrap_err().to_string();
    assert!(
        error.starts_with("model.dimensions: ") && error.contains("64"),
        "{error}"
    );
    assert_eq!(asks_for(None).unwrap().model().dimensions, DIMENSIONS);
    provider.always(Behaviour::Status(404, r#"{"error": "model not found"}"#.into()));
    let error = asks_for(None).unwrap_err().to_string();
    assert!(error.contains("model not found"), "{error}");
    // With `dimensions` set, it opens without the server.
    let waiting = asks_for(Some(100)).unwrap();
    assert_eq!(waiting.model().dimensions, 100);
    assert!(waiting.outage().unwrap().reason.contains("model not found"));
}

#[test]
fn a_rejected_batch_is_halved_and_later_batches_are_smaller() {
    let provider = Provider::start();
    provider.always(Behaviour::AtMost(3));
    let embedder = open(options(&provider));
    let texts: Vec<String> = (0..20).map(|n| format!("text number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts).unwrap();
    let alone = embedder.embed(&texts[7..8]).unwrap();
    assert_eq!(vectors[7], alone[0]);
    let before = provider.asked().len();
    embedder.embed(&texts).unwrap();
    let later = provider.asked().split_off(before);
    assert!(later.iter().all(|asked| asked.texts().len() <= 3), "{later:?}");
}

#[test]
fn requests_respect_the_limits_of_texts_and_tokens() {
    let provider = Provider::start();
    let embedder = open(RemoteOptions {
        batch_texts: 5,
        batch_tokens: 40,
        ..options(&provider)
    });
    let texts: Vec<String> = (0..23).map(|n| "word ".repeat(n)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    embedder.embed(&texts).unwrap();
    let mut seen = 0;
    for asked in &provider.asked()[1..] {
        let texts = asked.texts();
        let tokens: usize = texts
            .iter()
            .map(|text| embedder.tokenizer().count(text) + 2)
            .sum();
        assert!(
            texts.len() <= 5 && (tokens <= 40 || texts.len() == 1),
            "{texts:?}"
        );
        seen += texts.len();
    }
    assert_eq!(seen, 23);
    let long = "word ".repeat(600);
    assert!(matches!(
        embedder.embed(&[&long]),
        Err(EmbedError::TextTooLong { .. })
    ));
    let query = embedder.embed_query(&long).unwrap();
    assert!(query.truncated);
    let sent = provider.asked().pop().unwrap();
    assert_eq!(embedder.tokenizer().count(sent.texts()[0]), 510);
}

#[test]
fn one_rejected_text_does_not_cost_the_others_their_vectors() {
    let provider = Provider::start();
    provider.always(Behaviour::Refuses("tree"));
    let embedder = open(options(&provider));
    let mut came = vec![None; TEXTS.len()];
    let mut errors = Vec::new();
    let ended = embedder.embed_each(&TEXTS, &|| Patience::Full, &mut |index, outcome| match outcome {
        Ok(vector) => came[index] = Some(vector),
        Err(error) => errors.push((index, error)),
    });
    assert_eq!(ended, Ok(()));
    assert_eq!(
        came.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true, true]
    );
    let [(1, error @ EmbedError::TextRefused { .. })] = errors.as_slice() else {
        panic!("{errors:?}")
    };
    assert!(!error.to_string().contains("green tree"), "{error}");
    assert_eq!(embedder.outage(), None, "nothing is wrong with the provider");
}

#[test]
fn a_silent_server_delays_one_query_and_no_later_ones() {
    let provider = Provider::start();
    let embedder = open(RemoteOptions {
        query_timeout: Duration::from_millis(300),
        ..options(&provider)
    });
    provider.always(Behaviour::Silent);
    let error = embedder.embed_query("red").unwrap_err();
    assert!(matches!(error, EmbedError::Unavailable { .. }), "{error:?}");
    let asked = provider.asked().len();
    // The circuit stays open for at least half a second.
    assert!(embedder.embed_query("red").is_err());
    assert_eq!(
        provider.asked().len(),
        asked,
        "a query was sent to a provider known to be down"
    );
    provider.always(Behaviour::Good);
    wait_for("the end of the pause", || embedder.embed_query("red").ok());
    assert_eq!(embedder.outage(), None);
}

#[test]
fn a_cancelled_call_returns() {
    let provider = Provider::start();
    let embedder = open(RemoteOptions {
        timeout: Duration::from_secs(3000),
        ..options(&provider)
    });
    let asked = provider.asked().len();
    provider.always(Behaviour::Silent);
    let patience = || match provider.asked().len() > asked {
        true => Patience::None,
        false => Patience::Full,
    };
    let ended = embedder.embed_each(&TEXTS, &patience, &mut |_, _| panic!("nothing came"));
    assert_eq!(ended, Err(EmbedError::Interrupted));
}

#[test]
fn concurrency_is_limited_and_queries_are_not_blocked() {
    let provider = Provider::start();
    let embedder = open(RemoteOptions {
        concurrency: 2,
        ..options(&provider)
    });
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..5 {
                    embedder.embed(&TEXTS).unwrap();
                }
            });
        }
    });
    assert!(provider.peak() <= 2, "{}", provider.peak());
    // A query is answered even while every slot holds a request that never ends.
    provider.next([Behaviour::Silent, Behaviour::Silent]);
    let asked = provider.asked().len();
    let given_up = std::sync::atomic::AtomicBool::new(false);
    let patience = || match given_up.load(std::sync::atomic::Ordering::SeqCst) {
        true => Patience::None,
        false => Patience::Full,
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| embedder.embed_each(&TEXTS, &patience, &mut |_, _| {}));
        }
        wait_for("both requests", || {
            (provider.asked().len() == asked + 2).then_some(())
        });
        let answered = embedder.embed_query("red");
        given_up.store(true, std::sync::atomic::Ordering::SeqCst);
        answered.unwrap();
    });
}

#[test]
fn a_redirect_is_not_followed() {
    let (provider, other) = (Provider::start(), Provider::start());
    let embedder = open(RemoteOptions {
        key: Some(Key::new("sk-abc").unwrap()),
        ..options(&provider)
    });
    provider.always(Behaviour::Redirect(format!("{}/embeddings", other.base_url())));
    let error = refused(&embedder).to_string();
    assert!(
        error.contains("redirect") && error.contains("base_url"),
        "{error}"
    );
    assert!(other.asked().is_empty());
}
