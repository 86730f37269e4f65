//! The HTTP server: routes, limits and access checks.

mod documents;
mod error;
mod extract;
mod guard;
mod health;
mod jobs;
mod metrics;
mod openapi;
mod page;
mod search;
mod status;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::ServerSettings;
use crate::instance_handle::InstanceHandle;
use crate::mcp;

/// State shared by all handlers.
#[derive(Clone)]
struct AppState {
    instance: InstanceHandle,
    metrics: Arc<metrics::Metrics>,
}

/// Serves on `listener` until `stop` resolves, then finishes the requests in progress.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    instance: InstanceHandle,
    settings: &ServerSettings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // MCP sessions hold streams that end only if they are cancelled.
    let cancel_sessions = CancellationToken::new();
    let app = router(instance, settings, cancel_sessions.clone());
    let stop = async move {
        stop.await;
        cancel_sessions.cancel();
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

fn router(instance: InstanceHandle, settings: &ServerSettings, cancel_sessions: CancellationToken) -> Router {
    let state = AppState {
        instance: instance.clone(),
        metrics: Arc::default(),
    };
    let api = Router::new()
        .route("/v1/search", post(search::search))
        .route("/v1/documents", get(documents::list))
        .route("/v1/documents/{*key}", get(documents::read))
        .route("/v1/jobs", get(jobs::list).post(jobs::create))
        .route("/v1/jobs/{id}", get(jobs::read).patch(jobs::change))
        .route("/v1/jobs/{id}/logs", get(jobs::logs))
        .route("/v1/status", get(status::status))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::render))
        .route("/openapi.json", get(openapi::document))
        .route("/", get(page::index))
        .route("/page/{file}", get(page::asset))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(settings.max_body_bytes))
        .layer(from_fn_with_state(settings.timeout(), guard::time_limit));
    api.nest_service("/mcp", mcp::over_http(instance, settings, cancel_sessions))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(guard::security_headers))
        .layer(from_fn_with_state(settings.addr, guard::local_callers_only))
        .layer(from_fn_with_state(state.clone(), metrics::count))
        .with_state(state)
}
