//! Requests to the hub: where a file is, and its bytes from some place on.

use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::{HubAccess, HubModel};
use crate::error::EmbedError;
use crate::http::client_for;

/// Most redirections of one request; the hub has one.
const MOST_REDIRECTIONS: usize = 5;
/// How long the hub may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for the files of one model.
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    base: String,
    token: Option<String>,
    model: String,
}

/// A file that the hub has.
pub(super) struct Found {
    /// Where its bytes are.
    uri: Uri,
    /// The commit that it is of.
    pub(super) commit: Option<String>,
    /// What names its content; of a large file, SHA-256 of it.
    pub(super) etag: String,
    /// Its length, where that is said.
    pub(super) length: Option<u64>,
}

impl Client {
    pub(super) fn new(model: &HubModel, access: &HubAccess) -> Result<Self, EmbedError> {
        let failed = |reason: String| EmbedError::Hub {
            model: model.to_string(),
            reason,
        };
        let base = access.endpoint.trim_end_matches('/').to_owned();
        let endpoint: Uri = base
            .parse()
            .map_err(|_| failed(format!("HF_ENDPOINT {base:?} is no address")))?;
        if !matches!(endpoint.scheme_str(), Some("http" | "https")) {
            return Err(failed(format!(
                "HF_ENDPOINT {base:?} is no address that begins with https://"
            )));
        }
        // Redirections are followed by hand: the token stays with the hub, and what the hub says of a file comes with its first
        // answer.
        let client = client_for(&endpoint).map_err(|error| failed(error.to_string()))?;
        let config = client
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE));
        Ok(Self {
            agent: config.build().into(),
            endpoint,
            base: format!("{base}/{}/{}/resolve", model.owner, model.name),
            token: access.token.clone(),
            model: model.to_string(),
        })
    }

    /// An error with this model.
    pub(super) fn failed(&self, reason: String) -> EmbedError {
        EmbedError::Hub {
            model: self.model.clone(),
            reason,
        }
    }

    /// Looks for a file; `None` where the model has none of this name.
    pub(super) fn find(&self, revision: &str, file: &str) -> Result<Option<Found>, EmbedError> {
        let address = format!("{}/{revision}/{file}", self.base);
        let mut uri: Uri = address
            .parse()
            .map_err(|_| self.failed(format!("{address:?} is no address")))?;
        let (mut commit, mut etag, mut length) = (None, None, None);
        for _ in 0..MOST_REDIRECTIONS {
            let request = self.agent.head(&uri).header("Accept-Encoding", "identity");
            let answer = self
                .authorised(request, &uri)
                .call()
                .map_err(|error| self.unreachable(&error))?;
            let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
            commit = commit.or(header("x-repo-commit").filter(|commit| super::is_commit(commit)));
            etag = etag.or(header("x-linked-etag")).or(header("etag"));
            length = length.or(header("x-linked-size"));
            let status = answer.status().as_u16();
            match status {
                200 => {
                    let length = length
                        .or(header("content-length"))
                        .and_then(|length| length.parse().ok());
                    let etag = etag.unwrap_or_default();
                    let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
                    return Ok(Some(Found {
                        uri,
                        commit,
                        etag,
                        length,
                    }));
                }
                301..=303 | 307 | 308 => {
                    uri = self.redirected(&uri, &header("location").unwrap_or_default())?;
                }
                404 => return Ok(None),
                401 | 403 => {
                    return Err(self.failed(format!(
                        "the hub answers {status}: there is no such model, or it needs a token in the variable HF_TOKEN"
                    )));
                }
                _ => return Err(self.failed(format!("the hub answers {status} for {file}: try again later"))),
            }
        }
        Err(self.failed(format!(
            "the hub sends from one address to the next for {file}: try again later"
        )))
    }

    /// The bytes of a file from `start` on.
    pub(super) fn read(&self, found: &Found, start: u64) -> Result<Response<Body>, EmbedError> {
        let mut request = self.agent.get(&found.uri).header("Accept-Encoding", "identity");
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        self.authorised(request, &found.uri)
            .call()
            .map_err(|error| self.unreachable(&error))
    }

    /// The token goes to the hub, and to no other place that it sends to.
    fn authorised<B>(&self, request: ureq::RequestBuilder<B>, uri: &Uri) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token)
                if (uri.scheme(), uri.authority()) == (self.endpoint.scheme(), self.endpoint.authority()) =>
            {
                request.header("Authorization", format!("Bearer {token}"))
            }
            _ => request,
        }
    }

    fn redirected(&self, from: &Uri, location: &str) -> Result<Uri, EmbedError> {
        let refused = || self.failed("the hub sends to an address that is none: try again later".into());
        let target: Uri = location.parse().map_err(|_| refused())?;
        let scheme = target.scheme_str();
        if scheme == Some("https") || (scheme == Some("http") && self.endpoint.scheme_str() == Some("http")) {
            return Ok(target);
        }
        // A place on the same host.
        if scheme.is_none() && location.starts_with('/') && !location.starts_with("//") {
            let mut parts = from.clone().into_parts();
            parts.path_and_query = target.into_parts().path_and_query;
            return Uri::from_parts(parts).map_err(|_| refused());
        }
        Err(refused())
    }

    fn unreachable(&self, error: &ureq::Error) -> EmbedError {
        self.failed(format!(
            "the hub cannot be reached ({error}): go online once, or set model.path to a folder that holds the model"
        ))
    }
}
