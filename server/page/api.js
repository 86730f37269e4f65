// Requests to the server. Responses are JSON, and every failure is a ServerError.

// Slightly longer than the server's default limit of 30 s, because the server's error message says more.
const TIMEOUT_MS = 35_000;
const TRANSIENT = ["unreachable", "opening", "unavailable", "overloaded", "timeout"];

export class ServerError extends Error {
  constructor(code, message, field) {
    super(message);
    this.code = code;
    this.field = field;
  }

  /** True if the same request may succeed a little later. */
  get isTransient() {
    return TRANSIENT.includes(this.code);
  }
}

export const search = (request, signal) => fetchJson("/v1/search", { signal, request });
export const status = () => fetchJson("/v1/status");
export const listDocuments = (parameters) => fetchJson(`/v1/documents?${new URLSearchParams(parameters)}`);

export function readDocument(key, firstLine, lastLine) {
  // The route expects unescaped slashes; everything else in the key is escaped.
  const path = key.split("/").map(encodeURIComponent).join("/");
  return fetchJson(`/v1/documents/${path}?start_line=${firstLine}&end_line=${lastLine}`);
}

/** Resolves to the response. Rejects with a ServerError, or with an AbortError if the caller aborted. */
async function fetchJson(path, { signal, request } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const options = { signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
  if (request) {
    const headers = { "content-type": "application/json" };
    Object.assign(options, { method: "POST", headers, body: JSON.stringify(request) });
  }
  let response, answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (response) throw new ServerError("unreadable", `The server's response (HTTP ${response.status}) is not valid JSON.`);
    throw new ServerError("unreachable", "The server does not respond. Is autorag serve still running?");
  }
  if (response.ok) return answer;
  const { code = "unknown", message = `The server responded with HTTP ${response.status}.`, field } = answer?.error ?? {};
  throw new ServerError(code, message, field);
}
