"use strict";
(() => {
const byId = (id) => document.getElementById(id);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
const data = JSON.parse(byId("data").textContent);
const cells = data.cells, axes = data.axes;
const nonce = document.currentScript.nonce;
const GAP = 6, LARGEST_HEAD = 250;

// -- what is shown, and what is kept ---------------------------------------------------------
const view = {
  columns: data.columns, zoom: 0, hidden: axes.map(() => new Set()),
  selected: -1, a: -1, b: -1, top: 0, left: 0,
};
let votes = [], strangers = [], choice = null;  // strangers: votes on pictures that this page does not have, or not yet

// Where a server shows the page, it keeps votes and choice; a sandbox has no storage of its own.
// Votes are shared with every window on the same store: the page sends its own changes and receives those of others.
const byServer = data.kept, NEWS_MILLISECONDS = 4000;
const copyOf = (one) => JSON.parse(JSON.stringify(one));
const LARGEST_LASTING = 60_000;  // a short one is sent even while the page goes away
let known = byServer && copyOf(byServer), decisions = 0, saved = 0, isSending = false;
function merged(shared, before, now) {
  const same = (one) => (other) => JSON.stringify(one) === JSON.stringify(other);
  const isIn = (list) => (one) => list.some(same(one));
  const gone = before.votes.filter((one) => !isIn(now.votes)(one));
  const own = now.votes.filter((one) => !isIn(before.votes)(one) && !isIn(shared.votes)(one));
  return { votes: [...shared.votes.filter((one) => !isIn(gone)(one)), ...own], choice: now.choice === before.choice ? shared.choice : now.choice };
}
async function ask(path, body) {
  const answer = await fetch(path, body === undefined ? {} : { method: "POST", body, keepalive: body.length < LARGEST_LASTING });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
/** Take what the server holds, with what was decided here since `before`. */
function take(reply, before) {
  const isNew = JSON.stringify(reply) !== JSON.stringify(known);
  Object.assign(byServer, merged(reply, before, byServer));
  known = reply;
  if (isNew) adopt();
}
const unsent = () => ({ votes: byServer.votes, choice: byServer.choice, known });
/** One request after another, each with all that is not saved yet. */
async function send() {
  if (isSending) return;
  isSending = true;
  try {
    while (saved < decisions) {
      const turn = decisions, sent = copyOf(unsent());
      take(await ask(location.href, JSON.stringify(sent)), sent);
      saved = turn;
    }
  } catch { toast("Not saved yet: the program that shows this page does not answer"); }
  isSending = false;
}
async function hearNews() {
  if (document.hidden) return;
  if (saved < decisions) { send(); return; }
  const before = known;
  const reply = await ask(new URL("votes", location.href)).catch(() => null);
  if (reply && known === before && saved === decisions) take(reply, before);  // else older than what is known by now
}
function sendLast() { if (saved < decisions) ask(location.href, JSON.stringify(unsent())).catch(() => {}); }
if (byServer) { setInterval(hearNews, NEWS_MILLISECONDS); addEventListener("focus", hearNews); addEventListener("pagehide", sendLast); }
else addEventListener("storage", (event) => { if (/:(votes|choice):/.test(event.key)) adopt(); });  // another window of this browser
function kept(store, key) {
  if (byServer && key in byServer) return byServer[key];
  try { return JSON.parse(window[store].getItem("loraloom:" + key + ":" + data.grid_id)); } catch { return null; }
}
function keep(store, key, value) {
  if (byServer && key in byServer) { byServer[key] = value; decisions += 1; send(); return; }
  try { window[store].setItem("loraloom:" + key + ":" + data.grid_id, JSON.stringify(value)); } catch { /* private window */ }
}

// -- small things ----------------------------------------------------------------------------
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}
let toastTimer = 0;
function toast(text) {
  byId("toast").textContent = text;
  byId("toast").classList.add("on");
  clearTimeout(toastTimer);
  const reading = Math.max(1800, 70 * text.length);  // 14 letters a second, for a foreign reader
  toastTimer = setTimeout(() => byId("toast").classList.remove("on"), reading);
}
async function copy(text, what) {
  try { await navigator.clipboard.writeText(text); } catch {
    const area = make("textarea", { value: text, className: "visually-hidden" });
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(what + " copied");
}
const value = (axis, index) => axes[axis].values[index];
const isControl = (cell) => Boolean(value(data.judged, cell.at[data.judged]).control);
const says = (cell, axis) => axes[axis].values.length > 1 && !(isControl(cell) && axes[axis].about_lora);
const labelOf = (cell) => cell.at.map((v, axis) => says(cell, axis) || axis === data.judged
  ? (axis === data.judged ? "" : axes[axis].name + " ") + value(axis, v).label : "").filter(Boolean).join(" · ");
const shownAxes = () => axes.map((_, i) => i).filter((i) => axes[i].values.length > 1);

// -- pictures --------------------------------------------------------------------------------
const chunks = new Map();
function thumb(index) {
  const number = Math.floor(index / data.chunk);
  if (!chunks.has(number)) {
    const element = byId("thumbs-" + number);
    if (!element) return "";
    chunks.set(number, JSON.parse(element.textContent));
  }
  const text = chunks.get(number)[index % data.chunk];
  return text ? data.thumb_type + text : "";
}
function full(index) {
  const inside = byId("full-" + index);
  return inside ? "data:image/png;base64," + inside.textContent.trim() : cells[index].file;
}
/** Show a picture's file in place of another one, which is not seen under the new one's name while that loads. */
const wanted = new WeakMap(), isSeen = (image) => !image.classList.contains("late");
async function present(image, index) {
  const turn = {};
  wanted.set(image, turn);
  image.classList.add("late");
  for (const source of [full(index), thumb(index)].filter(Boolean)) {
    image.src = source;
    const isThere = await image.decode().then(() => true, () => false);
    if (wanted.get(image) !== turn) return false;
    if (isThere) break;
  }
  image.classList.remove("late");
  return true;
}
const isDone = (index) => index >= 0 && cells[index].state === "done";

// -- the table: rows are the product of all axes but one ---------------------------------------
let places = new Map(), rows = [], columns = [];
function keyOf(at) { return at.join(","); }
cells.forEach((cell, index) => places.set(keyOf(cell.at), index));

function visible(axis) {
  return axes[axis].values.map((_, i) => i).filter((i) => !view.hidden[axis].has(i));
}
function arrange() {
  columns = visible(view.columns);
  const others = axes.map((_, i) => i).filter((i) => i !== view.columns);
  let combos = [[]];
  for (const axis of others) {
    const values = visible(axis);
    combos = combos.flatMap((combo) => values.map((v) => [...combo, v]));
  }
  rows = combos.map((combo) => {
    const at = axes.map(() => 0);
    others.forEach((axis, i) => { at[axis] = combo[i]; });
    const row = columns.map((v) => {
      at[view.columns] = v;
      return places.get(keyOf(at)) ?? -1;
    });
    return { at: [...at], row };
  }).filter((one) => one.row.some((index) => index >= 0));
}

const scroller = byId("scroller"), canvas = byId("canvas");
const size = { width: 0, height: 0, head: 0, rowHead: 0, row: 0 };

function headParts(axesShown, at) {
  const control = value(data.judged, at[data.judged]).control;
  return axesShown.filter((axis) => !(control && axes[axis].about_lora)).map((axis) => {
    const v = value(axis, at[axis]);
    const name = axis === data.judged ? "" : make("span", { className: "axis", textContent: axes[axis].name + " " });
    return make("div", {}, name, v.label, v.note ? make("span", { className: "note", textContent: v.note }) : "");
  });
}
function rowAxes() { return shownAxes().filter((axis) => axis !== view.columns); }

function measure() {
  size.width = view.zoom;
  size.height = Math.round(view.zoom * data.ratio);
  const probe = make("div", { className: "row-head" });
  probe.style.cssText = "position:absolute;visibility:hidden;height:auto;width:max-content;max-width:" + LARGEST_HEAD + "px";
  canvas.append(probe);
  let width = 90, height = 0;
  const seen = new Set();
  for (const one of rows) {
    const names = rowAxes().map((axis) => one.at[axis]).join();
    if (seen.has(names)) continue;
    seen.add(names);
    if (seen.size > 400) break;
    probe.replaceChildren(...headParts(rowAxes(), one.at));
    width = Math.max(width, probe.offsetWidth);
    height = Math.max(height, probe.offsetHeight);
  }
  size.rowHead = Math.min(width + 1, LARGEST_HEAD);
  size.row = Math.max(size.height + GAP, height);
  probe.replaceChildren(...cornerParts());
  probe.className = "corner";
  probe.style.width = size.rowHead + "px";
  size.head = Math.max(36, probe.offsetHeight);
  probe.className = "column-head";
  probe.style.width = size.width + "px";
  for (const v of columns.slice(0, 400)) {
    probe.replaceChildren(...columnHead(v));
    size.head = Math.max(size.head, probe.offsetHeight);
  }
  probe.remove();
}
function cornerParts() {
  const parts = [make("div", { textContent: axes[view.columns].name + " →" })];
  if (rowAxes().length) parts.push(make("div", { textContent: rowAxes().map((axis) => axes[axis].name).join(", ") + " ↓" }));
  return parts;
}
function columnHead(v) {
  const one = value(view.columns, v);
  return [make("div", {}, one.label, one.note ? make("span", { className: "note", textContent: one.note }) : "")];
}

let drawn = new Map();
function layout() {
  arrange();
  measure();
  drawn.forEach((row) => row.element.remove());
  drawn = new Map();
  const width = size.rowHead + columns.length * (size.width + GAP) + GAP;
  canvas.style.width = width + "px";
  canvas.style.height = size.head + rows.length * size.row + "px";
  canvas.replaceChildren();
  scroller.setAttribute("aria-rowcount", rows.length + 1);
  scroller.setAttribute("aria-colcount", columns.length + 1);
  const corner = make("div", { className: "corner", role: "columnheader" }, ...cornerParts());
  corner.style.width = size.rowHead + "px";
  const head = make("div", { className: "head-row", role: "row", id: "head-row", "aria-rowindex": 1 }, corner);
  head.style.height = size.head + "px";
  head.style.width = width + "px";
  canvas.append(head);
  if (!rows.length) canvas.append(make("div", { id: "empty", textContent: "No picture matches the filter." }));
  draw();
  counts();
}
function left(column) { return size.rowHead + GAP + column * (size.width + GAP); }

function draw() {
  const top = scroller.scrollTop, height = scroller.clientHeight || innerHeight;
  const x = scroller.scrollLeft, width = scroller.clientWidth || innerWidth;
  const first = Math.max(0, Math.floor((top - size.row) / size.row));
  const last = Math.min(rows.length - 1, Math.ceil((top + height) / size.row));
  const from = Math.max(0, Math.floor((x - 200) / (size.width + GAP)) - 1);
  const to = Math.min(columns.length - 1, Math.ceil((x + width) / (size.width + GAP)));
  drawHead(from, to);
  for (const [number, row] of drawn) {
    if (number < first || number > last || row.from !== from || row.to !== to) {
      if (row.element.contains(document.activeElement)) scroller.focus({ preventScroll: true });
      row.element.remove();
      drawn.delete(number);
    }
  }
  const fresh = document.createDocumentFragment();
  for (let number = first; number <= last; number++) {
    if (drawn.has(number)) continue;
    const element = drawRow(number, from, to);
    drawn.set(number, { element, from, to });
    fresh.append(element);
  }
  canvas.append(fresh);
}
function drawHead(from, to) {
  const head = byId("head-row");
  if (head.dataset.range === from + "-" + to) return;
  head.dataset.range = from + "-" + to;
  head.querySelectorAll(".column-head").forEach((one) => one.remove());
  for (let column = from; column <= to; column++) {
    const v = columns[column];
    const one = make("div", { className: "column-head", role: "columnheader", "aria-colindex": column + 2 }, ...columnHead(v));
    one.classList.toggle("control", Boolean(value(view.columns, v).control));
    one.style.left = left(column) + "px";
    one.style.width = size.width + "px";
    head.append(one);
  }
}
function drawRow(number, from, to) {
  const one = rows[number];
  const element = make("div", { className: "row", role: "row", "aria-rowindex": number + 2 });
  element.classList.toggle("control", rowAxes().some((axis) => value(axis, one.at[axis]).control));
  element.style.top = size.head + number * size.row + "px";
  element.style.height = size.row + "px";
  element.style.width = canvas.style.width;
  const head = make("div", { className: "row-head", role: "rowheader" }, ...headParts(rowAxes(), one.at));
  head.style.width = size.rowHead + "px";
  element.append(head);
  for (let column = from; column <= to; column++) {
    if (one.row[column] >= 0) element.append(drawCell(one.row[column], column));
  }
  return element;
}
function drawCell(index, column) {
  const cell = cells[index];
  const element = make("button", {
    className: "cell " + cell.state, role: "gridcell", tabIndex: index === view.selected ? 0 : -1,
    "aria-colindex": column + 2, "aria-label": labelOf(cell) + (cell.state === "done" ? "" : ": " + (cell.note || cell.state)),
    "data-cell": index,
  });
  element.style.left = left(column) + "px";
  element.style.width = size.width + "px";
  element.style.height = size.height + "px";
  if (cell.state === "done") {
    const big = size.width * devicePixelRatio > data.thumb * 1.3;
    const source = (!big && thumb(index)) || full(index);
    element.append(make("img", { alt: "", src: source, decoding: "async", draggable: false }));
  } else {
    element.append(cell.state === "failed" ? "✕ " + cell.note : cell.note || "not drawn yet");
    element.title = cell.note;
  }
  decorate(element, index);
  return element;
}
function decorate(element, index) {
  element.classList.toggle("selected", index === view.selected);
  element.classList.toggle("chosen", Boolean(choice && choice.cell === index));
  element.setAttribute("aria-selected", index === view.selected);
  element.tabIndex = index === view.selected ? 0 : -1;
  element.querySelector(".mark")?.remove();
  if (index === view.a || index === view.b) {
    element.append(make("span", { className: "mark", textContent: index === view.a ? "A" : "B" }));
  }
}
function redecorate() {
  canvas.querySelectorAll(".cell").forEach((one) => decorate(one, Number(one.dataset.cell)));
  byId("compare-button").disabled = !(isDone(view.a) && isDone(view.b));
}
function counts() {
  let shown = 0, failed = 0, waiting = 0;
  for (const one of rows) for (const index of one.row) {
    if (index < 0) continue;
    shown++;
    if (cells[index].state === "failed") failed++;
    if (cells[index].state === "waiting") waiting++;
  }
  let text = (shown === cells.length ? "" : `${shown} of `) + counted(cells.length, "picture");
  if (failed) text += `, ${failed} failed`;
  if (waiting) text += `, ${waiting} not yet drawn`;
  byId("count").textContent = text;
}

// -- selection -------------------------------------------------------------------------------
function place(index) {
  for (let row = 0; row < rows.length; row++) {
    const column = rows[row].row.indexOf(index);
    if (column >= 0) return [row, column];
  }
  return null;
}
function select(index, { focus = true, open = true } = {}) {
  view.selected = index;
  if (open) byId("details").classList.remove("hidden");
  const at = place(index);
  if (at) bring(at);
  draw();
  redecorate();
  if (focus) canvas.querySelector(`.cell[data-cell="${index}"]`)?.focus({ preventScroll: true });
  describe(index);
}
function bring([row, column]) {
  const y = size.head + row * size.row, x = left(column);
  if (y - size.head < scroller.scrollTop) scroller.scrollTop = y - size.head;
  if (y + size.row > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + size.row - scroller.clientHeight;
  if (x - size.rowHead - GAP < scroller.scrollLeft) scroller.scrollLeft = x - size.rowHead - GAP;
  if (x + size.width + GAP > scroller.scrollLeft + scroller.clientWidth) scroller.scrollLeft = x + size.width + GAP - scroller.clientWidth;
}
function neighbour(index, dx, dy) {
  const at = place(index);
  if (!at) return rows.length ? rows[0].row.find((one) => one >= 0) : -1;
  let [row, column] = at;
  for (;;) {
    row += dy; column += dx;
    if (row < 0 || column < 0 || row >= rows.length || column >= columns.length) return index;
    if (rows[row].row[column] >= 0) return rows[row].row[column];
  }
}
function describe(index) {
  const cell = cells[index], panel = byId("details");
  panel.replaceChildren();
  const close = make("button", { className: "link", textContent: "close" });
  close.onclick = () => { panel.classList.add("hidden"); draw(); };
  panel.append(make("h2", {}, "Selected picture ", close));
  if (cell.state === "done") {
    const picture = make("img", { src: thumb(index) || full(index), alt: labelOf(cell) });
    picture.onclick = () => openViewer(index);
    panel.append(picture);
  } else panel.append(make("p", { className: cell.state === "failed" ? "alarm" : "soft", textContent: cell.note || "not drawn yet" }));
  const list = make("dl");
  cell.at.forEach((v, axis) => (axes[axis].about_lora && isControl(cell)) || list.append(
    make("dt", { textContent: axes[axis].name }), make("dd", { textContent: value(axis, v).label + (value(axis, v).note ? " (" + value(axis, v).note + ")" : "") })));
  panel.append(list);
  if (cell.warning) panel.append(make("p", { className: "alarm", textContent: cell.warning }));
  const actions = make("div", { className: "actions" });
  const button = (text, run, primary) => {
    const one = make("button", { textContent: text, className: primary ? "primary" : "" });
    one.onclick = run;
    actions.append(one);
  };
  if (value(data.judged, cell.at[data.judged]).file) button("Choose this " + data.judged_word, () => choose(index), true);
  if (cell.state === "done") {
    button("Enlarge", () => openViewer(index));
    button("Mark to compare", () => mark(index));
    if (cell.file) {
      const link = make("a", { href: cell.file, target: "_blank", rel: "noopener", textContent: "Open the file" });
      actions.append(link);
    }
  }
  panel.append(actions);
  if (cell.info) {
    panel.append(make("h2", { textContent: "Generation data" }), make("pre", { textContent: cell.info }));
    const again = make("div", { className: "actions" });
    panel.append(again);
    const piece = (text, content) => {
      const one = make("button", { textContent: text });
      one.onclick = () => copy(content, text.replace("Copy ", ""));
      again.append(one);
    };
    piece("Copy all", cell.info);
    piece("Copy prompt", cell.info.split(/\n(?:Negative prompt: |Steps: )/)[0]);
    const seed = /\bSeed: (\d+)/.exec(cell.info);
    if (seed) piece("Copy seed", seed[1]);
  }
}

// -- enlarged view ---------------------------------------------------------------------------
const viewer = byId("viewer"), stage = viewer.querySelector(".stage"), large = stage.querySelector("img");
const lens = { scale: 0, x: 0, y: 0, fits: true }; // fits: the whole picture is in sight, also while one loads
function openViewer(index) {
  if (!isDone(index)) return;
  const first = !viewer.open;
  if (first) lens.fits = true;
  select(index, { focus: false, open: false });
  viewer.querySelector(".title").textContent = labelOf(cells[index]);
  large.alt = labelOf(cells[index]);
  if (first) viewer.showModal();
  present(large, index).then((isShown) => { if (isShown) lens.fits ? fit() : aim(); });
}
function fit() {
  lens.fits = true;
  if (!large.naturalWidth) return; // fitted as soon as it has loaded
  lens.scale = Math.min(stage.clientWidth / large.naturalWidth, stage.clientHeight / large.naturalHeight);
  lens.x = (stage.clientWidth - large.naturalWidth * lens.scale) / 2;
  lens.y = (stage.clientHeight - large.naturalHeight * lens.scale) / 2;
  aim();
}
function aim() {
  large.style.transform = `translate(${lens.x}px, ${lens.y}px) scale(${lens.scale})`;
  large.classList.toggle("crisp", lens.scale * devicePixelRatio >= 3);
  viewer.querySelector(".scale").textContent = Math.round(lens.scale * devicePixelRatio * 100) + " %";
}
function zoomBy(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  if (!lens.scale) return;
  const scale = Math.min(16, Math.max(0.05, lens.scale * factor));
  lens.x = x - (x - lens.x) * scale / lens.scale;
  lens.y = y - (y - lens.y) * scale / lens.scale;
  lens.scale = scale;
  lens.fits = false;
  aim();
}
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoomBy(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
/** One finger, or the mouse, moves the picture; two enlarge it; over a picture that fits, one turns to the next. */
const fingers = new Map();
let swipe = null;
const spotOf = (event) => ({ x: event.clientX, y: event.clientY });
const apart = (one, other) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, spotOf(event));
  swipe = event.pointerType === "touch" && fingers.size === 1 && lens.fits ? spotOf(event) : null;
});
stage.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId), now = spotOf(event);
  if (!before) return;
  fingers.set(event.pointerId, now);
  const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1], share = other ? 2 : 1;
  lens.x += (now.x - before.x) / share;
  lens.y += (now.y - before.y) / share;
  const box = stage.getBoundingClientRect();
  if (other) zoomBy(apart(now, other) / apart(before, other), (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
  else aim();
});
for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => {
  fingers.delete(event.pointerId);
  if (!swipe) return;
  const dx = event.clientX - swipe.x, dy = event.clientY - swipe.y;
  swipe = null;
  fit();
  if (kind === "pointerup" && Math.abs(dx) > 45 && Math.abs(dx) > 1.5 * Math.abs(dy)) openViewer(nextDone(view.selected, dx < 0 ? 1 : -1, 0));
});
stage.addEventListener("dblclick", () => lens.scale * devicePixelRatio > 0.99 ? fit() : zoomBy(1 / lens.scale / devicePixelRatio));
large.draggable = false;
const viewerDo = {
  fit, full: () => zoomBy(1 / lens.scale / devicePixelRatio), in: () => zoomBy(1.25), out: () => zoomBy(0.8),
  mark: () => { if (isSeen(large)) mark(view.selected); }, close: () => viewer.close(),
};

