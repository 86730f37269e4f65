//! Scoring of passages by a server or by a model in this process.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use autorag_embedder::{CrossEncoder, CrossEncoderOptions};

use super::RerankApi;
use super::endpoint::Endpoint;
use crate::QueryError;

/// Passages per request to a server. A small batch returns some scores even within a short time limit; a larger one amortizes the
/// round trip.
const SERVER_BATCH: usize = 10;
/// Passages per inference in this process. An inference cannot be cancelled, so a small batch keeps within the time limit.
const MODEL_BATCH: usize = 2;

/// The server or model of a reranker.
#[derive(Clone)]
pub enum RerankerSource {
    /// A server with an HTTP API.
    Server {
        /// Full URL, such as `http://127.0.0.1:8080/rerank`.
        url: String,
        /// Protocol of the server.
        api: RerankApi,
        /// Name of the model, for servers with several.
        model: Option<String>,
        /// Bearer token. It never appears in messages or logs.
        key: Option<String>,
    },
    /// An ONNX model that runs in this process.
    CrossEncoder(CrossEncoderOptions),
}

impl fmt::Debug for RerankerSource {
    /// Omits the key.
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

/// A [`RerankerSource`] in use.
pub(super) enum Scorer {
    Server {
        endpoint: Endpoint,
        api: RerankApi,
        model: Option<String>,
    },
    CrossEncoder {
        options: CrossEncoderOptions,
        /// Opened on first use, because most processes that open an index rerank nothing.
        model: OnceLock<Box<CrossEncoder>>,
    },
}

impl Scorer {
    /// Checks the source. Neither sends a request nor opens the model.
    pub(super) fn new(source: RerankerSource) -> Result<Scorer, QueryError> {
        match source {
            RerankerSource::Server { url, api, model, key } => Ok(Scorer::Server {
                endpoint: Endpoint::new(&url, key.as_deref())?,
                api,
                model,
            }),
            RerankerSource::CrossEncoder(options) => {
                options.check().map_err(|error| QueryError::Reranker {
                    message: error.to_string(),
                })?;
                Ok(Scorer::CrossEncoder {
                    options,
                    model: OnceLock::new(),
                })
            }
        }
    }

    /// Number of passages that one call of [`Scorer::scores`] should have.
    pub(super) fn batch_size(&self) -> usize {
        match self {
            Scorer::Server { .. } => SERVER_BATCH,
            Scorer::CrossEncoder { .. } => MODEL_BATCH,
        }
    }

    /// The scores of `passages`, in their order. The error is human-readable. `timeout` limits only requests to a server.
    pub(super) fn scores(
        &self,
        query: &str,
        passages: &[&str],
        timeout: Duration,
    ) -> Result<Vec<f32>, String> {
        match self {
            Scorer::Server { endpoint, api, model } => {
                let body = api.request(model.as_deref(), query, passages);
                api.scores(&endpoint.post(&body, timeout)?, passages.len())
            }
            Scorer::CrossEncoder {
                options,
                model: opened,
            } => {
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
