"use strict";
(() => {
const POLL_MILLISECONDS = 2500, GAP = 10, PAD = 12, NAME_HEIGHT = 24, SPARE_ROWS = 3, AHEAD = 4;
const byId = (id) => document.getElementById(id);

// -- what is known ---------------------------------------------------------------------------------
let choices = [], items = [], byKey = new Map(), order = [];
let cursor = 0, anchor = 0, mode = "grid", isSelecting = false, number = 0, facts = 0;
let captions = null, prefix = "", hasCaptions = false, waiting = 0;
const chosen = new Set();
const FIELDS = ["key", "name", "width", "height", "sharpness", "note", "framing", "group"];
const itemOf = (row) => Object.fromEntries(FIELDS.map((field, at) => [field, row[at]]));
const current = () => items[order[cursor]];
const choiceOf = (value) => choices.findIndex((one) => one.value === value);
const framingOf = (one) => (captions && captions[one.key] && captions[one.key].framing) || one.framing;
const captionOf = (one) => (captions && captions[one.key]) || { text: "", tags: [] };

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value); else element[name] = value;
  }
  element.append(...children);
  return element;
}
function say(text, isAlarm = false) { byId("said").textContent = text; byId("said").classList.toggle("alarm", isAlarm); }

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()) || `The server answered ${answer.status}.`);
  return answer.json();
}

// -- decisions: shown at once, sent in order, told when they are not kept ---------------------------------
let queue = Promise.resolve();
function send(path, body) {
  waiting += 1;
  const sent = queue.then(() => sendUntilKept(path, body));
  queue = sent.catch(() => {});
  return sent.then((told) => { waiting -= 1; take(told); return told; },
    (error) => { waiting -= 1; say(error.message, true); if (!waiting) poll(); throw error; });
}
async function sendUntilKept(path, body) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try { return await ask(path, body); } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      say("The server does not answer; what was decided is sent again.", true);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}
function decide(value) {
  const keys = chosen.size ? [...chosen] : current() ? [current().key] : [];
  if (!keys.length) return;
  for (const key of keys) { const one = byKey.get(key); one.value = value; one.way = "board"; }
  const many = chosen.size > 0;
  send("decide", { keys, value }).catch(() => {});
  if (many) { say(`${keys.length} pictures: ${labelOf(value)}`); chosen.clear(); anchor = cursor; paint(); }
  else { say(`${byKey.get(keys[0]).name}: ${labelOf(value)}`); if (value !== null && cursor < order.length - 1) move(1); else paint(); }
}
const labelOf = (value) => (value === null ? "no decision" : choices[choiceOf(value)].label);
async function turn(path, words) {
  try {
    const told = await send(path, {});
    const keys = [...Object.keys(told.values || {}), ...Object.keys(told.captions || {})];
    if (!told.count) { say(`Nothing to ${path}.`); return; }
    say(`${words}: ${keys.length === 1 ? byKey.get(keys[0])?.name : keys.length + " pictures"}`);
    const at = order.findIndex((index) => items[index].key === keys[0]);
    if (at >= 0) go(at);
  } catch { /* said already */ }
}

// -- news from the server --------------------------------------------------------------------------------
function take(told) {
  if (!waiting) {
    for (const [key, [value, way]] of Object.entries(told.values || {})) {
      const one = byKey.get(key);
      if (one) { one.value = value; one.way = way; }
    }
  }
  if (told.captions && captions) Object.assign(captions, told.captions);
  if (told.number > number && !waiting) number = told.number;
  paint();
}
async function poll() {
  if (waiting || document.hidden) return;
  try {
    const told = await ask(`changes.json?since=${number}&facts=${facts}`);
    if (byId("said").classList.contains("alarm")) say("");
    if (waiting) return;
    facts = told.facts;
    for (const row of told.items) {
      const news = itemOf(row), one = byKey.get(news.key);
      if (one) Object.assign(one, news);
    }
    if (told.items.length) { paintTwins(); if (["alike"].includes(byId("sort").value)) arrange(); }
    if (told.items.length || told.number > number) take(told);
  } catch (error) { say("The server does not answer.", true); }
}

