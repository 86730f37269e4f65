//! Vectors out of an answer, or what is wrong with it.

use serde::{Deserialize, Serialize};

use super::endpoint::Failure;

/// A request for vectors, as OpenAI has it.
#[derive(Debug, Serialize)]
pub(super) struct Question<'a> {
    pub model: &'a str,
    pub input: &'a [&'a str],
    pub encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    /// Some servers leave it out; order counts then.
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The vectors of `count` texts, in the order of the texts, at length one.
pub(super) fn vectors(
    body: &[u8],
    count: usize,
    dimensions: Option<usize>,
) -> Result<Vec<Vec<f32>>, Failure> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        // The error's own words may quote the body, so only where and of what kind it is goes on.
        let place = format!("line {} column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Eof => Failure::temporary("the answer was cut off"),
            serde_json::error::Category::Data => Failure::BadAnswer(format!(
                "the answer does not have the shape of embeddings at {place}"
            )),
            _ => Failure::BadAnswer(format!(
                "the answer is not JSON at {place}; JSON has no NaN or infinity"
            )),
        }
    })?;
    let bad = |reason: String| Err(Failure::BadAnswer(reason));
    if answer.data.len() != count {
        return bad(format!("{} vectors came for {count} texts", answer.data.len()));
    }
    let mut ordered: Vec<Option<Vec<f32>>> = vec![None; count];
    for (place, item) in answer.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(place);
        match ordered.get_mut(index) {
            None => return bad(format!("a vector came for text {index} of {count}")),
            Some(Some(_)) => return bad(format!("two vectors came for text {index}")),
            Some(free) => *free = Some(unit(item.embedding, dimensions)?),
        }
    }
    // As many as texts and none twice, so none is missing.
    Ok(ordered.into_iter().flatten().collect())
}

/// The vector at length one.
fn unit(mut vector: Vec<f32>, dimensions: Option<usize>) -> Result<Vec<f32>, Failure> {
    let bad = |reason: String| Err(Failure::BadAnswer(reason));
    if let Some(expected) = dimensions
        && vector.len() != expected
    {
        return bad(format!(
            "a vector has {} numbers where {expected} are expected",
            vector.len()
        ));
    }
    if vector.iter().any(|value| !value.is_finite()) {
        return bad("a vector has a number that is not finite".to_owned());
    }
    // In 64 bits, where no square of a 32-bit number overflows.
    let length = vector
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    if length == 0.0 {
        return bad("a vector has no direction: it is empty or all zeros".to_owned());
    }
    for value in &mut vector {
        *value = (f64::from(*value) / length) as f32;
    }
    Ok(vector)
}

/// What a provider says is wrong, in whichever of the usual places.
pub(super) fn message(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = json.as_ref().and_then(|json| {
        let places = ["/error/message", "/error", "/message", "/detail", "/detail/0/msg"];
        places.iter().find_map(|place| json.pointer(place)?.as_str())
    });
    said.map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(1000)]).into_owned(),
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(body: &str, count: usize) -> String {
        match vectors(body.as_bytes(), count, Some(2)) {
            Err(Failure::BadAnswer(reason)) => reason,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let one = |vector: &str| format!(r#"{{"data":[{{"index":0,"embedding":{vector}}}]}}"#);
        assert!(refused(&one("[1]"), 1).contains("has 1 numbers where 2"));
        assert!(refused(&one("[1,2,3]"), 1).contains("has 3 numbers"));
        assert!(refused(&one("[1,NaN]"), 1).contains("not JSON"));
        assert!(refused(&one("[1,null]"), 1).contains("shape"));
        assert!(refused(&one("[1,1e39]"), 1).contains("not finite"));
        assert!(refused(&one("[0,0]"), 1).contains("no direction"));
        assert!(refused(&one("\"AAAA\""), 1).contains("shape"));
        assert!(refused(&one("[1,2]"), 2).contains("1 vectors came for 2 texts"));
        assert!(refused(r#"{"object":"list"}"#, 1).contains("shape"));
        let two = r#"{"data":[{"index":0,"embedding":[1,2]},{"index":0,"embedding":[1,2]}]}"#;
        assert!(refused(two, 2).contains("two vectors"));
        let beyond = r#"{"data":[{"index":5,"embedding":[1,2]}]}"#;
        assert!(refused(beyond, 1).contains("text 5 of 1"));
        let cut = vectors(br#"{"data":[{"index":0,"embed"#, 1, None);
        assert!(matches!(cut, Err(Failure::Temporary { .. })), "{cut:?}");
    }

    #[test]
    fn an_answer_without_indexes_is_in_order() {
        let body = br#"{"data":[{"embedding":[3,4]},{"embedding":[0,2]}]}"#;
        assert_eq!(vectors(body, 2, None).unwrap(), [[0.6, 0.8], [0.0, 1.0]]);
    }

    #[test]
    fn messages_are_found_where_providers_put_them() {
        for body in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"error":"no"}"#,
            r#"{"message":"no"}"#,
            r#"{"detail":"no"}"#,
            r#"{"detail":[{"loc":["body"],"msg":"no"}]}"#,
            "no",
        ] {
            assert_eq!(message(body.as_bytes()), "no", "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_order_gives_the_vectors_of_the_texts(
            (shuffled, count) in (1usize..20).prop_flat_map(|n| (Just((0..n).collect::<Vec<_>>()).prop_shuffle(), Just(n))),
        ) {
            let items: Vec<String> = shuffled
                .iter()
                .map(|index| format!(r#"{{"index":{index},"embedding":[{},1]}}"#, *index + 1))
                .collect();
            let body = format!(r#"{{"data":[{}]}}"#, items.join(","));
            let vectors = vectors(body.as_bytes(), count, Some(2)).unwrap();
            for (index, vector) in vectors.iter().enumerate() {
                prop_assert!((vector[0] / vector[1] - (index + 1) as f32).abs() < 1e-3);
                prop_assert!((vector.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