// -- comparing two ---------------------------------------------------------------------------
const compare = byId("compare"), pair = { mode: "slider", timer: 0, showB: false };
function mark(index) {
  if (!isDone(index)) return;
  if (index === view.a) view.a = -1;
  else if (index === view.b) view.b = -1;
  else if (view.a < 0) view.a = index;
  else if (view.b < 0) view.b = index;
  else { view.a = view.b; view.b = index; }
  redecorate();
  const which = index === view.a ? "A" : index === view.b ? "B" : "";
  toast(which ? "Marked as " + which + (isDone(view.a) && isDone(view.b) ? ": press Compare A and B, or C" : "") : "Mark removed");
}
function openCompare() {
  if (!isDone(view.a) || !isDone(view.b)) return;
  if (viewer.open) viewer.close();
  if (!compare.open) compare.showModal();
  const images = ["a", "b"].map((side) => {
    const image = compare.querySelector("img." + side);
    image.alt = side.toUpperCase() + ": " + labelOf(cells[view[side]]);
    compare.querySelector(".side." + side).textContent = image.alt;
    return present(image, view[side]);
  });
  Promise.all(images).then((shown) => { if (compare.open && shown.every(Boolean)) pose(); });
}
function pose() {
  const box = compare.querySelector(".stage"), half = pair.mode === "both" ? 2 : 1;
  const images = [...compare.querySelectorAll("img")];
  clearInterval(pair.timer);
  const split = byId("compare-split").value / 100;
  const w = Math.max(...images.map((i) => i.naturalWidth), 1), h = Math.max(...images.map((i) => i.naturalHeight), 1);
  const scale = Math.min(box.clientWidth / half / w, box.clientHeight / h);
  const y = (box.clientHeight - h * scale) / 2;
  images.forEach((image, side) => {
    const x = (box.clientWidth / half - w * scale) / 2 + (half === 2 ? side * box.clientWidth / 2 : 0);
    image.style.cssText = `transform:translate(${x}px,${y}px);width:${w * scale}px;height:${h * scale}px;`;
    image.dataset.x = x;
  });
  const [a, b] = images, edge = box.clientWidth * split, x = Number(b.dataset.x);
  compare.querySelector(".divider").style.cssText = pair.mode === "slider" ? `left:${x + w * scale * split}px` : "display:none";
  if (pair.mode === "slider") b.style.clipPath = `inset(0 0 0 ${split * 100}%)`;
  if (pair.mode === "difference") b.style.mixBlendMode = "difference";
  if (pair.mode === "flicker") flicker();
  else for (const side of ["a", "b"]) compare.querySelector(".side." + side).style.opacity = 1;
  byId("compare-split").classList.toggle("hidden", pair.mode !== "slider");
  byId("compare-speed-label").classList.toggle("hidden", pair.mode !== "flicker");
  compare.querySelectorAll("[data-mode]").forEach((one) => one.setAttribute("aria-pressed", one.dataset.mode === pair.mode));
  return edge;
}
function show(isB) {
  pair.showB = isB;
  compare.querySelector("img.b").style.visibility = isB ? "visible" : "hidden";
  compare.querySelector(".side.a").style.opacity = isB ? 0.25 : 1;
  compare.querySelector(".side.b").style.opacity = isB ? 1 : 0.25;
}
function flicker() {
  show(false);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return toast("Tap a picture or press Space to show the other one");
  pair.timer = setInterval(() => show(!pair.showB), Number(byId("compare-speed").value));
}
const compareDo = {
  swap: () => { [view.a, view.b] = [view.b, view.a]; redecorate(); openCompare(); },
  close: () => compare.close(),
};
compare.addEventListener("close", () => { clearInterval(pair.timer); draw(); });
compare.querySelectorAll("[data-mode]").forEach((one) => { one.onclick = () => { pair.mode = one.dataset.mode; pose(); }; });
byId("compare-split").oninput = pose;
byId("compare-speed").oninput = pose;
compare.querySelector(".stage").addEventListener("click", () => { if (pair.mode === "flicker") { clearInterval(pair.timer); show(!pair.showB); } });
compare.querySelector(".stage").addEventListener("pointermove", (event) => {
  if (pair.mode !== "slider") return;
  const image = compare.querySelector("img.b"), box = compare.querySelector(".stage").getBoundingClientRect();
  const part = (event.clientX - box.left - Number(image.dataset.x)) / (image.offsetWidth || 1);
  byId("compare-split").value = Math.min(100, Math.max(0, part * 100));
  pose();
});

