// Two dialogs: the reader, which shows a document around a citation, and the list of documents without text.

import { listDocuments, readDocument } from "./api.js";
import { count, element, freshnessBadge, lineWords, titleOf } from "./view.js";

// Lines shown on each side of a citation, and lines that one press of a button adds.
const AROUND = 20;
const STEP = 100;

const byId = (id) => document.getElementById(id);
const reader = byId("reader");
const lines = byId("reader-lines");
const message = byId("reader-message");
const problems = byId("problems");
const problemsMessage = byId("problems-message");

// The document in the reader: citation, content hash, first and last shown line, number of lines. The hash is null while loading.
let shown = null;
// The open list of problems: status and cursor of the next page.
let listing = null;

export async function openReader({ citation, document, freshness }) {
  const opening = { citation, hash: null, first: 0, last: 0, total: 0 };
  shown = opening;
  byId("reader-title").textContent = titleOf(document);
  showFacts(citation, freshness);
  lines.replaceChildren();
  message.textContent = "Loading…";
  moveButtons();
  reader.showModal();
  try {
    const first = Math.max(1, citation.start_line - AROUND);
    const answer = await readDocument(citation.path, first, citation.end_line + AROUND);
    if (shown !== opening) return;
    const { content_hash: hash, start_line, end_line: last, total_lines: total } = answer;
    Object.assign(opening, { hash, first: start_line, last, total });
    showFacts(citation, answer.freshness);
    lines.replaceChildren(...lineElements(answer));
    const changed = "The document changed after this search, so line numbers may be off. Search again.";
    message.textContent = hash === citation.content_hash ? "" : changed;
    moveButtons();
    lines.querySelector(".cited")?.scrollIntoView({ block: "center" });
    lines.focus({ preventScroll: true });
  } catch (error) {
    if (shown === opening) message.textContent = error.message;
  }
}

function showFacts(citation, freshness) {
  const place = `${lineWords(citation.start_line, citation.end_line)} marked`;
  const path = element("bdi", { class: "path" }, citation.path);
  byId("reader-facts").replaceChildren(path, ` ${place} `, freshnessBadge(freshness));
}

/** One element per line. The style sheet draws the line number, so copied text does not contain it. */
function lineElements({ text, start_line: first, end_line: last }) {
  if (last < first) return [];
  const { start_line: from, end_line: to } = shown.citation;
  return text.split("\n", last - first + 1).map((line, index) => {
    const number = first + index;
    const cited = number >= from && number <= to;
    const words = line.replace(/\r$/, "");
    const code = element("code", { dir: "auto" }, cited ? element("mark", {}, words) : words);
    return element("div", { class: cited ? "line cited" : "line", "data-line": number }, code);
  });
}

function moveButtons() {
  const focused = document.activeElement;
  byId("earlier").disabled = shown.hash === null || shown.first <= 1;
  byId("later").disabled = shown.hash === null || shown.last >= shown.total;
  // A disabled button loses the focus. Keep the focus in the dialog.
  if (focused?.disabled) lines.focus({ preventScroll: true });
}

async function addLines(earlier) {
  const reading = shown;
  const { first, last } = reading;
  const [from, to] = earlier ? [Math.max(1, first - STEP), first - 1] : [last + 1, last + STEP];
  try {
    const answer = await readDocument(reading.citation.path, from, to);
    // Another document was opened meanwhile, or the response to a second press arrived first.
    if (shown !== reading || first !== reading.first || last !== reading.last) return;
    if (answer.content_hash !== shown.hash) {
      message.textContent = "The document changed meanwhile, so these lines do not belong together. Search again.";
      return;
    }
    const fromBottom = lines.scrollHeight - lines.scrollTop;
    lines[earlier ? "prepend" : "append"](...lineElements(answer));
    // Lines added above move the text, unless the browser anchors the scroll position.
    if (earlier) lines.scrollTop = lines.scrollHeight - fromBottom;
    if (earlier) shown.first = answer.start_line;
    else shown.last = answer.end_line;
    message.textContent = `Lines ${shown.first}–${shown.last} of ${shown.total}`;
    moveButtons();
  } catch (error) {
    if (shown === reading) message.textContent = error.message;
  }
}

async function copyCitation() {
  const { path, start_line: first, end_line: last, heading_path: headings, content_hash: hash } = shown.citation;
  const under = headings.length > 0 ? ` (${headings.join(" › ")})` : "";
  const citation = `${path}, ${lineWords(first, last)}${under}, ${hash}`;
  try {
    await navigator.clipboard.writeText(citation);
    message.textContent = `Copied: ${citation}`;
  } catch {
    // Browsers allow clipboard access only to pages from HTTPS or from this machine.
    message.textContent = `No access to the clipboard. Copy from here: ${citation}`;
  }
}

export function openProblems(status, title) {
  listing = { status, cursor: null };
  byId("problems-title").textContent = title;
  byId("problems-list").replaceChildren();
  problems.showModal();
  listMore();
}

async function listMore() {
  const current = listing;
  const more = byId("problems-more");
  problemsMessage.textContent = "Loading…";
  more.disabled = true;
  try {
    const { status, cursor } = current;
    const page = await listDocuments({ status, limit: 100, ...(cursor && { cursor }) });
    if (listing !== current) return;
    byId("problems-list").append(...page.documents.map(problemItem));
    current.cursor = page.next_cursor;
    more.hidden = current.cursor === null;
    problemsMessage.textContent = `${count(byId("problems-list").children.length, "file")}${more.hidden ? "" : " shown"}`;
  } catch (error) {
    if (listing === current) problemsMessage.textContent = error.message;
  } finally {
    more.disabled = false;
  }
}

function problemItem({ key, reason }) {
  const why = element("span", { class: "reason" }, reason ?? "no reason given");
  return element("li", { "data-key": key }, element("bdi", { class: "path" }, key), why);
}

byId("earlier").addEventListener("click", () => addLines(true));
byId("later").addEventListener("click", () => addLines(false));
byId("copy").addEventListener("click", copyCitation);
byId("problems-more").addEventListener("click", listMore);
for (const dialog of [reader, problems]) {
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  // The dialog has no padding, so a click whose target is the dialog is on the backdrop.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
