//! Requests to the hub: locating a file, and reading it from an offset.

use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::{HubAccess, HubModel};
use crate::error::EmbedError;
use crate::http::client_for;

/// Most redirects followed for one request. The hub normally sends one.
const MAX_REDIRECTS: usize = 5;
/// Time to connect, and time to the response headers.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client for the files of one model.
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    base: String,
    token: Option<String>,
    model: String,
}

/// A file on the hub.
pub(super) struct RemoteFile {
    /// Final address of the content, after redirects.
    uri: Uri,
    /// The commit that the revision resolved to.
    pub(super) commit: Option<String>,
    /// Identifies the content. For large files this is its SHA-256.
    pub(super) etag: String,
    /// Length in bytes, if the hub sent it.
    pub(super) length: Option<u64>,
}

impl Client {
    pub(super) fn new(model: &HubModel, access: &HubAccess) -> Result<Self, EmbedError> {
        let error = |reason: String| EmbedError::Hub {
            model: model.to_string(),
            reason,
        };
        let base = access.endpoint.trim_end_matches('/').to_owned();
        let endpoint: Uri = base
            .parse()
            .map_err(|_| error(format!("the hub endpoint {base:?} is not a URL")))?;
        if !matches!(endpoint.scheme_str(), Some("http" | "https")) {
            return Err(error(format!(
                "the hub endpoint {base:?} must begin with https:// or http://"
            )));
        }
        // Redirects are followed by hand, for two reasons: the token must not leave the hub, and the file's headers are in the
        // hub's first response.
        let client = client_for(&endpoint).map_err(|missing| error(missing.to_string()))?;
        let config = client
            .timeout_connect(Some(TIMEOUT))
            .timeout_recv_response(Some(TIMEOUT));
        Ok(Self {
            agent: config.build().into(),
            endpoint,
            base: format!("{base}/{}/{}/resolve", model.owner, model.name),
            token: access.token.clone(),
            model: model.to_string(),
        })
    }

    /// `EmbedError::Hub` for this model.
    pub(super) fn error(&self, reason: impl Into<String>) -> EmbedError {
        EmbedError::Hub {
            model: self.model.clone(),
            reason: reason.into(),
        }
    }

    /// Locates a file. `None` if the model has no file of this name.
    pub(super) fn find(&self, revision: &str, file: &str) -> Result<Option<RemoteFile>, EmbedError> {
        let address = format!("{}/{revision}/{file}", self.base);
        let mut uri: Uri = address
            .parse()
            .map_err(|_| self.error(format!("{address:?} is not a URL")))?;
        let (mut commit, mut etag, mut length) = (None, None, None);
        for _ in 0..MAX_REDIRECTS {
            let request = self.agent.head(&uri).header("Accept-Encoding", "identity");
            let response = self
                .authorize(request, &uri)
                .call()
                .map_err(|error| self.unreachable(&error))?;
            let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
            commit = commit.or(header("x-repo-commit").filter(|commit| super::is_commit(commit)));
            etag = etag.or(header("x-linked-etag")).or(header("etag"));
            length = length.or(header("x-linked-size"));
            let status = response.status().as_u16();
            match status {
                200 => {
                    let length = length
                        .or(header("content-length"))
                        .and_then(|length| length.parse().ok());
                    let etag = etag.unwrap_or_default();
                    let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
                    return Ok(Some(RemoteFile {
                        uri,
                        commit,
                        etag,
                        length,
                    }));
                }
                301..=303 | 307 | 308 => {
                    uri = self.redirect_target(&uri, &header("location").unwrap_or_default())?;
                }
                404 => return Ok(None),
                401 | 403 => {
                    let model = self.model.clone();
                    return Err(EmbedError::HubAccessDenied { model, status });
                }
                _ => {
                    return Err(self.error(format!("the hub answered {status} for {file}: try again later")));
                }
            }
        }
        Err(self.error(format!(
            "the hub redirected more than {MAX_REDIRECTS} times for {file}: try again later"
        )))
    }

    /// Requests the content of a file from byte `start` on.
    pub(super) fn read(&self, file: &RemoteFile, start: u64) -> Result<Response<Body>, EmbedError> {
        let mut request = self.agent.get(&file.uri).header("Accept-Encoding", "identity");
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        self.authorize(request, &file.uri)
            .call()
            .map_err(|error| self.unreachable(&error))
    }

    /// Adds the token to requests to the hub itself, never to a host it redirects to.
    fn authorize<B>(&self, request: ureq::RequestBuilder<B>, uri: &Uri) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token)
                if (uri.scheme(), uri.authority()) == (self.endpoint.scheme(), self.endpoint.authority()) =>
            {
                request.header("Authorization", format!("Bearer {token}"))
            }
            _ => request,
        }
    }

    fn redirect_target(&self, from: &Uri, location: &str) -> Result<Uri, EmbedError> {
        let invalid = || self.error("the hub redirected to an invalid address: try again later");
        let target: Uri = location.parse().map_err(|_| invalid())?;
        let scheme = target.scheme_str();
        if scheme == Some("https") || (scheme == Some("http") && self.endpoint.scheme_str() == Some("http")) {
            return Ok(target);
        }
        // A path on the same host.
        if scheme.is_none() && location.starts_with('/') && !location.starts_with("//") {
            let mut parts = from.clone().into_parts();
            parts.path_and_query = target.into_parts().path_and_query;
            return Uri::from_parts(parts).map_err(|_| invalid());
        }
        Err(invalid())
    }

    fn unreachable(&self, error: &ureq::Error) -> EmbedError {
        EmbedError::HubUnreachable {
            model: self.model.clone(),
            reason: error.to_string(),
        }
    }
}
