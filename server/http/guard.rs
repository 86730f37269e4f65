//! Who may call, and for how long.
//!
//! A page on any site can make a browser send requests to 127.0.0.1, and can make its own host name resolve there
//! (DNS rebinding). So the `Host` must be a loopback name, and an `Origin`, which browsers send and scripts cannot
//! forge, must be this machine's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::error_kind::ErrorKind;

/// Refuses requests whose `Host` or `Origin` is not this machine.
pub(super) async fn known_caller(State(addr): State<SocketAddr>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = host_of(&request);
    if !host.as_deref().is_some_and(|host| is_local(host, addr)) {
        let message = "the Host header is not a loopback name; call http://127.0.0.1 or http://localhost";
        return ApiError::new(ErrorKind::ForbiddenHost, message).into_response();
    }
    if !origin_allowed(headers, addr) {
        let message = "requests from pages of other origins are refused";
        return ApiError::new(ErrorKind::ForbiddenOrigin, message).into_response();
    }
    next.run(request).await
}

/// Answers 504 when a handler takes longer than `limit`, reading the body included.
pub(super) async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!(
                "no answer within {} ms (server.timeout_ms sets the limit)",
                limit.as_millis()
            );
            ApiError::new(ErrorKind::Timeout, message).into_response()
        }
    }
}

/// Headers that keep a browser from doing more with an answer than the page needs.
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

/// The host asked for, without its port: from the `Host` header, or from the target over HTTP/2.
fn host_of(request: &Request) -> Option<String> {
    let named = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let authority = named
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

/// Whether `host` names this machine's loopback.
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
    fn only_loopback_is_local() {
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
    fn origins() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 7878));
        let with = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            origin_allowed(&headers, addr)
        };
        assert!(origin_allowed(&HeaderMap::new(), addr));
        assert!(with("http://localhost:7878"));
        assert!(with("http://127.0.0.1:3000"));
        assert!(!with("https://evil.example"));
        assert!(!with("null"));
    }
}
