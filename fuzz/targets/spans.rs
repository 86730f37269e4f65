//! Invariants of every tokenizer for any text.

use autorag_embedder::{Tokenizer, fuzzing};

/// Checks that spans are in order and on character boundaries, that there is one per token, and that every id
/// is in the model's vocabulary.
pub fn check(tokenizer: &Tokenizer, text: &str) {
    let spans = tokenizer.token_spans(text);
    let ids = tokenizer.encode(text);
    assert_eq!(tokenizer.count(text), spans.len());
    assert_eq!(ids.len(), spans.len());
    let mut last = 0;
    for span in spans {
        assert!(
            span.start >= last && span.end >= span.start,
            "{span:?} after {last}"
        );
        assert!(text.get(span.clone()).is_some(), "{span:?} in {text:?}");
        last = span.start;
    }
    let (for_model, vocabulary) = fuzzing::ids_for_model(tokenizer, text);
    assert_eq!(for_model.len(), ids.len() + tokenizer.special_tokens());
    assert!(
        for_model.iter().all(|id| (*id as usize) < vocabulary),
        "{for_model:?} of {vocabulary}"
    );
}
