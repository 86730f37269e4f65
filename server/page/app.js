// The page: controls and address bar, search, keyboard, and the state of the index.

import { search, status } from "./api.js";
import { openProblems, openReader } from "./documents.js";
import { count, element, hitItem, indexWords, timingWords } from "./view.js";

const PAGE = 10;
// The server's maximum offset.
const MAX_OFFSET = 1000;
// Long enough to skip most keystrokes within a word, short enough to feel live.
const DEBOUNCE_MS = 150;
const POLL_BUSY_MS = 1000;
const POLL_IDLE_MS = 15_000;

const byId = (id) => document.getElementById(id);
const form = byId("search");
const box = byId("q");
const hits = byId("hits");
const controls = ["q", "mode", "type", "folder", "since", "filter"].map(byId);

// The last search: its request, offset and answer. Null before the first search.
let shown = null;
let sequence = 0;
let inFlight = new AbortController();
let debounce = 0;
let pollTimer = 0;
// The last search failed with a transient error. It is repeated when the server responds again.
let retry = false;
// The next change starts a new history entry. Letters typed in a row share one entry.
let startsEntry = true;

const fallback = (control) => (control.id === "mode" ? "hybrid" : "");

function readAddress() {
  const parameters = new URLSearchParams(location.search);
  for (const control of controls) {
    control.value = parameters.get(control.id) ?? fallback(control);
    // A select ignores values that are not among its options.
    if (control.value === "") control.value = fallback(control);
  }
  byId("advanced").open ||= byId("filter").value !== "";
}

/** Shows the search in the address, on load and after back or forward. No history entry is added. */
function loadAddress() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  readAddress();
  startsEntry = false;
  searchNow();
  startsEntry = true;
}

function writeAddress() {
  const set = controls.filter((control) => control.value.trim() !== fallback(control));
  const parameters = new URLSearchParams(set.map((control) => [control.id, control.value]));
  const address = set.length > 0 ? `?${parameters}` : location.pathname;
  if (address === (location.search || location.pathname)) return;
  history[startsEntry ? "pushState" : "replaceState"](null, "", address);
  startsEntry = false;
}

/** The search request of the controls. Throws a SyntaxError if the metadata filter is not JSON. */
function buildRequest() {
  const [query, mode, type, folder, since, filter] = controls.map((control) => control.value.trim());
  const conditions = [];
  if (type) conditions.push({ type });
  if (folder) conditions.push({ folder: { $prefix: folder } });
  // The day starts at midnight in the user's time zone.
  if (since) conditions.push({ timestamp: { $gte: new Date(`${since}T00:00`).toISOString() } });
  if (filter) conditions.push(JSON.parse(filter));
  const filters = conditions.length > 1 ? { $and: conditions } : conditions[0];
  return { query, mode, limit: PAGE, filters };
}

function searchSoon() {
  clearTimeout(debounce);
  debounce = setTimeout(searchNow, DEBOUNCE_MS);
}

function searchNow() {
  clearTimeout(debounce);
  writeAddress();
  showError(null);
  let request;
  try {
    request = buildRequest();
  } catch (error) {
    supersede();
    showError({ message: `The filter is not valid JSON: ${error.message}`, field: "filters" });
    return;
  }
  if (request.query === "") {
    supersede();
    shown = null;
    drawHits();
  } else {
    runSearch(request, 0);
  }
}

/** Aborts the search in flight and returns the number of the next one. */
function supersede() {
  inFlight.abort();
  inFlight = new AbortController();
  retry = false;
  byId("results").removeAttribute("aria-busy");
  return ++sequence;
}

async function runSearch(request, offset) {
  const number = supersede();
  byId("results").setAttribute("aria-busy", "true");
  try {
    const answer = await search({ ...request, offset }, inFlight.signal);
    // The response may have arrived just before the abort.
    if (number !== sequence) return;
    shown = { request, offset, answer };
    showError(null);
    showIndex(answer.index_state);
    drawHits();
  } catch (error) {
    if (number !== sequence) return;
    retry = error.isTransient && offset === 0;
    showError(retry ? { message: `${error.message} Retrying…` } : error);
    if (retry) pollIn(POLL_BUSY_MS);
  }
  byId("results").removeAttribute("aria-busy");
}

/** Shows an error next to the control it names, or above the results. Null clears all errors. */
function showError(error) {
  for (const place of document.querySelectorAll("[data-error-for]")) {
    const here = error?.field === place.dataset.errorFor;
    place.textContent = here ? error.message : "";
    byId(place.id.replace("-error", "")).setAttribute("aria-invalid", here);
    if (here) place.closest("details")?.setAttribute("open", "");
  }
  const named = error && document.querySelector(`[data-error-for="${CSS.escape(error.field ?? "")}"]`);
  byId("search-error").textContent = error && !named ? error.message : "";
  byId("search-error").hidden = !error || Boolean(named);
}

function drawHits() {
  const answer = shown?.answer;
  const newHits = answer?.hits ?? [];
  const isContinuation = shown?.offset > 0;
  const items = newHits.map((hit) => {
    const item = hitItem(hit);
    item.querySelector(".open").addEventListener("click", () => openReader(hit));
    return item;
  });
  if (isContinuation) hits.append(...items);
  else hits.replaceChildren(...items);
  // The pressed button may disappear now, so move the focus to the first new hit.
  const onMore = isContinuation && document.activeElement === byId("more");
  if (onMore) (items[0] ?? hits.lastElementChild).querySelector(".open").focus();
  const hasMore = newHits.length === PAGE;
  const total = hits.children.length;
  const results = hasMore ? `${total.toLocaleString()}+ results` : count(total, "result");
  byId("more").hidden = !hasMore || shown.offset + PAGE > MAX_OFFSET;
  byId("result-count").textContent = answer ? `${results} for “${answer.query}”` : "";
  byId("timings").textContent = answer ? timingWords(answer.took_us) : "";
  const notes = answer?.degraded ?? [];
  const noteItem = ({ part, reason }) => element("li", { "data-part": part }, `${part}: ${reason}`);
  byId("degraded").replaceChildren(...notes.map(noteItem));
  byId("degraded").hidden = notes.length === 0;
  byId("refresh").hidden = true;
  drawEmpty(answer);
}