// -- blind voting ----------------------------------------------------------------------------
const vote = byId("vote"), ballot = { pairs: [], now: null, mine: [] };
function allPairs() {
  const groups = new Map();
  cells.forEach((cell, index) => {
    if (cell.state !== "done" || value(data.judged, cell.at[data.judged]).control) return;
    if (cell.at.some((v, axis) => view.hidden[axis].has(v))) return;
    const rest = cell.at.filter((_, axis) => axis !== data.judged).join(",");
    groups.set(rest, [...(groups.get(rest) || []), index]);
  });
  const pairs = [];
  for (const group of groups.values()) {
    for (let i = 0; i < group.length; i++) for (let j = i + 1; j < group.length; j++) pairs.push([group[i], group[j]]);
  }
  return pairs;
}
const contestant = (index) => cells[index].at[data.judged];
function nextPair() {
  const judged = new Set(votes.map((one) => [one.left, one.right].sort((x, y) => x - y).join()));
  const met = new Map();
  for (const one of votes) for (const index of [one.left, one.right]) met.set(contestant(index), (met.get(contestant(index)) || 0) + 1);
  const open = ballot.pairs.filter((two) => !judged.has([...two].sort((x, y) => x - y).join()));
  if (!open.length) return null;
  const often = ([x, y]) => (met.get(contestant(x)) || 0) + (met.get(contestant(y)) || 0);
  const least = Math.min(...open.map(often));
  const best = open.filter((two) => often(two) === least);
  const two = best[Math.floor(Math.random() * best.length)];
  return Math.random() < 0.5 ? two : [two[1], two[0]];
}
function openVote() {
  ballot.pairs = allPairs();
  if (!ballot.pairs.length) return toast("A vote needs two finished pictures that differ only in: " + axes[data.judged].name);
  vote.showModal();
  nextBallot();
}
function nextBallot() {
  ballot.now = nextPair();
  if (!ballot.now) { vote.close(); showRanking(); return; }
  const images = vote.querySelectorAll(".pair img");
  ballot.now.forEach((index, side) => { present(images[side], index).then(tellSeen); });
  tellSeen();
  tellBallot();
}
/** A vote counts for two pictures that are seen, not for the pair before. */
const isPairSeen = () => [...vote.querySelectorAll(".pair img")].every(isSeen);
function tellSeen() { vote.querySelectorAll("[data-vote]").forEach((one) => one.setAttribute("aria-disabled", !isPairSeen())); }
const WHERE = byServer ? "saved in reviews.db, shared by all windows" : "saved only in this browser";
function tellBallot() {
  vote.querySelector(".progress").textContent = `${votes.length} of ${counted(Math.max(ballot.pairs.length, votes.length), "pair")} judged, ${WHERE}`;
  vote.querySelector('[data-do="undo"]').disabled = !votes.length;
}
function cast(answer) {
  if (!ballot.now || !isPairSeen()) return;
  votes.push({ left: ballot.now[0], right: ballot.now[1], answer });
  ballot.mine.push(ballot.now.join());
  keepVotes();
  nextBallot();
}
function keepVotes() {
  keep("localStorage", "votes", [...strangers, ...votes.map((one) => ({ ...one, left: cells[one.left].key, right: cells[one.right].key }))]);
}
const voteDo = {
  undo: () => {  // the last vote that this window cast, or found when it was opened
    let at = -1;
    for (let last; at < 0 && (last = ballot.mine.pop());) at = votes.findIndex((one) => [one.left, one.right].join() === last);
    if (at < 0) return;
    votes.splice(at, 1);
    keepVotes();
    nextBallot();
  },
  ranking: () => { vote.close(); showRanking(); },
  close: () => vote.close(),
};
vote.querySelectorAll("[data-vote]").forEach((one) => { one.onclick = () => cast(one.dataset.vote); });

