"use strict";
(() => {
const byId = (id) => document.getElementById(id);
const POLL_MILLISECONDS = 2000;
const RATES = [["1", "1 showcase"], ["2", "2 follow-up"], ["5", "5 placed"], ["drop", "drop"]];
const KEYS = { "1": "1", "2": "2", "5": "5", "x": "drop", "0": "" };
const isServed = location.protocol.startsWith("http");

// -- state -------------------------------------------------------------------------------------
let album = null;            // what the project says
let pictures = new Map();    // by file
let review = { ratings: {}, upscale: [], order: [] };
let dirty = false;
let current = "";
let dragged = "";

const storeKey = () => "loraloom:review:" + album.id;
function remember() {
  try { localStorage.setItem(storeKey(), JSON.stringify({ review, revision: album.saved })); } catch { /* private window */ }
}
function recall() {
  try {
    const found = JSON.parse(localStorage.getItem(storeKey()));
    return found && found.revision === album.saved ? found.review : null;
  } catch { return null; }
}
function changed() { dirty = true; remember(); paintCounts(); }

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

const ratingOf = (file) => review.ratings[file] || "";
const isUpscaled = (file) => review.upscale.includes(file);
const href = (file) => encodeURIComponent(file);
const plain = (title) => title.replace(/ \[.*$/, "").replace(/^.*[\\/]/, "").replace(/\.(safetensors|ckpt)$/, "");

function rate(file, rating) {
  if (rating) review.ratings[file] = rating; else delete review.ratings[file];
  if (rating === "1") { if (!review.order.includes(file)) review.order.push(file); }
  else review.order = review.order.filter((one) => one !== file);
  changed();
  paintTile(file);
  paintLargeRates();
}
function toggleUpscale(file) {
  review.upscale = isUpscaled(file) ? review.upscale.filter((one) => one !== file) : [...review.upscale, file];
  changed();
  paintTile(file);
  paintLargeRates();
}

// -- the album comes, and comes again while a batch is drawn -------------------------------------
window.loraloomAlbum = (data) => {
  const first = album === null;
  const isNews = first || data.revision !== album.revision;
  const isSavedElsewhere = !first && data.saved !== album.saved;
  album = data;
  if (first) {
    document.title = data.title + ": review";
    byId("title").textContent = data.title;
    byId("badge").textContent = data.badge;
    byId("badge").classList.toggle("hidden", !data.badge);
    const kept = recall();
    review = kept || clone(data.review);
    dirty = kept !== null;
  } else if (isSavedElsewhere && !dirty) {
    review = clone(data.review);
  }
  byId("status").textContent = data.status;
  if (!isNews && !isSavedElsewhere) return;
  pictures = new Map(data.pictures.map((one) => [one.file, one]));
  review.order = review.order.filter((file) => pictures.has(file));
  if (!pictures.has(current)) current = data.pictures.length ? data.pictures[0].file : "";
  paintFilters();
  paintTiles();
  paintStrip();
  paintCounts();
};
const clone = (value) => ({ ratings: { ...value.ratings }, upscale: [...value.upscale], order: [...value.order] });

function load() {
  const script = make("script", { src: "review.live.js?" + Date.now() });
  script.onload = script.onerror = () => script.remove();
  document.body.append(script);
}
load();
setInterval(load, POLL_MILLISECONDS);

// -- filters -------------------------------------------------------------------------------------
function paintFilters() {
  const fill = (id, values) => {
    const select = byId(id), before = select.value;
    select.replaceChildren(make("option", { value: "", textContent: "all" }),
      ...[...new Set(values)].sort().map((one) => make("option", { value: one, textContent: one })));
    select.value = [...select.options].some((one) => one.value === before) ? before : "";
  };
  fill("filter-checkpoint", album.pictures.map((one) => plain(one.checkpoint)));
  fill("filter-framing", album.pictures.map((one) => one.framing).filter(Boolean));
}
function isShown(one) {
  const rating = byId("filter-rating").value, own = ratingOf(one.file);
  const checkpoint = byId("filter-checkpoint").value, framing = byId("filter-framing").value;
  if (rating === "none" && own) return false;
  if (rating === "upscale" && !isUpscaled(one.file)) return false;
  if (!["all", "none", "upscale"].includes(rating) && own !== rating) return false;
  return (!checkpoint || plain(one.checkpoint) === checkpoint) && (!framing || one.framing === framing);
}
const shown = () => album.pictures.filter(isShown);
for (const id of ["filter-rating", "filter-checkpoint", "filter-framing"]) {
  byId(id).addEventListener("change", () => { paintTiles(); byId(id).blur(); });
}
byId("size").addEventListener("input", (event) => {
  document.documentElement.style.setProperty("--tile", event.target.value + "px");
});

// -- tiles ---------------------------------------------------------------------------------------
const tiles = new Map();
function paintTiles() {
  if (!album) return;
  const list = shown();
  tiles.clear();
  if (!list.some((one) => one.file === current)) current = list.length ? list[0].file : "";
  const made = list.map((one) => { const tile = makeTile(one); tiles.set(one.file, tile); return tile; });
  if (!made.length) {
    const text = album.pictures.length ? "No picture fits these filters." : "No picture yet.";
    made.push(make("p", { className: "empty", textContent: text }));
  }
  byId("review").replaceChildren(...made);
  for (const file of tiles.keys()) paintTile(file);
}
function makeTile(one) {
  const tile = make("div", { className: "tile", tabIndex: -1 },
    make("img", { src: href(one.file), loading: "lazy", decoding: "async", alt: one.prompt, title: one.prompt }),
    make("div", { className: "about" },
      make("span", { textContent: one.framing || "framing not told" }),
      make("span", { className: "soft", textContent: plain(one.checkpoint) + ", seed " + one.seed })));
  tile.addEventListener("click", () => choose(one.file));
  tile.addEventListener("dblclick", () => openLarge(one.file));
  return tile;
}
function paintTile(file) {
  const tile = tiles.get(file);
  if (!tile) return;
  const rating = ratingOf(file);
  tile.dataset.rating = rating;
  tile.classList.toggle("current", file === current);
  for (const mark of tile.querySelectorAll(".mark")) mark.remove();
  if (rating) tile.append(make("span", { className: "mark", textContent: rating === "drop" ? "dropped" : rating }));
  if (isUpscaled(file)) tile.append(make("span", { className: "mark up", textContent: "upscale" }));
  else if (pictures.get(file).upscaled_from) tile.append(make("span", { className: "mark up", textContent: "upscaled" }));
}
function choose(file, scroll = false) {
  const before = current;
  current = file;
  paintTile(before);
  paintTile(file);
  if (scroll && tiles.has(file)) tiles.get(file).scrollIntoView({ block: "nearest" });
  if (byId("large").open) paintLarge();
}
function step(amount) {
  const list = shown(), at = list.findIndex((one) => one.file === current);
  const next = list[Math.min(list.length - 1, Math.max(0, at + amount))];
  if (next) choose(next.file, true);
}

function paintCounts() {
  const files = [...pictures.keys()];
  const count = (rating) => files.filter((file) => ratingOf(file) === rating).length;
  const ones = count("1");
  byId("counts").textContent = ones + " of at most " + album.most + " for the showcase, " + count("") +
    " of " + files.length + " not rated" + (dirty ? ", not saved" : "");
  byId("counts").classList.toggle("alarm", ones > album.most);
}

// -- one picture, large --------------------------------------------------------------------------
function openLarge(file) {
  choose(file);
  byId("large").showModal();
  paintLarge();
}
function paintLarge() {
  const one = pictures.get(current);
  if (!one) return;
  byId("large-picture").src = href(one.file);
  byId("large-picture").alt = one.prompt;
  byId("large-title").textContent = one.file;
  const rows = [["Framing", one.framing || "not told"], ["Checkpoint", one.checkpoint], ["Seed", String(one.seed)],
    ["Prompt", one.prompt], ["Negative prompt", one.negative_prompt],
    ["Upscaled from", one.upscaled_from],
    ...one.picks.map(([variant, option, where]) => [variant.length > 60 ? variant.slice(0, 60) + "…" : variant,
      (option || "(nothing)") + (where ? "  (" + where + ")" : "")])];
  byId("large-facts").replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) =>
    [make("dt", { textContent: name }), make("dd", { textContent: value })]));
  paintLargeRates();
}
function paintLargeRates() {
  if (!byId("large").open) return;
  const buttons = RATES.map(([rating, text]) => {
    const button = make("button", { textContent: text, "aria-pressed": String(ratingOf(current) === rating) });
    button.addEventListener("click", () => rate(current, ratingOf(current) === rating ? "" : rating));
    return button;
  });
  const up = make("button", { textContent: "upscale", "aria-pressed": String(isUpscaled(current)) });
  up.addEventListener("click", () => toggleUpscale(current));
  byId("large-rates").replaceChildren(...buttons, up);
}
byId("large-close").addEventListener("click", () => byId("large").close());
byId("saved-close").addEventListener("click", () => byId("saved").close());

