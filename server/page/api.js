// Talking to the server: answers are JSON, and whatever goes wrong is one kind of error.

// A little longer than the server's own limit of 30 s, so that its message arrives where it has one.
const PATIENCE_MS = 35_000;
const PASSING = ["unreachable", "opening", "unavailable", "overloaded", "timeout"];

export class ServerError extends Error {
  constructor(code, message, field) {
    super(message);
    this.code = code;
    this.field = field;
  }

  /** Whether the same request may succeed a little later with nobody changing it. */
  get passing() {
    return PASSING.includes(this.code);
  }
}

export const search = (request, signal) => ask("/v1/search", { signal, request });
export const status = () => ask("/v1/status");
export const listDocuments = (parameters) => ask(`/v1/documents?${new URLSearchParams(parameters)}`);

export function readDocument(key, firstLine, lastLine) {
  // The route takes the key's slashes as they are, and everything else escaped.
  const path = key.split("/").map(encodeURIComponent).join("/");
  return ask(`/v1/documents/${path}?start_line=${firstLine}&end_line=${lastLine}`);
}

/** Resolves to the answer; rejects with a ServerError, or with the AbortError of a caller who gave up. */
async function ask(path, { signal, request } = {}) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const options = { signal: signal ? AbortSignal.any([signal, patience]) : patience };
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
    if (response) throw new ServerError("unreadable", `The server's answer (HTTP ${response.status}) cannot be read.`);
    throw new ServerError("unreachable", "The server does not answer. Is `autorag serve` still running?");
  }
  if (response.ok) return answer;
  const { code = "unknown", message = `The server answered HTTP ${response.status}.`, field } = answer?.error ?? {};
  throw new ServerError(code, message, field);
}