// The lower end of the 95 % Wilson score interval; a draw counts as half a win.
function wilson(wins, count) {
  if (!count) return 0;
  const z = 1.96, p = wins / count;
  return (p + z * z / (2 * count) - z * Math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))) / (1 + z * z / count);
}
function ranking() {
  const table = new Map();
  const row = (index) => {
    const v = contestant(index);
    if (!table.has(v)) table.set(v, { value: v, wins: 0, draws: 0, losses: 0 });
    return table.get(v);
  };
  for (const { left: l, right: r, answer } of votes) {
    if (answer === "left") { row(l).wins++; row(r).losses++; }
    else if (answer === "right") { row(r).wins++; row(l).losses++; }
    else if (answer === "same") { row(l).draws++; row(r).draws++; }
    else { row(l).losses++; row(r).losses++; }
  }
  return [...table.values()].map((one) => {
    const count = one.wins + one.draws + one.losses;
    return { ...one, count, score: wilson(one.wins + one.draws / 2, count) };
  }).sort((x, y) => y.score - x.score || y.count - x.count || x.value - y.value);
}
function showRanking() {
  const sheet = byId("ranking").querySelector(".sheet");
  sheet.replaceChildren(make("h2", { textContent: "Ranking after " + counted(votes.length, "vote") }));
  const body = make("tbody");
  ranking().forEach((one, position) => {
    const name = value(data.judged, one.value);
    const meter = make("span", { className: "meter" }, make("span"));
    meter.firstChild.style.width = Math.round(one.score * 100) + "%";
    const pick = make("button", { textContent: "Choose" });
    pick.onclick = () => {
      byId("ranking").close();
      choose(cells.findIndex((cell) => cell.state === "done" && cell.at[data.judged] === one.value));
    };
    const number = (text) => make("td", { className: "number", textContent: text });
    body.append(make("tr", {}, number(position + 1), make("td", {}, name.label, name.note ? make("span", { className: "note", textContent: name.note }) : ""),
      number(one.wins), number(one.draws), number(one.losses), number(one.score.toFixed(2)), make("td", {}, meter), make("td", {}, pick)));
  });
  const title = (text, isNumber = true) => make("th", { scope: "col", className: isNumber ? "number" : "", textContent: text });
  sheet.append(make("table", {}, make("thead", {}, make("tr", {}, title("#"), title(axes[data.judged].name, false), title("Better"), title("Draw"), title("Worse"), title("At least"), title("", false), title("", false))), body));
  sheet.append(make("p", { className: "soft", textContent: `“At least” is the lower bound of the 95 % Wilson interval for being the better picture; few votes give a low bound. Votes are ${WHERE}.` }));
  const more = make("button", { textContent: "Continue voting" }), reset = make("button", { textContent: "Delete all votes" }), close = make("button", { textContent: "Close", className: "primary" });
  more.onclick = () => { byId("ranking").close(); openVote(); };
  reset.onclick = () => { votes = []; strangers = []; keepVotes(); byId("ranking").close(); };
  close.onclick = () => byId("ranking").close();
  sheet.append(make("div", { className: "actions" }, more, reset, close));
  byId("ranking").showModal();
}

