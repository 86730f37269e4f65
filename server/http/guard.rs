//! Middleware: access checks, the time limit and security headers.
//!
//! Any web page can make a browser send requests to 127.0.0.1, and can point its own host name there (DNS rebinding).
//! Therefore `Host` must be a loopback name, and `Origin` must be an origin on this machine. Browsers set both headers, and
//! scripts in a page cannot forge them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::error_kind::ErrorKind;

/// Rejects requests whose `Host` or `Origin` is not this machine.
pub(super) async fn local_callers_only(
    State(addr): State<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let host = host_of(&request);
    if !host.as_deref().is_some_and(|host| is_local(host, addr)) {
        let message = "the Host header is not a loopback name; use http://127.0.0.1 or http://localhost";
        return ApiError::new(ErrorKind::ForbiddenHost, message).into_response();
    }
    if !origin_allowed(headers, addr) {
        let message = "pages of other origins may not send requests";
        return ApiError::new(ErrorKind::ForbiddenOrigin, message).into_response();
    }
    next.run(request).await
}

/// Responds with 504 if a handler, including reading the body, takes longer than `limit`.
pub(super) async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!(
                "no response within {} ms, the limit server.timeout_ms",
                limit.as_millis()
            );
            ApiError::new(ErrorKind::Timeout, message).into_response()
        }
    }
}

/// Adds headers that restrict what a browser may do with a response to what the page needs.
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_FRAME_OPTIONS, "DENY");
    response
}

/// The requested host without its port, from the `Host` header, or from the request target in HTTP/2.
fn host_of(request: &Request) -> Option<String> {
    let header = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let authority = header
        .map(str::to_owned)
        .or_else(|| request.uri().authority().map(ToString::to_string))?;
    let uri: Uri = authority.parse().ok()?;
    uri.host().map(str::to_owned)
}

fn origin_allowed(headers: &HeaderMap, addr: SocketAddr) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let uri = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok());
    uri.and_then(|uri| uri.host().map(|host| is_local(host, addr)))
        .unwrap_or(false)
}

/// True if `host` is `localhost`, a loopback address, or the address that the server listens on.
fn is_local(host: &str, addr: SocketAddr) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip == addr.ip(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_are_local() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 7878));
        for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.9.9.9"] {
            assert!(is_local(host, addr), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "192.168.1.1",
            "",
        ] {
            assert!(!is_local(host, addr), "{host}");
        }
    }

    #[test]
    fn only_local_origins_are_allowed() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 7878));
        let is_allowed = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            origin_allowed(&headers, addr)
        };
        assert!(origin_allowed(&HeaderMap::new(), addr));
        assert!(is_allowed("http://localhost:7878"));
        assert!(is_allowed("http://127.0.0.1:3000"));
        assert!(!is_allowed("https://evil.example"));
        assert!(!is_allowed("null"));
    }
}
