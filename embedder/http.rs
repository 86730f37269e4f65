//! What all clients of HTTP have in common: of embeddings, of the hub, of rerankers.

use std::sync::Arc;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::http::header::{HeaderValue, InvalidHeaderValue};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;

/// There is nothing to check a server's name with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system has no certificates to check https with; install its package of certificates, ca-certificates on most Linux \
     systems, or set SSL_CERT_FILE"
)]
pub struct NoCertificates;

/// Begins a client for `uri`: every status is an answer, no redirection is followed, and https is checked with the certificates
/// of the system, to which an administrator adds those of the house.
///
/// # Errors
/// [`NoCertificates`], for https alone.
pub fn client_for(uri: &Uri) -> Result<ConfigBuilder<AgentScope>, NoCertificates> {
    let client = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("autorag/", env!("CARGO_PKG_VERSION")));
    if uri.scheme_str() != Some("https") {
        return Ok(client);
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(NoCertificates);
    }
    let certificates: Vec<Certificate<'static>> = found
        .certs
        .iter()
        .map(|der| Certificate::from_der(der.as_ref()).to_owned())
        .collect();
    let checked = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&certificates));
    Ok(client.tls_config(checked.build()))
}

/// The header that shows who asks; logs leave it out.
///
/// # Errors
/// Where `secret` has characters that a header cannot have.
pub fn bearer(secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}"))?;
    value.set_sensitive(true);
    Ok(value)
}