// -- the choice ------------------------------------------------------------------------------
function choose(index) {
  const judged = index >= 0 && value(data.judged, cells[index].at[data.judged]);
  if (!judged || !judged.file) return toast("The row without the LoRA cannot be chosen");
  choice = { cell: index };
  keep("localStorage", "choice", cells[index].key);
  showChoice();
  redecorate();
}
function choiceData() {
  const cell = cells[choice.cell];
  return {
    format: 1, kind: "loraloom-grid-choice", grid: data.grid_id, cell: cell.key,
    epoch: value(data.judged, cell.at[data.judged]).label, epoch_file: value(data.judged, cell.at[data.judged]).file,
    values: Object.fromEntries(cell.at.map((v, axis) => [axes[axis].name, value(axis, v).label])),
    chosen_at: new Date().toISOString(),
    votes: ranking().map((one) => ({
      value: value(data.judged, one.value).label, better: one.wins, draw: one.draws, worse: one.losses,
      wilson_lower: Number(one.score.toFixed(4)),
    })),
  };
}
function showChoice() {
  byId("choice").classList.toggle("hidden", !choice);
  if (!choice) return;
  const cell = cells[choice.cell];
  byId("choice-text").textContent = "Chosen: " + value(data.judged, cell.at[data.judged]).label;
  byId("choice-command").textContent = data.served ? "" : data.choice_command;
  byId("choice-copy").classList.toggle("hidden", Boolean(data.served));
}
let writing = Promise.resolve();
/** One after another: the last one holds. */
const post = (path, body) => (writing = writing.catch(() => {}).then(() => fetch(path, { method: "POST", body })));
async function saveChoice() {
  const text = JSON.stringify(choiceData(), null, 2) + "\n";
  if (data.served) {
    try {
      const answer = await post(data.served, text);
      return toast(answer.ok ? "Written to the project" : "Not written: " + await answer.text());
    } catch { return toast("Not written: the command that showed this page has stopped"); }
  }
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: data.choice_file });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 5000);
  toast("Saved as " + data.choice_file);
}
async function promote() {
  const body = JSON.stringify({ name: byId("promote-name").value, choice: choiceData() });
  try {
    const answer = await post(data.promote, body);
    toast(answer.ok ? await answer.text() : "Not promoted: " + await answer.text());
  } catch { toast("Not promoted: the program that showed this page has stopped"); }
}
if (data.promote) {
  byId("promote").classList.remove("hidden");
  byId("promote-name").value = data.promote_name;
  byId("promote-name").onkeydown = (event) => event.stopPropagation();
  byId("promote-now").onclick = promote;
}
byId("choice-save").onclick = saveChoice;
byId("choice-copy").onclick = () => copy(data.choice_command, "Command");
byId("choice-clear").onclick = () => { choice = null; keep("localStorage", "choice", null); showChoice(); redecorate(); };

