//! HTTP client setup that embedding providers, the hub and rerankers share.

use std::sync::Arc;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::http::header::{HeaderValue, InvalidHeaderValue};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;

/// The system has no root certificates, so https servers cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system has no root certificates to verify https servers with: install its certificate package (ca-certificates on most \
     Linux systems) or set SSL_CERT_FILE"
)]
pub struct NoCertificates;

/// Configures a client for `uri`. Every HTTP status is returned as a response, and redirects are not followed.
///
/// https servers are verified with the system's root certificates, because administrators add internal ones there.
///
/// # Errors
/// [`NoCertificates`], only for https.
pub fn client_for(uri: &Uri) -> Result<ConfigBuilder<AgentScope>, NoCertificates> {
    let client = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("autorag/", env!("CARGO_PKG_VERSION")));
    if uri.scheme_str() != Some("https") {
        return Ok(client);
    }
    let native = rustls_native_certs::load_native_certs();
    if native.certs.is_empty() {
        return Err(NoCertificates);
    }
    let roots: Vec<Certificate<'static>> = native
        .certs
        .iter()
        .map(|der| Certificate::from_der(der.as_ref()).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots));
    Ok(client.tls_config(tls.build()))
}

/// The value of an `Authorization: Bearer` header, marked sensitive so that logs omit it.
///
/// # Errors
/// If `secret` has characters that a header cannot carry.
pub fn bearer(secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}"))?;
    value.set_sensitive(true);
    Ok(value)
}