// -- filter and sort ---------------------------------------------------------------------------------------
const sorts = {
  name: (a, b) => a.at - b.at,
  decision: (a, b) => rank(a) - rank(b) || a.at - b.at,
  large: (a, b) => b.width * b.height - a.width * a.height || a.at - b.at,
  small: (a, b) => a.width * a.height - b.width * b.height || a.at - b.at,
  sharp: (a, b) => b.sharpness - a.sharpness || a.at - b.at,
  blurred: (a, b) => a.sharpness - b.sharpness || a.at - b.at,
  alike: (a, b) => a.group - b.group || b.width * b.height - a.width * a.height,
};
const rank = (one) => { const at = choiceOf(one.value); return at < 0 ? -1 : at; };
function isShown(one) {
  const value = byId("filter-value").value, framing = byId("filter-framing").value;
  const tag = byId("filter-tag").value.trim().toLowerCase(), name = byId("filter-name").value.trim().toLowerCase();
  if (value === "none" && one.value != null) return false;
  if (value === "uncaptioned" && captionOf(one).text) return false;
  if (value === "hand" && !captionOf(one).hand) return false;
  if (value.startsWith("=") && one.value !== value.slice(1)) return false;
  if (framing && framingOf(one) !== framing) return false;
  if (tag && !captionOf(one).tags?.some((each) => each.toLowerCase() === tag)) return false;
  if (name && !one.name.toLowerCase().includes(name)) return false;
  return byId("sort").value !== "alike" || one.group > 0;
}
function arrange() {
  const before = current()?.key;
  const shown = items.filter(isShown).sort(sorts[byId("sort").value]);
  order = shown.map((one) => one.at);
  const at = order.findIndex((index) => items[index].key === before);
  cursor = Math.max(0, at);
  anchor = cursor;
  for (const key of [...chosen]) if (!shown.includes(byKey.get(key))) chosen.delete(key);
  byId("shown").textContent = order.length === items.length ? "" : `${order.length} shown`;
  layOut();
  paint();
}
function fill(id, values) {
  const select = byId(id), before = select.value;
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
  select.value = values.some(([value]) => value === before) ? before : values[0][0];
}
function fillFilters() {
  fill("filter-value", [["", "all"], ["none", "undecided"], ...choices.map((one) => ["=" + one.value, one.label.toLowerCase()]),
    ...(hasCaptions ? [["uncaptioned", "no caption"], ["hand", "caption by hand"]] : [])]);
  const framings = [...new Set(items.map(framingOf).filter(Boolean))].sort();
  fill("filter-framing", [["", "all"], ...framings.map((one) => [one, one])]);
  byId("framing-label").classList.toggle("hidden", !framings.length);
  byId("tag-label").classList.toggle("hidden", !hasCaptions);
}

