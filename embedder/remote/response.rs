//! Parses the vectors of a response, and the messages of failed requests.

use serde::{Deserialize, Serialize};

use super::endpoint::Failure;

/// The body of `POST /embeddings` in OpenAI's API.
#[derive(Debug, Serialize)]
pub(super) struct EmbeddingsRequest<'a> {
    pub model: &'a str,
    pub input: &'a [&'a str],
    pub encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct EmbeddingsResponse {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    /// Some servers omit the index and return the vectors in order.
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// Parses the vectors of `count` texts, in the order of the texts, and scales them to length one.
pub(super) fn parse_vectors(
    body: &[u8],
    count: usize,
    dimensions: Option<usize>,
) -> Result<Vec<Vec<f32>>, Failure> {
    let response: EmbeddingsResponse = serde_json::from_slice(body).map_err(|error| {
        // The error's text may quote the body, so only its position and category are reported.
        let place = format!("line {} column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Eof => Failure::temporary("the response was cut off"),
            serde_json::error::Category::Data => Failure::InvalidResponse(format!(
                "the response does not have the shape of embeddings at {place}"
            )),
            _ => Failure::InvalidResponse(format!(
                "the response is not JSON at {place}; JSON has no NaN or infinity"
            )),
        }
    })?;
    let invalid = |reason: String| Err(Failure::InvalidResponse(reason));
    if response.data.len() != count {
        return invalid(format!(
            "it has {} vectors for {count} texts",
            response.data.len()
        ));
    }
    let mut ordered: Vec<Option<Vec<f32>>> = vec![None; count];
    for (place, item) in response.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(place);
        match ordered.get_mut(index) {
            None => return invalid(format!("it has a vector for text {index} of {count}")),
            Some(Some(_)) => return invalid(format!("it has two vectors for text {index}")),
            Some(free) => *free = Some(unit_vector(item.embedding, dimensions)?),
        }
    }
    // There are `count` vectors and no index twice, so none is missing.
    Ok(ordered.into_iter().flatten().collect())
}

/// Checks a vector and scales it to length one.
fn unit_vector(mut vector: Vec<f32>, dimensions: Option<usize>) -> Result<Vec<f32>, Failure> {
    let invalid = |reason: String| Err(Failure::InvalidResponse(reason));
    if let Some(expected) = dimensions
        && vector.len() != expected
    {
        return invalid(format!(
            "a vector has {} numbers instead of {expected}",
            vector.len()
        ));
    }
    if vector.iter().any(|value| !value.is_finite()) {
        return invalid("a vector has a number that is not finite".to_owned());
    }
    // In f64, because the square of an f32 can overflow.
    let length = vector
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    if length == 0.0 {
        return invalid("a vector has no direction: it is empty or all zeros".to_owned());
    }
    for value in &mut vector {
        *value = (f64::from(*value) / length) as f32;
    }
    Ok(vector)
}

/// The provider's error message, from the field where its kind of server puts it. Otherwise the start of the body.
pub(super) fn error_message(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| {
        let pointers = ["/error/message", "/error", "/message", "/detail", "/detail/0/msg"];
        pointers
            .iter()
            .find_map(|pointer| json.pointer(pointer)?.as_str())
    });
    message.map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(1000)]).into_owned(),
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(body: &str, count: usize) -> String {
        match parse_vectors(body.as_bytes(), count, Some(2)) {
            Err(Failure::InvalidResponse(reason)) => reason,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn invalid_responses_are_described() {
        let one = |vector: &str| format!(r#"{{"data":[{{"index":0,"embedding":{vector}}}]}}"#);
        assert!(problem(&one("[1]"), 1).contains("has 1 numbers instead of 2"));
        assert!(problem(&one("[1,2,3]"), 1).contains("has 3 numbers"));
        assert!(problem(&one("[1,NaN]"), 1).contains("not JSON"));
        assert!(problem(&one("[1,null]"), 1).contains("shape"));
        assert!(problem(&one("[1,1e39]"), 1).contains("not finite"));
        assert!(problem(&one("[0,0]"), 1).contains("no direction"));
        assert!(problem(&one("\"AAAA\""), 1).contains("shape"));
        assert!(problem(&one("[1,2]"), 2).contains("1 vectors for 2 texts"));
        assert!(problem(r#"{"object":"list"}"#, 1).contains("shape"));
        let two = r#"{"data":[{"index":0,"embedding":[1,2]},{"index":0,"embedding":[1,2]}]}"#;
        assert!(problem(two, 2).contains("two vectors"));
        let beyond = r#"{"data":[{"index":5,"embedding":[1,2]}]}"#;
        assert!(problem(beyond, 1).contains("text 5 of 1"));
        let cut = parse_vectors(br#"{"data":[{"index":0,"embed"#, 1, None);
        assert!(matches!(cut, Err(Failure::Temporary { .. })), "{cut:?}");
    }

    #[test]
    fn vectors_without_indexes_keep_their_order() {
        let body = br#"{"data":[{"embedding":[3,4]},{"embedding":[0,2]}]}"#;
        assert_eq!(parse_vectors(body, 2, None).unwrap(), [[0.6, 0.8], [0.0, 1.0]]);
    }

    #[test]
    fn error_messages_are_found_in_the_usual_fields() {
        for body in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"error":"no"}"#,
            r#"{"message":"no"}"#,
            r#"{"detail":"no"}"#,
            r#"{"detail":[{"loc":["body"],"msg":"no"}]}"#,
            "no",
        ] {
            assert_eq!(error_message(body.as_bytes()), "no", "{body}");
        }
    }

    proptest! {
        #[test]
        fn vectors_in_any_order_are_matched_to_their_texts(
            (shuffled, count) in (1usize..20).prop_flat_map(|n| (Just((0..n).collect::<Vec<_>>()).prop_shuffle(), Just(n))),
        ) {
            let items: Vec<String> = shuffled
                .iter()
                .map(|index| format!(r#"{{"index":{index},"embedding":[{},1]}}"#, *index + 1))
                .collect();
            let body = format!(r#"{{"data":[{}]}}"#, items.join(","));
            let vectors = parse_vectors(body.as_bytes(), count, Some(2)).unwrap();
            for (index, vector) in vectors.iter().enumerate() {
                prop_assert!((vector[0] / vector[1] - (index + 1) as f32).abs() < 1e-3);
                prop_assert!((vector.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
