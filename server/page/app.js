// The page: controls and the address bar, searching, the keyboard, and the state of the index.

import { search, status } from "./api.js";
import { openProblems, openReader } from "./documents.js";
import { count, element, hitItem, indexWords, timingWords } from "./view.js";

const PAGE = 10;
// The furthest that the server lets a page of hits start.
const MAX_OFFSET = 1000;
// Long enough to skip most letters of a word, short enough to feel live.
const DEBOUNCE_MS = 150;
const POLL_BUSY_MS = 1000;
const POLL_IDLE_MS = 15_000;

const byId = (id) => document.getElementById(id);
const form = byId("search");
const box = byId("q");
const hits = byId("hits");
const controls = ["q", "mode", "type", "folder", "since", "filter"].map(byId);

// The hits on the page: what was asked, how often load more was, the last answer. Null before the first.
let shown = null;
let sequence = 0;
let underWay = new AbortController();
let debounce = 0;
let pollTimer = 0;
// The last search failed in a way that passes: it is asked again once the server answers.
let retry = false;
// The next change begins a new step of history. Letters typed in one go are one step, not twenty.
let newStep = true;

const fallback = (control) => (control.id === "mode" ? "hybrid" : "");

function readAddress() {
  const parameters = new URLSearchParams(location.search);
  for (const control of controls) {
    control.value = parameters.get(control.id) ?? fallback(control);
    // A select takes none but its own values.
    if (control.value === "") control.value = fallback(control);
  }
  byId("advanced").open ||= byId("filter").value !== "";
}

/** On arrival, and on the way back or forward: the address leads, and is at most put in order. */
function followAddress() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  readAddress();
  newStep = false;
  searchNow();
  newStep = true;
}

function writeAddress() {
  const set = controls.filter((control) => control.value.trim() !== fallback(control));
  const parameters = new URLSearchParams(set.map((control) => [control.id, control.value]));
  const address = set.length > 0 ? `?${parameters}` : location.pathname;
  if (address === (location.search || location.pathname)) return;
  history[newStep ? "pushState" : "replaceState"](null, "", address);
  newStep = false;
}

/** What the controls ask for. Throws a SyntaxError where the metadata filter is no JSON. */
function requestOfControls() {
  const [query, mode, type, folder, since, filter] = controls.map((control) => control.value.trim());
  const conditions = [];
  if (type) conditions.push({ type });
  if (folder) conditions.push({ folder: { $prefix: folder } });
  // The date is the reader's, so the day begins at midnight where they are.
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
    request = requestOfControls();
  } catch (error) {
    supersede();
    showError({ message: `This is not JSON: ${error.message}`, field: "filters" });
    return;
  }
  if (request.query === "") {
    supersede();
    shown = null;
    drawHits();
  } else {
    ask(request, 0);
  }
}

/** Makes whatever is under way stale, and gives the number of what comes next. */
function supersede() {
  underWay.abort();
  underWay = new AbortController();
  retry = false;
  byId("results").removeAttribute("aria-busy");
  return ++sequence;
}

async function ask(request, offset) {
  const mine = supersede();
  byId("results").setAttribute("aria-busy", "true");
  try {
    const answer = await search({ ...request, offset }, underWay.signal);
    // Aborting is not enough: an answer may have arrived before, and wait for its turn.
    if (mine !== sequence) return;
    shown = { request, offset, answer };
    showError(null);
    showIndex(answer.index_state);
    drawHits();
  } catch (error) {
    if (mine !== sequence) return;
    retry = error.passing && offset === 0;
    showError(retry ? { message: `${error.message} (This search is asked again by itself.)` } : error);
    if (retry) pollIn(POLL_BUSY_MS);
  }
  byId("results").removeAttribute("aria-busy");
}