// -- order ---------------------------------------------------------------------------------------
const framing = (file) => (pictures.get(file) || {}).framing || "";
const isAlike = (list, at) => at > 0 && framing(list[at]) !== "" && framing(list[at]) === framing(list[at - 1]);
function paintStrip() {
  if (!album) return;
  const list = review.order;
  byId("strip").replaceChildren(...list.map((file, at) => {
    const item = make("li", { draggable: true },
      make("img", { src: href(file), loading: "lazy", alt: (pictures.get(file) || {}).prompt || "", draggable: false }),
      make("div", { className: "about", textContent: (at + 1) + ". " + (framing(file) || "framing not told") }),
      make("div", { className: "moves" },
        mover(file, -1, "\u2190", "Move left"), mover(file, 1, "\u2192", "Move right")));
    item.classList.toggle("alike", isAlike(list, at));
    item.addEventListener("dragstart", () => { dragged = file; });
    item.addEventListener("dragover", (event) => { event.preventDefault(); item.classList.add("over"); });
    item.addEventListener("dragleave", () => item.classList.remove("over"));
    item.addEventListener("drop", (event) => { event.preventDefault(); place(dragged, at); });
    return item;
  }));
  const alike = list.filter((_, at) => isAlike(list, at)).length;
  const note = byId("order-note");
  note.classList.toggle("alarm", alike > 0);
  note.textContent = !list.length ? "Rate pictures 1, and they stand here to be ordered."
    : alike ? alike + (alike === 1 ? " picture has" : " pictures have") + " the framing of the one before."
    : "No two of the same framing side by side.";
}
function mover(file, by, text, label) {
  const button = make("button", { textContent: text, "aria-label": label, title: label });
  button.addEventListener("click", () => place(file, review.order.indexOf(file) + by));
  return button;
}
function place(file, at) {
  if (!file || at < 0 || at >= review.order.length) return;
  const rest = review.order.filter((one) => one !== file);
  rest.splice(at, 0, file);
  review.order = rest;
  changed();
  paintStrip();
}
function arranged(files) {
  const waiting = [...files], result = [];
  while (waiting.length) {
    const before = result.length ? framing(result[result.length - 1]) : "";
    const count = (name, list) => list.filter((one) => framing(one) === name).length;
    const fits = (one) => {
      if (before && framing(one) === before) return false;
      const rest = waiting.filter((other) => other !== one);
      return [...new Set(rest.map(framing))].filter(Boolean).every((name) =>
        count(name, rest) <= Math.floor((rest.length + (name === framing(one) ? 0 : 1)) / 2));
    };
    const next = waiting.find(fits) || waiting[0];
    waiting.splice(waiting.indexOf(next), 1);
    result.push(next);
  }
  return result;
}
byId("arrange").addEventListener("click", () => { review.order = arranged(review.order); changed(); paintStrip(); });