// -- the grid: only the tiles in sight are there --------------------------------------------------------------
const grid = byId("grid"), space = byId("space"), tiles = new Map(), spare = [];
let columns = 1, side = 190, width = 190, height = 214;
function layOut() {
  const room = grid.clientWidth - 2 * PAD;
  side = innerWidth <= 720 ? Math.max(100, (room - 2 * GAP) / 3) : Number(byId("size").value);
  columns = Math.max(1, Math.floor((room + GAP) / (side + GAP)));
  width = (room - (columns - 1) * GAP) / columns;
  height = width + NAME_HEIGHT;
  space.style.height = `${Math.ceil(order.length / columns) * (height + GAP) + 2 * PAD}px`;
  for (const tile of tiles.values()) retire(tile);
  tiles.clear();
}
function retire(tile) { tile.element.style.display = "none"; delete tile.element.dataset.at; spare.push(tile); }
function newTile() {
  const image = make("img", { alt: "", decoding: "async", draggable: false });
  const mark = make("span", { className: "mark" }), twin = make("span", { className: "twin" });
  const element = make("div", { className: "tile" }, image, mark, twin, make("div", { className: "name" }));
  space.append(element);
  return { element, image, mark, twin, name: element.lastChild, key: "" };
}
function paintGrid() {
  if (mode !== "grid") return;
  const first = Math.max(0, Math.floor((grid.scrollTop - PAD) / (height + GAP)) - SPARE_ROWS) * columns;
  const last = Math.min(order.length, (Math.ceil((grid.scrollTop + grid.clientHeight) / (height + GAP)) + SPARE_ROWS) * columns);
  for (const [at, tile] of tiles) if (at < first || at >= last) { retire(tile); tiles.delete(at); }
  for (let at = first; at < last; at += 1) paintTile(at);
  const empty = space.querySelector(".empty");
  if (!order.length && !empty) space.append(make("p", { className: "empty", textContent: items.length ? "No picture fits these filters." : "No pictures yet: import some first." }));
  if (order.length && empty) empty.remove();
}
function paintTile(at) {
  const one = items[order[at]];
  let tile = tiles.get(at);
  if (!tile) {
    tile = spare.pop() || newTile();
    tiles.set(at, tile);
    const row = Math.floor(at / columns), column = at % columns;
    Object.assign(tile.element.style, {
      display: "", width: `${width}px`, height: `${height}px`,
      transform: `translate(${PAD + column * (width + GAP)}px, ${PAD + row * (height + GAP)}px)`,
    });
    tile.element.dataset.at = at;
  }
  if (tile.key !== one.key) {
    tile.key = one.key;
    tile.image.src = `thumb/${one.key}`;
    tile.image.alt = one.name;
    tile.name.textContent = one.name;
    tile.name.title = one.name;
  }
  const choice = choiceOf(one.value);
  tile.mark.textContent = choice < 0 ? "" : choices[choice].label;
  tile.mark.className = choice < 0 ? "hidden" : `mark ${choices[choice].is_out ? "is-out" : "v" + choice}`;
  tile.twin.textContent = one.group ? `alike ${one.group}` : "";
  tile.twin.classList.toggle("hidden", !one.group);
  tile.element.classList.toggle("out", choice >= 0 && choices[choice].is_out);
  tile.element.classList.toggle("cursor", at === cursor);
  tile.element.classList.toggle("chosen", chosen.has(one.key));
}
let isPainting = false;
grid.addEventListener("scroll", () => {
  if (isPainting) return;
  isPainting = true;
  requestAnimationFrame(() => { isPainting = false; paintGrid(); });
});
function reveal() {
  const top = PAD + Math.floor(cursor / columns) * (height + GAP);
  if (top < grid.scrollTop + PAD) grid.scrollTop = top - PAD;
  else if (top + height > grid.scrollTop + grid.clientHeight - PAD) grid.scrollTop = top + height + PAD - grid.clientHeight;
}

// -- one picture ---------------------------------------------------------------------------------------------
const large = byId("large"), ahead = new Map();
function fetchAhead() {
  const wanted = new Set();
  for (let step = -1; step <= AHEAD; step += 1) {
    const one = items[order[cursor + step]];
    if (one) wanted.add(one.key);
  }
  for (const key of [...ahead.keys()]) if (!wanted.has(key)) ahead.delete(key);
  for (const key of wanted) if (!ahead.has(key)) {
    const image = new Image();
    image.src = `large/${key}`;
    image.decode().catch(() => {});
    ahead.set(key, image);
  }
}
function paintOne() {
  if (mode !== "one") return;
  const one = current();
  byId("one-name").textContent = one ? one.name : "No picture fits these filters.";
  byId("one-facts").textContent = one ? factsOf(one) : "";
  byId("one-way").textContent = one && one.value != null ? `${labelOf(one.value)} (${one.way})` : "";
  const choice = one ? choiceOf(one.value) : -1;
  byId("one").classList.toggle("out", choice >= 0 && choices[choice].is_out);
  if (!one) { large.removeAttribute("src"); large.dataset.key = ""; return; }
  if (large.dataset.key === one.key) return;
  large.dataset.key = one.key;
  large.alt = one.name;
  const ready = ahead.get(one.key);
  if (ready && ready.complete && ready.naturalWidth) large.src = ready.src;
  else {
    large.src = `thumb/${one.key}`;
    const image = ready || new Image();
    if (!ready) { image.src = `large/${one.key}`; ahead.set(one.key, image); }
    image.decode().then(() => { if (large.dataset.key === one.key) large.src = image.src; }, () => {});
  }
  fetchAhead();
}
function factsOf(one) {
  const words = [];
  if (one.width) words.push(`${one.width} × ${one.height}`, `sharpness ${one.sharpness}`);
  if (framingOf(one)) words.push(framingOf(one));
  if (one.note) words.push(one.note);
  if (one.group) words.push(`near-duplicate ${one.group}`);
  return words.join(", ");
}