// -- filters ---------------------------------------------------------------------------------
function buildFilters() {
  const panel = byId("filters");
  panel.replaceChildren(make("h2", { textContent: "Show" }));
  for (const axis of shownAxes()) {
    const list = make("div", { className: "values" });
    const boxes = [];
    axes[axis].values.forEach((one, index) => {
      const id = `filter-${axis}-${index}`;
      const box = make("input", { type: "checkbox", id, checked: !view.hidden[axis].has(index) });
      box.onchange = () => { box.checked ? view.hidden[axis].delete(index) : view.hidden[axis].add(index); layout(); };
      const only = make("button", { textContent: "only", "aria-label": "only " + one.label });
      only.onclick = () => {
        view.hidden[axis] = new Set(axes[axis].values.map((_, i) => i).filter((i) => i !== index));
        boxes.forEach((other, i) => { other.checked = i === index; });
        layout();
      };
      boxes.push(box);
      list.append(make("div", { className: "value" }, box, make("label", { htmlFor: id, textContent: one.label + (one.note ? " (" + one.note + ")" : "") }), only));
    });
    const all = make("button", { textContent: "all", className: "link", "aria-label": "all of " + axes[axis].name });
    all.onclick = () => { view.hidden[axis].clear(); boxes.forEach((box) => { box.checked = true; }); layout(); };
    panel.append(make("fieldset", {}, make("legend", {}, axes[axis].name + " ", all), list));
  }
}
function toggleFilters() {
  const hidden = byId("filters").classList.toggle("hidden");
  byId("filter-button").setAttribute("aria-pressed", !hidden);
  draw();
}