function show(tab) {
  for (const name of ["review", "order"]) {
    byId(name).classList.toggle("hidden", name !== tab);
    byId("tab-" + name).setAttribute("aria-selected", String(name === tab));
  }
  for (const one of document.querySelectorAll(".for-review")) one.classList.toggle("hidden", tab !== "review");
  if (tab === "order") paintStrip(); else paintTiles();
}
byId("tab-review").addEventListener("click", () => show("review"));
byId("tab-order").addEventListener("click", () => show("order"));

// -- saving --------------------------------------------------------------------------------------
function asFile() {
  return JSON.stringify({ kind: "loraloom-review", format: 1, ...clone(review) }, null, 2) + "\n";
}
function tell(text, command = "") {
  byId("saved-text").textContent = text;
  byId("saved-command").textContent = command;
  byId("saved-command").classList.toggle("hidden", !command);
  if (!byId("saved").open) byId("saved").showModal();
}
async function save() {
  if (isServed) {
    try {
      const answer = await fetch("review", { method: "POST", body: asFile() });
      if (!answer.ok) throw new Error(await answer.text());
      dirty = false;
      paintCounts();
      tell("Saved to the project.", album.next);
    } catch (error) {
      tell("Not saved: " + error.message + ". Is the command still running that serves this page?");
    }
    return;
  }
  const link = make("a", { download: "review.json", href: URL.createObjectURL(new Blob([asFile()], { type: "application/json" })) });
  link.click();
  URL.revokeObjectURL(link.href);
  dirty = false;
  paintCounts();
  tell("review.json was saved by your browser. Give it to the project, from the folder it was saved to:", album.take);
}
byId("save").addEventListener("click", save);
window.addEventListener("beforeunload", (event) => { if (dirty && isServed) event.preventDefault(); });

// -- keys ----------------------------------------------------------------------------------------
function columns() {
  const style = getComputedStyle(byId("review")).gridTemplateColumns;
  return style.split(" ").filter(Boolean).length || 1;
}
document.addEventListener("keydown", (event) => {
  if (!album || event.ctrlKey || event.metaKey || event.altKey) return;
  if (["SELECT", "INPUT"].includes(event.target.tagName) || byId("saved").open) return;
  if (byId("review").classList.contains("hidden") && !byId("large").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const large = byId("large").open;
  if (key in KEYS && current) rate(current, KEYS[key]);
  else if (key === "u" && current) toggleUpscale(current);
  else if (key === "ArrowLeft") step(-1);
  else if (key === "ArrowRight") step(1);
  else if (key === "ArrowUp" && !large) step(-columns());
  else if (key === "ArrowDown" && !large) step(columns());
  else if (key === "Enter" && !large && current && event.target.tagName !== "BUTTON") openLarge(current);
  else return;
  event.preventDefault();
});
})();
