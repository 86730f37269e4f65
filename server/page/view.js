// Turns responses into elements and sentences. Texts of documents become text nodes, never markup.

const FRESHNESS = {
  current: { sign: "✓", words: "Current", description: "The file has not changed since it was indexed" },
  stale: { sign: "!", words: "Stale: file changed", description: "The file has changed since it was indexed" },
  deleted: { sign: "✕", words: "Deleted", description: "The file was deleted; this is the indexed text" },
};

/** Makes an element. Strings become text nodes, and empty children are skipped. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;

export const lineWords = (first, last) => (first === last ? `line ${first}` : `lines ${first}–${last}`);

/** The title of the document, or its file name. */
export const titleOf = (document) => document.title || document.key.split("/").at(-1);

export function freshnessBadge(freshness) {
  const { sign, words, description } = FRESHNESS[freshness] ?? { sign: "?", words: freshness, description: "" };
  const icon = element("span", { "aria-hidden": "true" }, `${sign} `);
  return element("span", { class: "badge", "data-freshness": freshness, title: description }, icon, words);
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
  const isHybrid = scores.fusion !== "none";
  const raw = (retriever, label, value, rank) => {
    // Without fusion, a missing score means that the retriever was not used.
    if (value === null && !isHybrid) return null;
    const words = value === null ? `${label}: not ranked` : `${label} ${value.toPrecision(3)} (#${rank})`;
    return element("li", { class: `score ${retriever}` }, words);
  };
  return [
    element("li", { class: "score calibrated" }, `score ${score.toFixed(2)}`),
    raw("lexical", "keywords", scores.lexical, scores.lexical_rank),
    raw("dense", "semantic", scores.dense, scores.dense_rank),
  ];
}

/** The state of the index as a sentence, with the time left of the current job if it is known. */
export function indexWords(state, job) {
  const { documents, passages, embedded, files_seen: seen } = state;
  const left = timeLeft(job?.eta_seconds);
  const contents = `${count(documents, "document")}, ${count(passages, "passage")}`;
  switch (state.phase) {
    case "opening": return "Opening the index…";
    case "scanning": return `Scanning: ${count(seen, "file")} found so far`;
    case "indexing": return `Indexing: ${documents.toLocaleString()} of ${count(seen, "file")}${left}`;
    case "embedding": return `Embedding ${embedded.toLocaleString()} of ${count(passages, "passage")}${left}`;
    case "failed": return `Indexing failed: ${state.failure ?? "see the log of the server"} (${contents} searchable)`;
    case "paused": return `Indexing is paused: ${contents} searchable, changes are not indexed`;
    case "incomplete": return `The last indexing run did not finish: ${contents} searchable, others may be missing`;
    default: return `${contents} indexed${state.complete ? "" : `, ${count(state.pending, "passage")} to embed`}`;
  }
}

function timeLeft(seconds) {
  if (!seconds) return "";
  return seconds <= 180 ? `, about ${seconds} s left` : `, about ${Math.ceil(seconds / 60)} min left`;
}

const STAGES = {
  filter: "filter",
  embed: "query embedding",
  lexical: "keyword search",
  dense: "vector search",
  fuse: "fusion",
  rerank: "reranking",
  load: "texts",
};

/** The time of a search and of its stages. */
export function timingWords(took) {
  const ms = (us) => `${(us / 1000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  // Shorter stages would be shown as 0.0 ms.
  const stages = Object.keys(STAGES).filter((stage) => took[stage] >= 50);
  const parts = stages.map((stage) => `${STAGES[stage]} ${ms(took[stage])}`).join(", ");
  return parts ? `${ms(took.total)} (${parts})` : ms(took.total);
}