// -- moving, choosing --------------------------------------------------------------------------------------------
function go(at, isExtending = false) {
  if (!order.length) return;
  cursor = Math.max(0, Math.min(order.length - 1, at));
  if (isExtending) {
    chosen.clear();
    for (let each = Math.min(anchor, cursor); each <= Math.max(anchor, cursor); each += 1) chosen.add(items[order[each]].key);
  } else anchor = cursor;
  if (mode === "grid") reveal();
  paint();
}
const move = (step, isExtending = false) => go(cursor + step, isExtending);
function toggle(at) {
  const key = items[order[at]].key;
  if (chosen.has(key)) chosen.delete(key); else chosen.add(key);
  cursor = anchor = at;
  paint();
}
function nextUndecided() {
  for (let step = 1; step <= order.length; step += 1) {
    const at = (cursor + step) % order.length;
    if (items[order[at]].value == null) { go(at); return; }
  }
  say("Every picture shown is judged.");
}
function show(name) {
  mode = name;
  byId("grid").classList.toggle("hidden", mode !== "grid");
  byId("one").classList.toggle("hidden", mode !== "one");
  byId("mode-grid").setAttribute("aria-pressed", mode === "grid");
  byId("mode-one").setAttribute("aria-pressed", mode === "one");
  if (mode === "grid") { layOut(); reveal(); }
  (mode === "grid" ? grid : byId("stage")).focus({ preventScroll: true });
  paint();
}
grid.addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (!tile) return;
  const at = Number(tile.dataset.at);
  if (event.shiftKey) go(at, true);
  else if (event.ctrlKey || event.metaKey || isSelecting) toggle(at);
  else { chosen.clear(); go(at); if (innerWidth <= 720) show("one"); }
});
grid.addEventListener("dblclick", (event) => { if (event.target.closest(".tile") && !isSelecting) show("one"); });
let touch = null;
byId("stage").addEventListener("pointerdown", (event) => { touch = { x: event.clientX, y: event.clientY }; });
byId("stage").addEventListener("pointerup", (event) => {
  if (!touch) return;
  const dx = event.clientX - touch.x, dy = event.clientY - touch.y;
  touch = null;
  if (Math.abs(dx) > 45 && Math.abs(dx) > 1.5 * Math.abs(dy)) move(dx < 0 ? 1 : -1);
  else if (Math.abs(dx) < 8 && Math.abs(dy) < 8) zoom(true, event);
});

// -- zoom ------------------------------------------------------------------------------------------------------------
function zoom(isOn, event = null) {
  const box = byId("zoom"), one = current();
  if (!isOn || !one) { box.classList.add("hidden"); return; }
  const picture = byId("zoom-picture"), rect = large.getBoundingClientRect();
  const x = event ? (event.clientX - rect.left) / rect.width : 0.5, y = event ? (event.clientY - rect.top) / rect.height : 0.5;
  const center = () => { box.scrollLeft = (box.scrollWidth - box.clientWidth) * x; box.scrollTop = (box.scrollHeight - box.clientHeight) * y; };
  picture.onload = center;
  picture.alt = one.name;
  picture.src = `picture/${one.key}`;
  box.classList.remove("hidden");
  if (picture.complete) center();
}
byId("zoom").addEventListener("click", () => zoom(false));
const isZoomed = () => !byId("zoom").classList.contains("hidden");

