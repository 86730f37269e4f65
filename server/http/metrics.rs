//! `GET /metrics`, in the OpenMetrics text format.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use autorag_query::Answer;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::AppState;
use super::error::ApiError;
use crate::error_kind::ErrorKind;

/// Metrics of this process.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    stages: Family<StageLabels, Histogram>,
    corpus: Family<CorpusLabels, Gauge>,
    complete: Gauge,
    uptime: Gauge<f64, AtomicU64>,
    started: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CorpusLabels {
    kind: &'static str,
}

/// Buckets from 100 µs to 13 s, each twice the previous one.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 2.0, 18))
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("autorag");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(latency as fn() -> Histogram);
        let stages = Family::new_with_constructor(latency as fn() -> Histogram);
        let (corpus, complete, uptime) = (Family::default(), Gauge::default(), Gauge::default());
        registry.register("http_requests", "Completed requests", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from request to response",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register_with_unit(
            "search_stage_duration",
            "Time of each search stage",
            Unit::Seconds,
            stages.clone(),
        );
        registry.register(
            "corpus",
            "Documents, passages, embedded and pending passages, errors and skipped files",
            corpus.clone(),
        );
        registry.register(
            "index_complete",
            "1 if every file is searchable by both retrievers",
            complete.clone(),
        );
        registry.register_with_unit(
            "uptime",
            "Time since the server started",
            Unit::Seconds,
            uptime.clone(),
        );
        Metrics {
            registry,
            requests,
            seconds,
            stages,
            corpus,
            complete,
            uptime,
            started: Instant::now(),
        }
    }
}

impl Metrics {
    /// Records the stages of a search.
    pub fn record_search(&self, answer: &Answer) {
        let took = answer.took;
        let stages = [
            ("filter", took.filter),
            ("embed", took.embed),
            ("lexical", took.lexical),
            ("dense", took.dense),
            ("fuse", took.fuse),
            ("rerank", took.rerank),
            ("load", took.load),
            ("total", took.total),
        ];
        for (stage, us) in stages {
            self.stages
                .get_or_create(&StageLabels { stage })
                .observe(us as f64 / 1e6);
        }
    }
}

/// Counts a request by its route. Paths are not labels, because they name documents and are too many.
pub(super) async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let method = match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    let metrics = &state.metrics;
    let labels = RequestLabels {
        method,
        route: route.clone(),
        status: response.status().as_u16(),
    };
    metrics.requests.get_or_create(&labels).inc();
    metrics
        .seconds
        .get_or_create(&RouteLabels { route })
        .observe(started.elapsed().as_secs_f64());
    response
}

/// Get metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "status",
    responses((status = 200, description = "Metrics in the OpenMetrics text format")))]
pub(super) async fn render(State(state): State<AppState>) -> Result<Response, ApiError> {
    let metrics = &state.metrics;
    metrics.uptime.set(metrics.started.elapsed().as_secs_f64());
    // Metrics of requests are available even if the index is not open.
    if let Ok(index) = state.instance.run(|instance| instance.index_state()).await {
        let kinds = [
            ("documents", index.documents),
            ("passages", index.passages),
            ("embedded", index.embedded),
            ("pending", index.pending),
            ("errors", index.errors),
            ("skipped", index.skipped),
        ];
        for (kind, count) in kinds {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics.corpus.get_or_create(&CorpusLabels { kind }).set(count);
        }
        metrics.complete.set(i64::from(index.complete));
    }
    let mut text = String::new();
    encode(&mut text, &metrics.registry).map_err(|error| {
        let message = format!("could not encode the metrics: {error}");
        ApiError::new(ErrorKind::Internal, message)
    })?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