// -- keyboard and buttons --------------------------------------------------------------------
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
function zoomTo(width) {
  view.zoom = Math.round(Math.min(640, Math.max(64, width)));
  byId("zoom").value = view.zoom;
  const x = scroller.scrollLeft / (canvas.offsetWidth || 1), y = scroller.scrollTop / (canvas.offsetHeight || 1);
  layout();
  scroller.scrollLeft = x * canvas.offsetWidth;
  scroller.scrollTop = y * canvas.offsetHeight;
}
function gridKey(event) {
  if (/^(SELECT|TEXTAREA)$/.test(event.target.tagName) || event.target.matches('input[type="range"]')) return;
  const index = view.selected;
  if (arrows[event.key]) {
    const next = index < 0 ? neighbour(-1, 0, 0) : neighbour(index, ...arrows[event.key]);
    if (next >= 0) select(next, { open: !byId("details").classList.contains("hidden") });
  } else if (event.key === "Enter" && event.target.matches(".cell, #scroller")) openViewer(index);
  else if (event.key === "+" || event.key === "=") zoomTo(view.zoom * 1.2);
  else if (event.key === "-") zoomTo(view.zoom / 1.2);
  else if (!letterKey(event, index)) return;
  event.preventDefault();
}
function letterKey(event, index) {
  const letters = {
    c: () => (isDone(view.a) && isDone(view.b) && (index === view.a || index === view.b)) ? openCompare() : mark(index),
    p: () => choose(index), f: toggleFilters, v: openVote, "?": () => byId("help").showModal(),
    i: () => index >= 0 && cells[index].info && copy(cells[index].info, "Generation data"),
  };
  const run = letters[event.key.toLowerCase()];
  if (run && !event.repeat) run();
  return Boolean(run);
}
function viewerKey(event) {
  if (arrows[event.key]) openViewer(nextDone(view.selected, ...arrows[event.key]));
  else if (event.key === "+" || event.key === "=") zoomBy(1.25);
  else if (event.key === "-") zoomBy(0.8);
  else if (event.key === "0") fit();
  else if (event.key === "1") viewerDo.full();
  else if (event.key === "Enter") viewer.close();
  else if ("cpi".includes(event.key.toLowerCase())) { if (isSeen(large)) letterKey(event, view.selected); }
  else return;
  event.preventDefault();
}
function nextDone(index, dx, dy) {
  for (let next = neighbour(index, dx, dy), last = index; next !== last; last = next, next = neighbour(next, dx, dy)) if (isDone(next)) return next;
  return index;
}
function compareKey(event) {
  const move = { ArrowLeft: -4, ArrowRight: 4 }[event.key];
  if (event.key === " " && !event.target.matches("button")) { clearInterval(pair.timer); if (pair.mode !== "flicker") { pair.mode = "flicker"; pose(); clearInterval(pair.timer); } show(!pair.showB); }
  else if (move && pair.mode === "slider" && !event.target.matches("input")) { byId("compare-split").value = Number(byId("compare-split").value) + move; pose(); }
  else return;
  event.preventDefault();
}
function voteKey(event) {
  const answer = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "same", ArrowDown: "bad" }[event.key];
  if (!answer) return;
  if (!event.repeat) cast(answer);  // held too long: the next pair has not been looked at
  event.preventDefault();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const open = document.querySelector("dialog[open]");
  if (!open) gridKey(event);
  else if (open === viewer) viewerKey(event);
  else if (open === compare) compareKey(event);
  else if (open === vote) voteKey(event);
});
for (const [dialog, actions] of [[viewer, viewerDo], [compare, compareDo], [vote, voteDo], [byId("help"), { close: () => byId("help").close() }]]) {
  dialog.querySelectorAll("[data-do]").forEach((one) => { one.onclick = () => actions[one.dataset.do](); });
}
viewer.addEventListener("close", () => { wanted.delete(large); large.removeAttribute("src"); if (view.selected >= 0) select(view.selected, { open: false }); });
canvas.addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (!cell) return;
  const index = Number(cell.dataset.cell);
  if (event.shiftKey) mark(index); else select(index);
});
canvas.addEventListener("dblclick", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) openViewer(Number(cell.dataset.cell));
});
let frame = 0;
scroller.addEventListener("scroll", () => { frame = frame || requestAnimationFrame(() => { frame = 0; draw(); }); }, { passive: true });
scroller.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoomTo(view.zoom * Math.exp(-event.deltaY / 500));
}, { passive: false });
new ResizeObserver(() => draw()).observe(scroller);
addEventListener("resize", () => { if (compare.open) pose(); if (viewer.open) fit(); });
byId("zoom").oninput = (event) => zoomTo(Number(event.target.value));
byId("columns").onchange = (event) => { view.columns = Number(event.target.value); layout(); };
byId("filter-button").onclick = toggleFilters;
byId("compare-button").onclick = openCompare;
byId("vote-button").onclick = openVote;
byId("help-button").onclick = () => byId("help").showModal();

