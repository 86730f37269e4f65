// From what the server says to elements and words. Texts of documents only ever become text nodes, never markup.

const FRESHNESS = {
  current: { sign: "✓", words: "Current", meaning: "The file is as it was indexed" },
  stale: { sign: "!", words: "Stale: file changed", meaning: "The file has changed since it was indexed" },
  deleted: { sign: "✕", words: "Deleted: file gone", meaning: "The file is gone; this is the text that was indexed" },
};

/** Makes an element; children that are strings become text, and empty ones are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;

export const lineWords = (first, last) => (first === last ? `line ${first}` : `lines ${first}–${last}`);

/** A title for people: the document's own, else its file's name. */
export const titleOf = (document) => document.title || document.key.split("/").at(-1);

export function freshnessBadge(freshness) {
  const { sign, words, meaning } = FRESHNESS[freshness] ?? { sign: "?", words: freshness, meaning: "" };
  const drawn = element("span", { "aria-hidden": "true" }, `${sign} `);
  return element("span", { class: "badge", "data-freshness": freshness, title: meaning }, drawn, words);
}

export function hitItem(hit) {
  const { citation, document } = hit;
  const lines = lineWords(citation.start_line, citation.end_line);
  const page = citation.page === null ? "" : `, page ${citation.page}`;
  const headings = citation.heading_path.join(" › ");
  const rank = element("span", { class: "rank" }, element("span", { class: "unseen" }, "Hit "), `${hit.rank}`);
  const opening = { type: "button", class: "open", "aria-haspopup": "dialog", dir: "auto" };
  return element(
    "li",
    {
      class: "hit",
      value: hit.rank,
      "data-id": hit.id,
      "data-rank": hit.rank,
      "data-key": document.key,
      "data-start-line": citation.start_line,
      "data-end-line": citation.end_line,
    },
    element("h3", {}, rank, " ", element("button", opening, titleOf(document))),
    element(
      "p",
      { class: "place" },
      element("bdi", { class: "path" }, citation.path),
      element("span", { class: "lines" }, ` ${lines}${page}`),
      headings && element("span", { class: "headings", dir: "auto" }, headings),
    ),
    element("p", { class: `snippet ${document.type}`, dir: "auto" }, ...hit.snippet.map(snippetPart)),
    element(
      "ul",
      { class: "facts", "aria-label": "About this hit" },
      element("li", {}, freshnessBadge(hit.freshness)),
      element("li", { class: "type" }, document.language ?? document.type),
      element("li", { class: "modified" }, "modified ", dateOf(document.modified)),
      ...scoreItems(hit),
    ),
  );
}

const snippetPart = ({ text, highlight }) => (highlight ? element("mark", {}, text) : text);

function dateOf(time) {
  const date = new Date(time);
  if (Number.isNaN(date.valueOf())) return time;
  const day = date.toLocaleDateString(undefined, { dateStyle: "medium" });
  return element("time", { datetime: time, title: date.toLocaleString() }, day);
}

function scoreItems({ score, scores }) {
  const alone = scores.fusion === "none";
  const fused = alone ? "score" : `${scores.fusion} score`;
  const raw = (name, value, rank) => {
    // A retriever that was not asked has no say; one that was asked and left this passage out has.
    if (value === null && alone) return null;
    const words = value === null ? `${name}: not ranked` : `${name} ${value.toPrecision(3)} (#${rank})`;
    return element("li", { class: `score ${name}` }, words);
  };
  return [
    element("li", { class: "score fused" }, `${fused} ${score.toFixed(2)}`),
    raw("lexical", scores.lexical, scores.lexical_rank),
    raw("dense", scores.dense, scores.dense_rank),
  ];
}

/** Where the index stands, in a sentence. */
/** Where the index stands, with the estimate of the job under way where it is known. */
export function indexWords(state, job) {
  const { documents, passages, embedded, files_seen: seen } = state;
  const left = timeLeft(job?.eta_seconds);
  const held = `${count(documents, "document")}, ${count(passages, "passage")}`;
  switch (state.phase) {
    case "opening": return "Opening the index…";
    case "scanning": return `Looking for files: ${seen.toLocaleString()} found so far`;
    case "indexing": return `Reading files: ${documents.toLocaleString()} documents of ${count(seen, "file")} so far${left}`;
    case "embedding": return `Embedding ${embedded.toLocaleString()} of ${count(passages, "passage")}${left}`;
    case "failed": return `Indexing failed: ${state.failure ?? "the server's log says why"} (${held} searchable)`;
    case "paused": return `Indexing is paused: ${held} are searchable, changes are not followed`;
    case "incomplete": return `The last indexing run did not finish: ${held} are searchable, others may be missing`;
    default: return `${held} indexed${state.complete ? "" : `, ${count(state.pending, "passage")} still to embed`}`;
  }
}

function timeLeft(seconds) {
  if (!seconds) return "";
  return seconds <= 180 ? `, about ${seconds} s left` : `, about ${Math.ceil(seconds / 60)} min left`;
}

export function timingWords(took) {
  const ms = (us) => `${(us / 1000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  // Below this a stage would read as 0.0 ms.
  const stages = ["filter", "embed", "lexical", "dense", "fuse", "load"].filter((stage) => took[stage] >= 50);
  const parts = stages.map((stage) => `${stage} ${ms(took[stage])}`).join(", ");
  return parts ? `${ms(took.total)} (${parts})` : ms(took.total);
}