// -- captions ------------------------------------------------------------------------------------------------------------
const side_ = byId("side");
let textKey = "";
async function loadCaptions() {
  try {
    const told = await ask("captions.json");
    captions = told.captions;
    prefix = told.prefix;
    fillFilters();
    paint();
  } catch (error) { hasCaptions = false; byId("captions-open").classList.add("hidden"); fillFilters(); say(error.message, true); }
}
const isSideOpen = () => !side_.classList.contains("hidden");
function openSide(isOn) {
  side_.classList.toggle("hidden", !isOn);
  byId("captions-open").setAttribute("aria-pressed", isOn);
  if (mode === "grid") layOut();
  textKey = "";
  paint();
}
/** About how many of CLIP's tokens a caption has: one for a short word, more for longer ones. */
function tokensOf(text) {
  let count = 0;
  for (const part of text.toLowerCase().match(/[a-z]+|[0-9]|[^\sa-z0-9]+/g) || []) count += /^[a-z]/.test(part) ? Math.max(1, Math.round(part.length / 7)) : 1;
  return count;
}
function paintSide() {
  if (!isSideOpen()) return;
  const many = chosen.size > 1, one = chosen.size === 1 ? byKey.get([...chosen][0]) : current();
  byId("caption-one").classList.toggle("hidden", many);
  byId("caption-many").classList.toggle("hidden", !many);
  byId("side-title").textContent = many ? `${chosen.size} captions` : one ? one.name : "";
  if (many || !one) { textKey = ""; return; }
  const caption = captionOf(one), hand = new Set(caption.added || []);
  const chips = [];
  if (prefix && !caption.line && caption.text) chips.push(make("span", { className: "chip prefix", textContent: prefix }));
  if (!caption.line) for (const tag of caption.tags || []) {
    chips.push(make("span", { className: hand.has(tag) ? "chip hand" : "chip" }, tag,
      make("button", { type: "button", textContent: "×", title: `Remove ${tag}`, "aria-label": `Remove ${tag}`, onclick: () => changeOne(one, { op: "remove", tags: tag }) })));
  }
  for (const tag of caption.removed || []) {
    chips.push(make("span", { className: "chip gone" }, tag,
      make("button", { type: "button", textContent: "+", title: `Bring ${tag} back`, "aria-label": `Bring ${tag} back`, onclick: () => changeOne(one, { op: "add", tags: tag }) })));
  }
  if (caption.line) chips.push(make("span", { className: "chip hand", textContent: "the whole line is by hand" }));
  if (!captions) chips.push(make("span", { className: "soft", textContent: "Captions are read …" }));
  else if (!captions[one.key]) chips.push(make("span", { className: "soft", textContent: "Not staged yet: this picture has no caption." }));
  byId("chips").replaceChildren(...chips);
  const isKnown = Boolean(captions && captions[one.key]);
  for (const id of ["add-tag", "text", "text-save", "text-reset"]) byId(id).disabled = !isKnown;
  byId("text-reset").disabled = !caption.hand;
  if (textKey !== one.key + caption.text) { byId("text").value = caption.text || ""; textKey = one.key + caption.text; }
  paintTokens();
}
function paintTokens() {
  const count = tokensOf(byId("text").value);
  byId("tokens").textContent = `about ${count} tokens${count > 75 ? `, ${Math.ceil(count / 75)} blocks of 75` : ""}`;
}
byId("text").addEventListener("input", paintTokens);
const changeOne = (one, change) => send("captions/apply", { keys: [one.key], change }).then((told) => say(told.count ? `${one.name}: caption kept` : "Nothing changed."), () => {});
const sideItem = () => (chosen.size === 1 ? byKey.get([...chosen][0]) : current());
byId("add-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const tags = byId("add-tag").value.trim();
  if (tags && sideItem()) { changeOne(sideItem(), { op: "add", tags }); byId("add-tag").value = ""; }
});
byId("text-save").onclick = () => { if (sideItem()) changeOne(sideItem(), { op: "text", text: byId("text").value }); };
byId("text-reset").onclick = () => { if (sideItem()) changeOne(sideItem(), { op: "reset" }); };
function changeOfMany() {
  const op = byId("op").value;
  return { op: op === "add-first" ? "add" : op, first: op === "add-first", tags: byId("op-tags").value, by: byId("op-by").value };
}
byId("op").addEventListener("change", () => {
  byId("op-by-label").classList.toggle("hidden", byId("op").value !== "replace");
  byId("op-tags-label").classList.toggle("hidden", byId("op").value === "reset");
  unpreview();
});
function unpreview() { byId("preview").replaceChildren(); byId("op-apply").disabled = true; }
for (const id of ["op-tags", "op-by"]) byId(id).addEventListener("input", unpreview);
byId("caption-many").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const told = await ask("captions/preview", { keys: [...chosen], change: changeOfMany() });
    const rows = told.shown.map(([key, before, after]) => make("div", { className: "pair" }, make("strong", { textContent: byKey.get(key).name }), make("div", {}, ...difference(before, after))));
    byId("preview").replaceChildren(make("p", { className: "soft", textContent: `${told.count} of ${chosen.size} captions change` }), ...rows);
    byId("op-apply").disabled = !told.count;
  } catch (error) { unpreview(); say(error.message, true); }
});
function difference(before, after) {
  const parts = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
  const old = parts(before), now = parts(after), made = [];
  for (const tag of old) if (!now.includes(tag)) made.push(make("del", { textContent: tag }), " ");
  for (const tag of now) made.push(old.includes(tag) ? document.createTextNode(tag) : make("ins", { textContent: tag }), ", ");
  made.pop();
  return made;
}
byId("op-apply").onclick = () => send("captions/apply", { keys: [...chosen], change: changeOfMany() }).then((told) => { say(`${told.count} captions kept; Undo takes them back.`); unpreview(); }, () => {});
let completing = 0;
for (const id of ["add-tag", "op-tags", "op-by", "filter-tag"]) byId(id).addEventListener("input", (event) => {
  clearTimeout(completing);
  completing = setTimeout(async () => {
    const parts = event.target.value.split(","), begun = parts.pop().trim(), head = parts.length ? parts.join(",") + ", " : "";
    if (!begun) return;
    const found = await ask(`complete.json?q=${encodeURIComponent(begun)}`).catch(() => []);
    byId("tags").replaceChildren(...found.map(([tag, count]) => make("option", { value: head + tag, label: count ? `${tag} (${count})` : tag })));
  }, 90);
});