function theme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme-button").textContent = name === "dark" ? "Light" : "Dark";
}
byId("theme-button").onclick = () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  theme(next);
  keep("localStorage", "theme", next);
};

// -- a grid that grows while the training saves ------------------------------------------------
function follow() {
  if (!data.live) return;
  byId("live").classList.remove("hidden");
  byId("live").textContent = "● " + data.live.status;
  window.loraloomLive = (news) => {
    byId("live").textContent = "● " + news.status;
    const isBusy = saved < decisions || document.activeElement === byId("promote-name");
    if (news.revision === data.revision || isBusy || document.querySelector("dialog[open]")) return;
    view.top = scroller.scrollTop;
    view.left = scroller.scrollLeft;
    keep("sessionStorage", "view", { ...view, hidden: view.hidden.map((one) => [...one]), keys: [view.selected, view.a, view.b].map((i) => cells[i]?.key), name: byId("promote-name").value });
    location.reload();
  };
  setInterval(() => {
    const script = make("script", { src: data.live.file + "?" + Date.now() });
    script.nonce = nonce;
    script.onload = script.onerror = () => script.remove();
    document.head.append(script);
  }, data.live.every);
}
function restore() {
  const old = kept("sessionStorage", "view");
  const find = (key) => key ? cells.findIndex((cell) => cell.key === key) : -1;
  if (old) {
    Object.assign(view, { columns: Math.min(old.columns, axes.length - 1), zoom: old.zoom, top: old.top, left: old.left });
    [view.selected, view.a, view.b] = old.keys.map(find);
    old.hidden.slice(0, axes.length).forEach((values, axis) => { view.hidden[axis] = new Set(values); });
    if (data.promote && old.name) byId("promote-name").value = old.name;
    keep("sessionStorage", "view", null);
  }
  readVotes();
  ballot.mine = votes.map((one) => [one.left, one.right].join());
}
function readVotes() {
  const find = (key) => key ? cells.findIndex((cell) => cell.key === key) : -1;
  const isHere = (one) => find(one.left) >= 0 && find(one.right) >= 0, all = kept("localStorage", "votes") || [];
  votes = all.filter(isHere).map((one) => ({ ...one, left: find(one.left), right: find(one.right) }));
  strangers = all.filter((one) => !isHere(one));
  const chosen = find(kept("localStorage", "choice"));
  choice = chosen >= 0 ? { cell: chosen } : null;
}
/** Show what other windows voted and chose meanwhile; the pair that is looked at stays. */
function adopt() {
  readVotes();
  showChoice();
  redecorate();
  if (vote.open) tellBallot();
}

function showAdvice() {
  const advice = data.advice, panel = byId("advice");
  panel.classList.toggle("hidden", !advice);
  if (!advice) return;
  panel.open = innerWidth >= 700 && innerHeight > 560;
  panel.querySelector("summary").textContent = (advice.simulated ? "Advice (simulated): " : "Advice: ") + advice.summary;
  panel.querySelector("ol").append(...advice.picks.map((one) => make("li", {}, make("strong", { textContent: one.place }), " " + one.reasons.join(" "))));
  panel.querySelector(".curves").append(...advice.curves.map((one) => make("figure", { title: one.text },
    make("img", { src: one.picture, alt: one.name + " over the epochs: " + one.text }), make("figcaption", { textContent: one.name }))));
  const lacking = new Map();
  advice.not_measured.forEach(([name, why]) => lacking.set(why, [...(lacking.get(why) || []), name]));
  const rest = panel.querySelector("details");
  rest.classList.toggle("hidden", !lacking.size);
  rest.querySelector("summary").textContent = "Not measured: " + advice.not_measured.map(([name]) => name).join(", ");
  rest.querySelector("ul").append(...[...lacking].map(([why, names]) => make("li", { textContent: names.join(", ") + ": " + why })));
}

function start() {
  byId("title").textContent = data.title;
  byId("subtitle").textContent = data.subtitle;
  byId("badge").textContent = data.badge;
  byId("badge").classList.toggle("hidden", !data.badge);
  byId("legend").classList.toggle("hidden", !data.legend.length);
  byId("legend").querySelector("dl").append(...data.legend.flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", { textContent: text })]));
  showAdvice();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.onchange = () => theme(kept("localStorage", "theme") || (dark.matches ? "dark" : "light"));
  dark.onchange();
  restore();
  byId("columns").append(...shownAxes().map((axis) => make("option", { value: axis, textContent: axes[axis].name })));
  if (!shownAxes().length) byId("columns").closest("label").classList.add("hidden");
  if (!shownAxes().includes(view.columns)) view.columns = shownAxes()[0] ?? view.columns;
  byId("columns").value = view.columns;
  view.zoom = view.zoom || Math.min(data.thumb, Math.max(96, Math.floor((innerWidth - 220) / axes[view.columns].values.length) - GAP));
  byId("zoom").value = view.zoom;
  buildFilters();
  layout();
  scroller.scrollTo(view.left, view.top);
  showChoice();
  redecorate();
  if (view.selected >= 0) select(view.selected, { focus: false });
  follow();
  const front = () => document.querySelector("dialog[open]");
  const look = closeOnBack(() => Boolean(front()), () => front().close());
  document.querySelectorAll("dialog").forEach((one) => new MutationObserver(look).observe(one, { attributes: true, attributeFilter: ["open"] }));
}
start();
document.addEventListener("DOMContentLoaded", () => { layout(); scroller.scrollTo(view.left, view.top); });
})();
