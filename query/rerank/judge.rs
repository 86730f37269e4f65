//! Who scores passages: a server, or a model in this process.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use autorag_embedder::{CrossEncoder, CrossEncoderOptions};

use super::RerankApi;
use super::endpoint::Endpoint;
use crate::QueryError;

/// Passages sent to a server at once: few enough that a small budget brings some scores, many enough that a request is worth its
/// way.
const SENT: usize = 10;
/// Passages computed here at once: a run cannot be ended before it is through, and the budget is to hold.
const COMPUTED: usize = 2;

/// Where a reranker is.
#[derive(Clone)]
pub enum RerankerSource {
    /// Elsewhere, asked over HTTP.
    Server {
        /// The whole address, such as `http://127.0.0.1:8080/rerank`.
        url: String,
        /// What it speaks.
        api: RerankApi,
        /// Name of the model, where the server has several.
        model: Option<String>,
        /// Sent as a bearer token; never said anywhere else.
        key: Option<String>,
    },
    /// A graph that ONNX Runtime computes in this process.
    CrossEncoder(CrossEncoderOptions),
}

impl fmt::Debug for RerankerSource {
    /// All but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RerankerSource::Server { url, api, model, .. } => f
                .debug_struct("Server")
                .field("url", url)
                .field("api", api)
                .field("model", model)
                .finish_non_exhaustive(),
            RerankerSource::CrossEncoder(options) => f.debug_tuple("CrossEncoder").field(options).finish(),
        }
    }
}

/// A reranker, ready to be asked.
pub(super) enum Judge {
    Server {
        endpoint: Endpoint,
        api: RerankApi,
        model: Option<String>,
    },
    CrossEncoder {
        options: CrossEncoderOptions,
        /// With the first passages: most processes that open an index rerank nothing.
        opened: OnceLock<Box<CrossEncoder>>,
    },
}

impl Judge {
    /// Sends nothing to a server yet, and opens no model.
    pub(super) fn new(source: RerankerSource) -> Result<Judge, QueryError> {
        match source {
            RerankerSource::Server { url, api, model, key } => Ok(Judge::Server {
                endpoint: Endpoint::new(&url, key.as_deref())?,
                api,
                model,
            }),
            RerankerSource::CrossEncoder(options) => {
                options.check().map_err(|error| QueryError::Reranker {
                    message: error.to_string(),
                })?;
                Ok(Judge::CrossEncoder {
                    options,
                    opened: OnceLock::new(),
                })
            }
        }
    }

    /// How many passages one call takes best.
    pub(super) fn batch(&self) -> usize {
        match self {
            Judge::Server { .. } => SENT,
            Judge::CrossEncoder { .. } => COMPUTED,
        }
    }

    /// The scores of `passages`, in their order; else why there are none. A server is waited for until `timeout`.
    pub(super) fn scores(
        &self,
        query: &str,
        passages: &[&str],
        timeout: Duration,
    ) -> Result<Vec<f32>, String> {
        match self {
            Judge::Server { endpoint, api, model } => {
                let body = api.request(model.as_deref(), query, passages);
                api.scores(&endpoint.post(&body, timeout)?, passages.len())
            }
            Judge::CrossEncoder { options, opened } => {
                let model = match opened.get() {
                    Some(model) => model,
                    None => {
                        let model = CrossEncoder::open(options).map_err(|error| error.to_string())?;
                        opened.get_or_init(|| Box::new(model))
                    }
                };
                model.scores(query, passages).map_err(|error| error.to_string())
            }
        }
    }
}