// -- painting the rest -----------------------------------------------------------------------------------------------------
function paint() {
  const judged = items.reduce((sum, one) => sum + (one.value != null), 0);
  byId("judged").textContent = `${judged} of ${items.length} judged`;
  byId("bar").max = items.length || 1;
  byId("bar").value = judged;
  const value = chosen.size ? undefined : current()?.value;
  for (const button of byId("choices").children) button.setAttribute("aria-pressed", button.dataset.value === value);
  byId("select-none").classList.toggle("hidden", !chosen.size);
  byId("select-none").textContent = `Select none (${chosen.size})`;
  paintGrid();
  paintOne();
  paintSide();
}
function paintTwins() {
  const count = items.reduce((sum, one) => sum + (one.group > 0), 0);
  byId("sort").querySelector('[value="alike"]').textContent = `near-duplicates side by side (${count})`;
}

// -- keys and buttons ------------------------------------------------------------------------------------------------------
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=range]), textarea, select");
  const isControl = event.ctrlKey || event.metaKey;
  if (byId("help").open) return;
  if (isTyping) { if (event.key === "Escape") { event.target.blur(); (mode === "grid" ? grid : byId("stage")).focus(); } return; }
  if (isControl) {
    const letter = event.key.toLowerCase();
    if (letter === "z" && event.shiftKey || letter === "y") turn("redo", "Done again");
    else if (letter === "z") turn("undo", "Taken back");
    else if (letter === "a") { for (const at of order) chosen.add(items[at].key); paint(); }
    else return;
    event.preventDefault();
    return;
  }
  if (event.altKey) return;
  const choice = choices.find((one) => one.key === event.key.toLowerCase());
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: mode === "grid" ? -columns : -1, ArrowDown: mode === "grid" ? columns : 1 }[event.key];
  if (choice) decide(choice.value);
  else if (step) move(step, event.shiftKey);
  else if (event.key === " ") { if (event.target.closest("button")) return; zoom(!isZoomed()); }
  else if (event.key === "Enter") { if (event.target.closest("button")) return; show("one"); }
  else if (event.key === "Escape") { if (isZoomed()) zoom(false); else if (chosen.size) { chosen.clear(); paint(); } else show("grid"); }
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(order.length - 1);
  else if (event.key === "PageDown" || event.key === "PageUp") move((event.key === "PageDown" ? 1 : -1) * (mode === "grid" ? columns * Math.max(1, Math.floor(grid.clientHeight / (height + GAP))) : 10));
  else if (event.key === "Delete" || event.key === "Backspace") decide(null);
  else if (event.key === "n" || event.key === "N") nextUndecided();
  else if ((event.key === "c" || event.key === "C") && hasCaptions) openSide(!isSideOpen());
  else if (event.key === "?") byId("help").showModal();
  else return;
  if (isZoomed() && (choice || step)) zoom(true);
  event.preventDefault();
});
byId("mode-grid").onclick = () => show("grid");
byId("mode-one").onclick = () => show("one");
byId("undo").onclick = () => turn("undo", "Taken back");
byId("redo").onclick = () => turn("redo", "Done again");
byId("help-open").onclick = () => byId("help").showModal();
byId("help-close").onclick = () => byId("help").close();
byId("captions-open").onclick = () => openSide(!isSideOpen());
byId("side-close").onclick = () => openSide(false);
byId("select-none").onclick = () => { chosen.clear(); paint(); };
byId("select-mode").onclick = () => { isSelecting = !isSelecting; byId("select-mode").setAttribute("aria-pressed", isSelecting); if (mode === "one") show("grid"); if (!isSelecting) { chosen.clear(); paint(); } };
byId("filter-open").onclick = () => { const isOpen = byId("filters").classList.toggle("open"); byId("filter-open").setAttribute("aria-expanded", isOpen); layOut(); paint(); };
for (const id of ["filter-value", "filter-framing", "sort"]) byId(id).addEventListener("change", (event) => { arrange(); event.target.blur(); (mode === "grid" ? grid : byId("stage")).focus(); });
for (const id of ["filter-tag", "filter-name"]) byId(id).addEventListener("input", arrange);
byId("size").addEventListener("input", () => { layOut(); reveal(); paint(); });
addEventListener("resize", () => { layOut(); paint(); });
document.addEventListener("visibilitychange", poll);
addEventListener("beforeunload", (event) => { if (waiting) event.preventDefault(); });