/** Explains an empty result: nothing found, not indexed yet, or no documents at all. */
function drawEmpty(answer) {
  const empty = byId("empty");
  empty.hidden = !answer || hits.children.length > 0;
  if (empty.hidden) return;
  const state = answer.index_state;
  const kind = !state.complete ? "not-yet" : state.documents === 0 ? "no-documents" : "nothing";
  const words = {
    "not-yet": `Nothing found yet, but the index is incomplete: ${indexWords(state)}.`,
    "no-documents": "The index is empty: the folder contains no readable documents.",
    nothing: shown.request.filters ? "Nothing found with these filters." : "Nothing found in the indexed documents.",
  };
  empty.dataset.kind = kind;
  empty.replaceChildren(element("p", {}, words[kind]));
  if (shown.request.filters === undefined) return;
  const clear = element("button", { type: "button", id: "clear-filters" }, "Search without filters");
  clear.addEventListener("click", clearFilters);
  empty.append(clear);
}

function clearFilters() {
  for (const control of controls.filter(({ id }) => id !== "q" && id !== "mode")) control.value = "";
  startsEntry = true;
  searchNow();
  box.focus();
}

function showIndex(state, job) {
  const bar = byId("index-progress");
  byId("index").dataset.phase = state.phase;
  byId("index").dataset.complete = state.complete;
  byId("index-words").textContent = indexWords(state, job);
  bar.hidden = !["opening", "scanning", "indexing", "embedding"].includes(state.phase);
  // The number of passages is unknown until all files are parsed. Until then the bar is indeterminate.
  bar.max = Math.max(1, state.passages);
  if (state.phase === "embedding") bar.value = state.embedded;
  else bar.removeAttribute("value");
  showCount("show-errors", state.errors, "error");
  showCount("show-skipped", state.skipped, "file skipped", "files skipped");
  offerRefresh(state);
}

function showCount(id, number, one, many) {
  byId(id).hidden = !(number > 0);
  byId(id).textContent = count(number ?? 0, one, many);
}

/** Offers to repeat a search that ran on an incomplete index, once the index is complete. */
function offerRefresh(state) {
  if (!state.complete || !shown || shown.answer.index_state.complete) return;
  // Replace an empty list without asking, but not hits that the user may be reading.
  if (hits.children.length === 0) runSearch(shown.request, 0);
  else byId("refresh").hidden = false;
}

/** Schedules the next status request. A hidden page sends none. */
function pollIn(wait) {
  clearTimeout(pollTimer);
  if (!document.hidden) pollTimer = setTimeout(poll, wait);
}

async function poll() {
  let wait = POLL_BUSY_MS;
  try {
    const now = await status();
    byId("banner").textContent = "";
    showIndex(now.index_state, now.job);
    showAbout(now);
    if (now.index_state.complete) wait = POLL_IDLE_MS;
    if (retry) searchNow();
  } catch (error) {
    if (error.code === "opening") byId("index-words").textContent = "Opening the index…";
    byId("banner").textContent = error.code === "opening" ? "" : `${error.message} Retrying…`;
  }
  pollIn(wait);
}

function showAbout({ version, model, sources, data_dir: dataDir }) {
  const folders = sources.map(({ path }) => path).join(", ");
  byId("about").textContent = `autorag ${version} · ${folders} · ${[model.id, model.kernel].filter(Boolean).join(", ")} · index: ${dataDir}`;
}

/** Moves the focus between hits, and from the first hit up to the search box. */
function moveFocus(step) {
  const stops = [...document.querySelectorAll("#hits .open, #more:not([hidden])")];
  const next = stops.indexOf(document.activeElement) + step;
  if (next < 0) box.focus();
  else stops[Math.min(next, stops.length - 1)]?.focus();
}

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

function onKey(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  // Controls keep their own keys. Only the down arrow in the search box moves to the hits.
  if (target.matches("input, select, textarea") && !(target === box && key === "ArrowDown")) return;
  if (key === "/") box.select();
  else if (key in STEPS) moveFocus(STEPS[key]);
  else return;
  event.preventDefault();
}

function searchWithHistoryEntry() {
  startsEntry = true;
  searchNow();
  startsEntry = true;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  searchWithHistoryEntry();
});
for (const live of [box, byId("folder")]) live.addEventListener("input", searchSoon);
for (const id of ["mode", "type", "since", "filter"]) byId(id).addEventListener("change", searchWithHistoryEntry);
form.addEventListener("focusout", () => (startsEntry = true));
window.addEventListener("popstate", loadAddress);
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => pollIn(0));
byId("more").addEventListener("click", () => runSearch(shown.request, shown.offset + PAGE));
byId("refresh").addEventListener("click", () => runSearch(shown.request, 0));
byId("show-errors").addEventListener("click", () => openProblems("error", "Files with errors"));
byId("show-skipped").addEventListener("click", () => openProblems("skipped", "Skipped files"));

loadAddress();
poll();