/** Says an error beside the control it names, or above the results. Null takes every error away. */
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
  const found = answer?.hits ?? [];
  const further = shown?.offset > 0;
  const items = found.map((hit) => {
    const item = hitItem(hit);
    item.querySelector(".open").addEventListener("click", () => openReader(hit));
    return item;
  });
  if (further) hits.append(...items);
  else hits.replaceChildren(...items);
  // The button that was pressed may vanish now, so the focus goes on to what it brought.
  const onMore = further && document.activeElement === byId("more");
  if (onMore) (items[0] ?? hits.lastElementChild).querySelector(".open").focus();
  const full = found.length === PAGE;
  const shownCount = count(hits.children.length, "hit");
  byId("more").hidden = !full || shown.offset + PAGE > MAX_OFFSET;
  byId("result-count").textContent = answer ? `${shownCount} for “${answer.query}”${full ? " so far" : ""}` : "";
  byId("timings").textContent = answer ? timingWords(answer.took_us) : "";
  const notes = answer?.degraded ?? [];
  const noteItem = ({ part, reason }) => element("li", { "data-part": part }, `${part}: ${reason}`);
  byId("degraded").replaceChildren(...notes.map(noteItem));
  byId("degraded").hidden = notes.length === 0;
  byId("refresh").hidden = true;
  drawEmpty(answer);
}

/** Nothing found, nothing found yet, and nothing there to be found are three different things. */
function drawEmpty(answer) {
  const empty = byId("empty");
  empty.hidden = !answer || hits.children.length > 0;
  if (empty.hidden) return;
  const state = answer.index_state;
  const kind = !state.complete ? "not-yet" : state.documents === 0 ? "no-documents" : "nothing";
  const words = {
    "not-yet": `Nothing found yet, but not everything is indexed: ${indexWords(state)}.`,
    "no-documents": "Nothing is indexed: the folder holds no document that could be read.",
    nothing: "Nothing found. Every document was searched.",
  };
  empty.dataset.kind = kind;
  empty.replaceChildren(element("p", {}, words[kind]));
  if (shown.request.filters === undefined) return;
  const clear = element("button", { type: "button", id: "clear-filters" }, "Search without the filters");
  clear.addEventListener("click", clearFilters);
  empty.append(clear);
}

function clearFilters() {
  for (const control of controls.filter(({ id }) => id !== "q" && id !== "mode")) control.value = "";
  newStep = true;
  searchNow();
  box.focus();
}

function showIndex(state, job) {
  const bar = byId("index-progress");
  byId("index").dataset.phase = state.phase;
  byId("index").dataset.complete = state.complete;
  byId("index-words").textContent = indexWords(state, job);
  bar.hidden = !["opening", "scanning", "indexing", "embedding"].includes(state.phase);
  // How many files or passages are to come is only known once they are found and cut: until then it just moves.
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

/** Once all is indexed, hits found before may not be the best any more. */
function offerRefresh(state) {
  if (!state.complete || !shown || shown.answer.index_state.complete) return;
  // An empty list can be replaced unasked; hits being read cannot.
  if (hits.children.length === 0) ask(shown.request, 0);
  else byId("refresh").hidden = false;
}

/** Nobody looks at a hidden page, so nothing is asked for it. */
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
    byId("banner").textContent = error.code === "opening" ? "" : `${error.message} Trying again…`;
  }
  pollIn(wait);
}

function showAbout({ version, model, sources, data_dir: dataDir }) {
  const folders = sources.map(({ path }) => path).join(", ");
  byId("about").textContent = `autorag ${version} · ${folders} · ${[model.id, model.kernel].filter(Boolean).join(", ")} · index in ${dataDir}`;
}

/** Moves the focus between hits; up from the first is the box again. */
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
  // Controls keep their own keys; only down from the box leads to the hits.
  if (target.matches("input, select, textarea") && !(target === box && key === "ArrowDown")) return;
  if (key === "/") box.select();
  else if (key in STEPS) moveFocus(STEPS[key]);
  else return;
  event.preventDefault();
}

function searchAsStep() {
  newStep = true;
  searchNow();
  newStep = true;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  searchAsStep();
});
for (const live of [box, byId("folder")]) live.addEventListener("input", searchSoon);
for (const id of ["mode", "type", "since", "filter"]) byId(id).addEventListener("change", searchAsStep);
form.addEventListener("focusout", () => (newStep = true));
window.addEventListener("popstate", followAddress);
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => pollIn(0));
byId("more").addEventListener("click", () => ask(shown.request, shown.offset + PAGE));
byId("refresh").addEventListener("click", () => ask(shown.request, 0));
byId("show-errors").addEventListener("click", () => openProblems("error", "Files with errors"));
byId("show-skipped").addEventListener("click", () => openProblems("skipped", "Skipped files"));

followAddress();
poll();