// -- beginning --------------------------------------------------------------------------------------------------------------
async function begin() {
  const told = await ask("state.json");
  choices = told.choices;
  number = told.number;
  facts = told.facts;
  hasCaptions = told.hasCaptions;
  items = told.items.map((row, at) => ({ ...itemOf(row), at, value: told.values[row[0]] ?? null, way: told.ways[row[0]] ?? "" }));
  byKey = new Map(items.map((one) => [one.key, one]));
  document.title = `${told.title}: board`;
  byId("title").textContent = told.title;
  byId("choices").replaceChildren(...choices.map((one, at) => {
    const button = make("button", { type: "button", className: `choice ${one.is_out ? "is-out" : "v" + at}`, "aria-pressed": "false", "aria-keyshortcuts": one.key, onclick: () => decide(one.value) }, make("kbd", { textContent: one.key }), one.label);
    button.dataset.value = one.value;
    return button;
  }));
  byId("keys").prepend(...choices.flatMap((one) => [make("dt", {}, make("kbd", { textContent: one.key })), make("dd", { textContent: one.label })]));
  byId("captions-open").classList.toggle("hidden", !hasCaptions);
  fillFilters();
  paintTwins();
  arrange();
  grid.focus({ preventScroll: true });
  document.body.dataset.ready = "true";
  if (hasCaptions) loadCaptions();
  setInterval(poll, POLL_MILLISECONDS);
}
begin().catch((error) => say(error.message, true));
})();
