"use strict";
(() => {
const POLL_MILLISECONDS = 2500, GAP = 10, PAD = 12, NAME_HEIGHT = 24, SPARE_ROWS = 3, SPARE_MILLISECONDS = 40, AHEAD = 4;
const byId = (id) => document.getElementById(id);
const isPhone = matchMedia("(max-width: 720px), (max-height: 560px) and (pointer: coarse)");  // as in board.css
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// -- what is known ---------------------------------------------------------------------------------
let choices = [], items = [], byKey = new Map(), order = [];
let cursor = 0, anchor = 0, mode = "grid", isSelecting = false, number = 0, facts = 0;
let captions = null, prefix = "", hasCaptions = false;
let marks = [], facets = [], orderOf = "", ordered = [], actions = [], nothing = "", shownFacts = "";
const chosen = new Set();
const itemOf = ([key, name, width, height, sharpness, note = "", framing = "", group = 0, facets = [], tags = [], pair = ""]) =>
  ({ key, name, width, height, sharpness, note, framing, group, facets, tags, pair });
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
  const text = body === undefined ? "" : JSON.stringify(body);  // a short one is sent even while the page goes away
  const options = text ? { method: "POST", headers: { "Content-Type": "application/json" }, body: text, keepalive: text.length < LARGEST_LASTING } : {};
  const answer = await fetch(path, options);
  if (answer.ok) return answer.json();
  const isElsewhere = answer.status === 403 || answer.status === 404;
  throw Object.assign(new Error((await answer.text()) || `The server answered ${answer.status}.`), { isElsewhere, isLasting: !AGAIN.includes(answer.status) });
}

// -- pictures: drawn on canvases, for a browser keeps hundreds of megabytes of decoded <img> ------------------
const drawing = new WeakMap();
const canvas = () => make("canvas", { role: "img", "aria-label": "", width: 1, height: 1 });
async function fetched(url, signal) {
  const answer = await fetch(url, { signal });
  if (!answer.ok) throw Object.assign(new Error(`The server answered ${answer.status}.`), { isAway: answer.status > 501 });
  return createImageBitmap(await answer.blob());
}
function put(target, bitmap) {
  target.width = bitmap.width;
  target.height = bitmap.height;
  target.getContext("2d").drawImage(bitmap, 0, 0);
}
function wipe(target) {
  drawing.get(target)?.abort();
  target.width = target.height = 1;
  delete target.dataset.shown;
  delete target.dataset.lost;
}
/** Draw a picture when it has come, unless the canvas is wanted for another one by then. */
async function draw(target, folder, one) {
  wipe(target);
  const wanted = new AbortController();
  drawing.set(target, wanted);
  target.setAttribute("aria-label", one.name);
  try {
    const bitmap = await fetched(`${folder}/${one.key}`, wanted.signal);
    if (!wanted.signal.aborted) { put(target, bitmap); target.dataset.shown = one.key; }
    bitmap.close();
    return !wanted.signal.aborted;
  } catch (error) { if (!wanted.signal.aborted) lose(target, one, error); return false; }
}
/** Note a picture that does not come: it may be decided on unseen, and is fetched again when the server is back. */
let isShort = false;
function lose(target, one, error) {
  target.dataset.lost = one.key;
  isShort = isShort || error.isAway || error instanceof TypeError;
}
function fetchAgain() {
  if (!isShort) return;
  isShort = false;
  for (const tile of tiles.values()) if (tile.image.dataset.lost) tile.key = "";
  for (const each of [large, byId("zoom-picture"), ...byId("compare").querySelectorAll("canvas")]) if (each.dataset.lost) each.dataset.key = "";
  paint();
}

// -- decisions: shown at once, kept in this tab until the server has them, sent in order ------------------
const AGAIN = [403, 404, 502, 503, 504], SHORTEST_WAIT = 250, LONGEST_WAIT = 2000, LARGEST_LASTING = 60_000;
let pending = [], isSending = false, answered = 0, boardId = "", queue = Promise.resolve();
/** What outlives a reload; a page without storage keeps it in memory alone. */
function keep(name, value) { try { sessionStorage.setItem(`loraloom ${boardId} ${name}`, JSON.stringify(value)); } catch { /* in memory */ } }
function kept(name) { try { return JSON.parse(sessionStorage.getItem(`loraloom ${boardId} ${name}`)); } catch { return null; } }
const keepPending = () => { if (boardId) keep("pending", pending.map(({ path, body }) => ({ path, body }))); };
/** What is decided here and not yet with the server is shown over what the server has said. */
function showPending() {
  for (const { path, body } of pending) {
    if (path === "decide") for (const [key, value] of Object.entries(body.values || Object.fromEntries(body.keys.map((each) => [each, body.value])))) if (byKey.has(key)) Object.assign(byKey.get(key), { value, way: "board" });
    if (path === "mark") for (const key of body.keys) if (byKey.has(key)) setMark(byKey.get(key), body.mark, body.value);
    if (path === "order") ordered = body.keys;
  }
}
function send(path, body) {
  const one = { path, body: { ...body, request: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}` } };
  const sent = new Promise((taken, refused) => Object.assign(one, { taken, refused }));
  queue = sent.catch(() => {});
  pending.push(one);
  keepPending();
  showPending();
  if (isCut) tellCut(isCut);
  sendAll();
  return sent;
}
async function sendAll() {
  if (isSending || !boardId) return;  // what an earlier page left is sent first
  isSending = true;
  for (let wait = SHORTEST_WAIT; pending.length;) {
    const one = pending[0];
    let reply = null, error = null;
    try { reply = await ask(one.path, one.body); } catch (problem) { error = problem; }
    if (error && !error.isLasting) {
      tellCut(error);
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, LONGEST_WAIT);
      continue;
    }
    pending.shift();
    keepPending();
    answered += 1;
    wait = SHORTEST_WAIT;
    tellCut(null);
    if (reply) { take(reply); one.taken?.(reply); continue; }
    await restate().catch(() => {});
    say(error.message, true);
    one.refused?.(error);
  }
  isSending = false;
}
/** Say that the server is away and what waits for it; `problem` is null when it answers. */
let isCut = null;
function tellCut(problem) {
  isCut = problem;
  const waits = pending.length ? `${counted(pending.length, "change")} ${pending.length === 1 ? "waits" : "wait"} in this tab and will be sent.` : "Nothing is lost.";
  byId("cut").classList.toggle("hidden", !problem);
  if (problem) byId("cut").textContent = problem.isElsewhere ? `The server was restarted at another address: open that address in this tab. ${waits}` : `The server does not answer. ${waits}`;
}
/** Show again what is kept, after the server has refused something that was shown already. */
async function restate() {
  const reply = await ask("state.json");
  for (const one of items) { [one.value = null, one.way = ""] = reply.values[one.key] || []; one.marks.clear(); }
  reply.marked.forEach((keys, at) => { for (const key of keys) if (byKey.has(key)) setMark(byKey.get(key), marks[at].key, true); });
  ordered = reply.order;
  showPending();
  paint();
}
/** What a decision is for: nothing while the picture is not there yet, for nobody decides on what is not seen. */
function decided() {
  if (chosen.size) return [...chosen];
  const one = current(), target = isZoomed() ? byId("zoom-picture") : mode === "one" ? large : isComparing() ? byId("compare").children[together.indexOf(cursor)]?.firstChild : null;
  if (!one) return [];
  if (!target || [target.dataset.shown, target.dataset.lost].includes(one.key)) return [one.key];
  say(`${one.name} is still loading: nothing is decided.`);
  return [];
}
function decide(value) {
  const keys = decided();
  if (!keys.length) return;
  const many = chosen.size > 0;
  send("decide", { keys, value }).catch(() => {});
  if (many) { say(`${counted(keys.length, "picture")}: ${labelOf(value)}`); chosen.clear(); anchor = cursor; paint(); }
  else { say(`${byKey.get(keys[0]).name}: ${labelOf(value)}`); if (value !== null && hasNext()) move(1); else paint(); }
}
/** The other version of a picture: before or after ADetailer, small or large. */
const versions = new Map();
const notePair = (one) => { if (one.pair) versions.set(one.pair, one); };
const pairOf = (one) => (one ? byKey.get(one.pair) || versions.get(one.key) : undefined);
/** Keep this one of two versions and put the other out, as one decision. */
function takeThisOne() {
  const one = current(), other = pairOf(one), out = choices.find((each) => each.is_out);
  if (!other || !orderOf || !out) { say("This picture has no other version."); return; }
  if (!decided().length) return;
  send("decide", { values: { [one.key]: orderOf, [other.key]: out.value } }).catch(() => {});
  say(`${one.name}: ${labelOf(orderOf)}; the other version: ${out.label}`);
  if (isComparing()) nextPair(); else paint();
}
/** Continue to the next picture of which neither version is decided on. */
function nextPair() {
  const at = order.findIndex((index, place) => place > cursor && items[index].value == null && pairOf(items[index]));
  if (at < 0) { paint(); return; }
  cursor = anchor = at;
  together = [];
  pick();
  paint();
}
/** Set or take back a mark of the picture, or of all chosen ones; it stays where it is. */
function toggleMark(mark) {
  const keys = decided();
  if (!keys.length) return;
  const value = !keys.every((key) => byKey.get(key).marks.has(mark.key));
  send("mark", { keys, mark: mark.key, value }).catch(() => {});
  say(`${keys.length > 1 ? counted(keys.length, "picture") : byKey.get(keys[0]).name}: ${value ? "" : "not "}${mark.label.toLowerCase()}`);
  paint();
}
const setMark = (one, key, value) => { if (value) one.marks.add(key); else one.marks.delete(key); };
const labelOf = (value) => (value === null ? "no decision" : choices[choiceOf(value)].label);
let touches = 0;  // of the person: who moves on is not called back by an answer
for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => { touches += 1; }, true);
async function turn(path, words) {
  const before = touches;
  try {
    const reply = await send(path, {});
    const keys = [...Object.keys(reply.values || {}), ...Object.keys(reply.captions || {}), ...(reply.marked || []).flatMap(Object.keys)];
    if (!reply.count) { say(`Nothing to ${path}.`); return; }
    say(`${words}: ${keys.length === 1 ? byKey.get(keys[0])?.name : keys.length ? counted(keys.length, "picture") : "the order"}`);
    const at = order.findIndex((index) => items[index].key === keys[0]);
    if (at >= 0 && touches === before) go(at);
  } catch { /* said already */ }
}

// -- news from the server --------------------------------------------------------------------------------
function take(reply) {
  for (const [key, [value, way]] of Object.entries(reply.values || {})) {
    const one = byKey.get(key);
    if (one) { one.value = value; one.way = way; }
  }
  (reply.marked || []).forEach((values, at) => {
    for (const [key, value] of Object.entries(values)) if (byKey.has(key)) setMark(byKey.get(key), marks[at].key, value);
  });
  if (reply.order) ordered = reply.order;
  if (reply.captions) for (const known of [captions, heard]) Object.assign(known || {}, reply.captions);
  showPending();
  if (reply.tags) document.dispatchEvent(new CustomEvent("board-tags"));
  paint();
}
let polls = 0, latest = 0;
async function poll() {
  if (pending.length || document.hidden) return;
  const before = answered, turn = ++polls;
  try {
    const reply = await ask(`changes.json?since=${number}&facts=${facts}`);
    tellCut(null);
    if (turn < latest || pending.length || answered !== before) return;  // older than what was heard or decided meanwhile
    latest = turn;
    fetchAgain();
    if (hasCaptions && !captions) loadCaptions();
    facts = reply.facts;
    paintStatus(reply.status);
    if (reply.items.length) { takeItems(reply.items); paintTwins(); if (["alike"].includes(byId("sort").value)) arrange(); }
    if (reply.items.length || reply.number > number) take(reply);
    number = reply.number;
  } catch (error) { tellCut(error); }
}

/** Put new pictures behind the others: what is shown already stays where it is. */
function takeItems(rows) {
  let isMore = false;
  const wanted = readFilters();
  for (const row of rows) {
    const news = itemOf(row), one = byKey.get(news.key);
    if (one) { Object.assign(one, news); continue; }
    const added = { ...news, at: items.length, value: null, way: "", marks: new Set() };
    items.push(added);
    notePair(added);
    byKey.set(added.key, added);
    if (isShown(added, wanted)) order.push(added.at);
    isMore = true;
  }
  if (!isMore) return;
  fillFilters();
  tellShown();
  stretch();
}

// -- filter and sort ---------------------------------------------------------------------------------------
const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const sorts = {
  name: (a, b) => (facets.length ? 0 : byName(a.name, b.name)) || a.at - b.at,
  decision: (a, b) => rank(a) - rank(b) || a.at - b.at,
  large: (a, b) => b.width * b.height - a.width * a.height || a.at - b.at,
  small: (a, b) => a.width * a.height - b.width * b.height || a.at - b.at,
  sharp: (a, b) => b.sharpness - a.sharpness || a.at - b.at,
  blurred: (a, b) => a.sharpness - b.sharpness || a.at - b.at,
  facet: (a, b) => (a.facets[0] || "").localeCompare(b.facets[0] || "") || a.at - b.at,
  framing: (a, b) => framingOf(a).localeCompare(framingOf(b)) || a.at - b.at,
  alike: (a, b) => a.group - b.group || b.width * b.height - a.width * a.height,
};
const rank = (one) => { const at = choiceOf(one.value); return at < 0 ? -1 : at; };
/** What the filters ask for, read once for ten thousand pictures. */
const readFilters = () => ({
  value: byId("filter-value").value, framing: byId("filter-framing").value, option: byId("filter-option").value, sort: byId("sort").value,
  tag: byId("filter-tag").value.trim().toLowerCase(), name: byId("filter-name").value.trim().toLowerCase(),
  facets: facets.map((_, at) => byId(`facet-${at}`).value),
});
function isShown(one, { value, framing, option, sort, tag, name, facets: wanted }) {
  if (value === "none" && one.value != null) return false;
  if (value === "uncaptioned" && captionOf(one).text) return false;
  if (value === "hand" && !captionOf(one).hand) return false;
  if (value.startsWith("=") && one.value !== value.slice(1)) return false;
  if (value.startsWith("+") && !one.marks.has(value.slice(1))) return false;
  if (framing && framingOf(one) !== framing) return false;
  if (wanted.some((each, at) => each && one.facets[at] !== each)) return false;
  if (option && !one.tags.includes(option)) return false;
  if (tag && !captionOf(one).tags?.some((each) => each.toLowerCase() === tag)) return false;
  if (name && !one.name.toLowerCase().includes(name)) return false;
  return sort !== "alike" || one.group > 0;
}
function arrange() {
  const before = current()?.key, picked = isPicked ? together.map((at) => order[at]) : [];
  const wanted = readFilters();
  const shown = items.filter((one) => isShown(one, wanted)).sort(sorts[byId("sort").value]);
  order = shown.map((one) => one.at);
  const at = order.findIndex((index) => items[index].key === before);
  cursor = Math.max(0, at);
  anchor = cursor;
  for (const key of [...chosen]) if (!isShown(byKey.get(key), wanted)) chosen.delete(key);
  together = picked.map((index) => order.indexOf(index)).sort((a, b) => a - b);
  if (together.includes(-1)) together = [];
  if (isComparing()) page();
  tellShown();
  layOut();
  paint();
}
function tellShown() { byId("shown").textContent = order.length === items.length ? "" : `${order.length} shown`; }
function fill(id, values) {
  const select = byId(id), before = select.value;
  if (select.options.length === values.length && values.every(([value], at) => select.options[at].value === value)) return;
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
  select.value = values.some(([value]) => value === before) ? before : values[0][0];
}
function fillFilters() {
  fill("filter-value", [["", "all"], ["none", "undecided"], ...choices.map((one) => ["=" + one.value, one.label.toLowerCase()]),
    ...marks.map((one) => ["+" + one.key, one.label.toLowerCase()]), ...(hasCaptions ? [["uncaptioned", "no caption"], ["hand", "caption by hand"]] : [])]);
  const framings = [...new Set(items.map(framingOf).filter(Boolean))].sort();
  fill("filter-framing", [["", "all"], ...framings.map((one) => [one, one])]);
  byId("framing-label").classList.toggle("hidden", !framings.length);
  byId("tag-label").classList.toggle("hidden", !hasCaptions);
  facets.forEach((name, at) => {
    const values = [...new Set(items.map((one) => one.facets[at]).filter(Boolean))].sort();
    fill(`facet-${at}`, [["", "all"], ...values.map((one) => [one, one])]);
  });
  const options = [...new Set(items.flatMap((one) => one.tags || []))].sort();
  fill("filter-option", [["", "all"], ...options.map((one) => [one, one.length > 60 ? one.slice(0, 59) + "…" : one])]);
  byId("option-label").classList.toggle("hidden", !options.length);
}

// -- the grid: only the tiles in sight are there --------------------------------------------------------------
const grid = byId("grid"), space = byId("space"), tiles = new Map(), spare = [];
let columns = 1, side = 190, width = 190, height = 214;
function layOut() {
  const room = grid.clientWidth - 2 * PAD;
  const across = innerWidth <= 720 ? 3 : 5;
  side = isPhone.matches ? Math.max(100, (room - (across - 1) * GAP) / across) : Number(byId("size").value);
  columns = Math.max(1, Math.floor((room + GAP) / (side + GAP)));
  width = (room - (columns - 1) * GAP) / columns;
  height = width + NAME_HEIGHT;
  stretch();
  for (const tile of tiles.values()) retire(tile);
  tiles.clear();
}
function stretch() { space.style.height = `${Math.ceil(order.length / columns) * (height + GAP) + 2 * PAD}px`; }
function retire(tile) { tile.element.style.display = "none"; drawing.get(tile.image)?.abort(); tile.key = ""; delete tile.element.dataset.at; spare.push(tile); }
function newTile() {
  const image = canvas();
  const mark = make("span", { className: "mark" }), twin = make("span", { className: "twin" }), extra = make("span", { className: "extra" });
  const element = make("div", { className: "tile" }, image, mark, twin, extra, make("div", { className: "name" }));
  space.append(element);
  return { element, image, mark, twin, extra, name: element.lastChild, key: "" };
}
/** The rows in sight come at once, those beyond and what is left behind after the frame: a key waits for none. */
let spareDue = 0;
function paintGrid(withSpare = false) {
  if (mode !== "grid") return;
  const top = Math.floor((grid.scrollTop - PAD) / (height + GAP)), bottom = Math.ceil((grid.scrollTop + grid.clientHeight) / (height + GAP));
  const first = Math.max(0, top - SPARE_ROWS) * columns, last = Math.min(order.length, (bottom + SPARE_ROWS) * columns);
  const isInSight = (at) => at >= top * columns && at < bottom * columns;
  let isMore = false;
  for (const [at, tile] of tiles) {
    if (at >= first && at < last) continue;
    if (withSpare || at >= order.length) { retire(tile); tiles.delete(at); } else isMore = true;
  }
  for (let at = first; at < last; at += 1) if (withSpare || tiles.has(at) || isInSight(at)) paintTile(at); else isMore = true;
  if (isMore && !spareDue) spareDue = setTimeout(() => { spareDue = 0; paintGrid(true); }, SPARE_MILLISECONDS);
  const empty = space.querySelector(".empty");
  if (!order.length && !empty) space.append(make("p", { className: "empty", textContent: items.length ? "No picture matches these filters." : nothing }));
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
    draw(tile.image, "thumb", one);
    tile.name.textContent = one.note || one.name;
    tile.name.title = one.name;
  }
  const choice = choiceOf(one.value), extra = marks.filter((mark) => one.marks.has(mark.key)).map((mark) => mark.label).join(", ");
  // the same text written again is a new text to lay out: every tile in sight, at every key
  const looks = [choice, one.group, at === cursor, chosen.has(one.key), extra].join();
  if (tile.looks === looks) return;
  tile.looks = looks;
  tile.mark.textContent = choice < 0 ? "" : choices[choice].label;
  tile.mark.className = choice < 0 ? "hidden" : `mark ${choices[choice].is_out ? "is-out" : "v" + choice}`;
  tile.extra.textContent = extra;
  tile.extra.classList.toggle("hidden", !tile.extra.textContent);
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
/** A picture that is fetched and decoded before it is looked at. */
function picture(path) {
  const known = ahead.get(path);
  if (known) return known;
  const stop = new AbortController(), one = { stop, bitmap: null, ready: fetched(path, stop.signal) };
  one.ready.then((bitmap) => { if (ahead.get(path) === one) one.bitmap = bitmap; else bitmap.close(); }, () => { if (ahead.get(path) === one) ahead.delete(path); });
  ahead.set(path, one);
  return one;
}
/** Keep what is looked at and what comes next, small ones further than large ones, and nothing else. */
function lookAhead() {
  const at = (first, last) => Array.from({ length: last - first }, (_, step) => items[order[first + step]]?.key).filter(Boolean);
  const next = isComparing() ? [...together.map((each) => items[order[each]].key), ...at(together.at(-1) + 1, together.at(-1) + 1 + COUNTS[mode])]
    : mode === "one" ? at(cursor, cursor + 1 + AHEAD).concat(at(cursor - 1, cursor)) : [];
  const small = mode === "one" ? at(cursor - 2, cursor + 3 * AHEAD) : next;
  const wanted = new Set([...next.map((key) => `large/${key}`), ...small.map((key) => `thumb/${key}`)]);
  for (const [path, one] of ahead) if (!wanted.has(path)) { ahead.delete(path); one.stop.abort(); one.bitmap?.close(); }
  wanted.forEach(picture);
}
/** Show a picture at once: the large one where it is there, else the small one until it comes. */
function paintPicture(target, one) {
  if (target.dataset.key === one.key) return;
  target.dataset.key = one.key;
  target.setAttribute("aria-label", one.name);
  delete target.dataset.lost;
  const sharp = picture(`large/${one.key}`), small = picture(`thumb/${one.key}`);
  const take = (bitmap) => { if (target.dataset.key === one.key && bitmap.width) { put(target, bitmap); target.dataset.shown = one.key; } };
  if (sharp.bitmap) { take(sharp.bitmap); return; }
  if (small.bitmap) take(small.bitmap);
  else { wipe(target); small.ready.then((bitmap) => { if (!sharp.bitmap) take(bitmap); }, () => {}); }
  sharp.ready.then(take, (error) => { if (target.dataset.key === one.key && error.name !== "AbortError") lose(target, one, error); });
}
let isLooking = 0;
function lookAheadSoon() { clearTimeout(isLooking); isLooking = setTimeout(lookAhead); }
function paintOne() {
  if (mode !== "one") return;
  const one = current();
  byId("one-name").textContent = one ? one.name : "No picture matches these filters.";
  byId("one-facts").textContent = one ? factsOf(one) : "";
  byId("one-way").textContent = one && one.value != null ? `${labelOf(one.value)} (${one.way})` : "";
  const choice = one ? choiceOf(one.value) : -1;
  byId("one").classList.toggle("out", choice >= 0 && choices[choice].is_out);
  if (!one) { wipe(large); large.dataset.key = ""; return; }
  if (facets.length) paintFacts(one);
  paintPicture(large, one);
  lookAheadSoon();
}
/** What made the picture; asked for one at a time, for two thousand prompts are megabytes. */
async function paintFacts(one) {
  if (shownFacts === one.key) return;
  shownFacts = one.key;
  byId("facts").style.visibility = "hidden";  // another picture's, in the room that this one's will need
  const rows = await ask(`facts.json?key=${one.key}`).catch(() => null);
  if (shownFacts !== one.key) return;
  byId("facts").style.visibility = "";
  if (!rows) shownFacts = "";
  byId("facts").replaceChildren(...(rows || []).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));
}
function factsOf(one) {
  const words = [];
  if (one.width) words.push(`${one.width} × ${one.height}`);
  if (one.sharpness) words.push(`sharpness ${one.sharpness}`);
  if (framingOf(one) && !one.note) words.push(framingOf(one));
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
  if (isComparing()) page();
  paint();
}
function move(step, isExtending = false) {
  if (!isComparing() || Math.abs(step) > 1) { go(cursor + step, isExtending); return; }
  const at = together.indexOf(cursor) + step;
  if (at >= 0 && at < together.length) go(together[at]);
  else if (!isPicked) go(cursor + step);
}
const hasNext = () => (isComparing() && isPicked ? together.indexOf(cursor) < together.length - 1 : cursor < order.length - 1);
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
  say("All pictures shown are decided.");
}
function show(name) {
  mode = name;
  for (const pane of ["grid", "one", "compare", "order"]) byId(pane).classList.toggle("hidden", pane !== (isComparing() ? "compare" : mode));
  for (const each of MODES) byId(`mode-${each}`).setAttribute("aria-pressed", mode === each);
  if (mode === "grid") { layOut(); reveal(); }
  if (isComparing()) pick();
  if (mode !== "one") { wipe(large); large.dataset.key = ""; }
  if (!isComparing()) byId("compare").replaceChildren();
  lookAheadSoon();
  const pane = { grid, one: byId("stage") }[mode] || byId(isComparing() ? "compare" : "order");
  pane.focus({ preventScroll: true });
  paint();
  wasGrid = wasGrid || mode === "grid";
  lookAtFront();
}

// -- two or four side by side, and the order ----------------------------------------------------------------
const MODES = ["one", "two", "four", "grid", "order"], COUNTS = { two: 2, four: 4 };
let together = [], isPicked = false;
const isComparing = () => mode in COUNTS;
/** Compare the chosen pictures, or a picture with its other version, or it and those behind it. */
function pick() {
  const count = COUNTS[mode], at = (key) => order.findIndex((index) => items[index].key === key);
  const other = pairOf(current()), pair = other ? at(other.key) : -1, both = [pair, cursor].sort((a, b) => a - b);
  together = chosen.size > 1 ? [...chosen].map(at).sort((a, b) => a - b).slice(0, count) : pair >= 0 && count === 2 ? both : [];
  isPicked = together.length > 1;
  if (isPicked && chosen.size) { chosen.clear(); cursor = together[0]; }
  page();
}
function page() {
  if (together.includes(cursor)) return;
  const count = COUNTS[mode], isBack = together.length && cursor < together[0];
  const first = Math.max(0, Math.min(isBack ? cursor - count + 1 : cursor, order.length - count));
  together = [...Array(Math.min(count, order.length)).keys()].map((each) => first + each);
  isPicked = false;
}
function paintCompare() {
  if (!isComparing()) return;
  const figures = byId("compare");
  figures.dataset.count = COUNTS[mode];
  while (figures.children.length < together.length) figures.append(make("figure", {}, canvas(), make("span", { className: "mark" }), make("figcaption")));
  while (figures.children.length > together.length) figures.lastChild.remove();
  together.forEach((at, place) => {
    const one = items[order[at]], figure = figures.children[place], [image, mark, caption] = figure.children;
    figure.dataset.at = at;
    paintPicture(image, one);
    const choice = choiceOf(one.value);
    mark.textContent = choice < 0 ? "" : choices[choice].label;
    mark.className = choice < 0 ? "hidden" : `mark ${choices[choice].is_out ? "is-out" : "v" + choice}`;
    caption.textContent = [one.note || one.name, ...marks.filter((each) => one.marks.has(each.key)).map((each) => each.label)].join(" · ");
    figure.classList.toggle("cursor", at === cursor);
    figure.classList.toggle("out", choice >= 0 && choices[choice].is_out);
  });
  lookAheadSoon();
}
byId("compare").addEventListener("click", (event) => {
  const figure = event.target.closest("figure");
  if (figure && !isDragged) go(Number(figure.dataset.at));
});
/** The pictures after, or before, those that are compared. */
function turnPage(step) {
  const next = step > 0 ? together.at(-1) + 1 : together[0] - 1;
  if (next < 0 || next >= order.length) return;
  go(next);
}
function inOrder() {
  const wanted = items.filter((one) => one.value === orderOf).map((one) => one.key);
  return [...ordered.filter((key) => wanted.includes(key)), ...wanted.filter((key) => !ordered.includes(key))];
}
let dragged = "", strip = "";
function paintOrder() {
  if (mode !== "order") return;
  const keys = inOrder(), framing = (key) => (key ? framingOf(byKey.get(key)) : "");
  const alike = (at) => at > 0 && framing(keys[at]) && framing(keys[at]) === framing(keys[at - 1]);
  const clashes = keys.filter((_, at) => alike(at)).length;
  byId("order-note").textContent = !keys.length ? `Pictures rated "${choices[choiceOf(orderOf)].label}" are ordered here.`
    : clashes ? `${clashes} ${clashes === 1 ? "picture has" : "pictures have"} the same framing as the one before.` : "No two pictures with the same framing are next to each other.";
  byId("order-note").classList.toggle("alarm", clashes > 0);
  if (strip === keys.join()) return;
  strip = keys.join();
  byId("strip").replaceChildren(...keys.map((key, at) => {
    const button = (by, text, label) => make("button", { textContent: text, title: label, "aria-label": label, onclick: () => place(key, at + by) });
    const item = make("li", { draggable: true, className: alike(at) ? "alike" : "" }, make("img", { src: `thumb/${key}`, alt: byKey.get(key).name, draggable: false }),
      make("div", { textContent: `${at + 1}. ${framing(key) || "framing unknown"}` }), make("div", { className: "line" }, button(-1, "←", "Move left"), button(1, "→", "Move right")));
    item.addEventListener("dragstart", () => { dragged = key; });
    item.addEventListener("dragover", (event) => { event.preventDefault(); item.classList.add("over"); });
    item.addEventListener("dragleave", () => item.classList.remove("over"));
    item.addEventListener("drop", (event) => { event.preventDefault(); place(dragged, at); });
    return item;
  }));
}
function place(key, at) {
  const rest = inOrder().filter((one) => one !== key);
  if (!key || at < 0 || at > rest.length) return;
  rest.splice(at, 0, key);
  ordered = rest;
  paintOrder();
  send("order", { keys: rest }).catch(() => {});
}
byId("arrange").onclick = () => { if (inOrder().length) send("arrange", { keys: inOrder() }).then(() => say("Arranged."), () => {}); };

// -- what is in progress, what can be started, and the figures ---------------------------------------------------
function paintStatus(status) {
  if (!status || !facets.length) return;
  byId("status-text").textContent = status.text;
  byId("status").classList.toggle("alarm", status.isAlarm);
  byId("status-bar").classList.toggle("unused", !status.total);
  byId("status-bar").max = status.total || 1;
  byId("status-bar").value = status.done;
  byId("status-text").title = status.text;
  actions.forEach((one, at) => {
    const button = byId("actions").children[at], running = status.running.includes(one.name);
    button.setAttribute("aria-pressed", running);
    if (one.stop_label) button.textContent = running ? one.stop_label : one.label;
  });
}
async function start(action, choice) {
  say(`${choice === "stop" ? action.stop_label : action.label} …`);
  await queue;  // what was decided before counts for it
  try { say((await ask(`act/${action.name}`, choice ? { choice } : {})).said); } catch (error) { say(error.message, true); }
  latest = polls + 1;  // what was asked before shows the state before
  poll();
}
async function report() {
  const before = touches;
  await queue;
  const tables = await ask("report.json").catch((error) => { say(error.message, true); return null; });
  if (!tables || touches !== before) return;  // nothing comes in between who decides
  byId("report-tables").replaceChildren(...tables.flatMap((one) => [make("h2", { textContent: one.title }),
    ...(one.said ? [make("p", { className: one.isAlarm ? "alarm" : "", textContent: one.said })] : []),
    ...(one.rows.length ? [make("table", {}, make("tr", {}, ...one.head.map((text) => make("th", { textContent: text }))),
      ...one.rows.map((row) => make("tr", {}, ...row.map((text) => make("td", { textContent: text })))))] : [])]));
  byId("report").showModal();
}
grid.addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (!tile) return;
  const at = Number(tile.dataset.at);
  if (event.shiftKey) go(at, true);
  else if (event.ctrlKey || event.metaKey || isSelecting) toggle(at);
  else { chosen.clear(); go(at); if (isPhone.matches) show("one"); }
});
grid.addEventListener("dblclick", (event) => { if (event.target.closest(".tile") && !isSelecting) show("one"); });
let touch = null, isDragged = false;
/** While the page is enlarged with two fingers, one finger moves it and turns no page. */
const isPinched = () => visualViewport.scale > 1.05;
visualViewport.addEventListener("resize", () => document.body.classList.toggle("pinched", isPinched()));
for (const pane of [byId("stage"), byId("compare")]) {
  pane.addEventListener("pointerdown", (event) => { touch = event.isPrimary && !isPinched() ? { x: event.clientX, y: event.clientY } : null; });
  pane.addEventListener("pointercancel", () => { touch = null; });
  pane.addEventListener("pointerup", swipe);
}
/** Not with "pointerup": the click that follows a tap would hit the opened zoom, and close it. */
byId("stage").addEventListener("click", (event) => { if (!isDragged) zoom(true, event); });
function swipe(event) {
  if (!touch) return;
  const dx = event.clientX - touch.x, dy = event.clientY - touch.y;
  touch = null;
  isDragged = Math.abs(dx) >= 8 || Math.abs(dy) >= 8;
  if (Math.abs(dx) > 45 && Math.abs(dx) > 1.5 * Math.abs(dy)) (isComparing() ? turnPage : move)(dx < 0 ? 1 : -1);
}

// -- zoom ------------------------------------------------------------------------------------------------------------
function zoom(isOn, event = null) {
  byId("zoom-picture").dataset.key = "";
  byId("zoom").classList.toggle("hidden", !isOn);
  paintZoom(event);
}
/** Show what the keys decide on, wherever these have gone. */
function paintZoom(event = null) {
  const box = byId("zoom"), picture = byId("zoom-picture"), one = current();
  if (!isZoomed() || !one) { box.classList.add("hidden"); wipe(picture); return; }
  if (picture.dataset.key === one.key) return;
  picture.dataset.key = one.key;
  const rect = large.getBoundingClientRect();
  const x = event ? (event.clientX - rect.left) / rect.width : 0.5, y = event ? (event.clientY - rect.top) / rect.height : 0.5;
  const center = () => { box.scrollLeft = (box.scrollWidth - box.clientWidth) * x; box.scrollTop = (box.scrollHeight - box.clientHeight) * y; };
  draw(picture, "picture", one).then((isDrawn) => { if (isDrawn) center(); });
}
byId("zoom").addEventListener("click", () => zoom(false));
const isZoomed = () => !byId("zoom").classList.contains("hidden");

// -- captions ------------------------------------------------------------------------------------------------------------
const side_ = byId("side");
let textKey = "", filled = {}, loading = null, heard = {};
function loadCaptions() { loading = loading || readCaptions().finally(() => { loading = null; }); }
async function readCaptions() {
  heard = {};
  try {
    const reply = await ask("captions.json");
    captions = Object.assign(reply.captions, heard);  // what was heard meanwhile is newer
    prefix = reply.prefix;
    fillFilters();
    paint();
  } catch (error) {
    if (!error.isLasting) { tellCut(error); return; }  // asked for again with the next news
    hasCaptions = false; for (const id of ["captions-open", "tags-open"]) byId(id).classList.add("hidden"); fillFilters(); say(error.message, true);
  }
}
const isSideOpen = () => !side_.classList.contains("hidden");
function openSide(isOn) {
  if (isOn) document.dispatchEvent(new CustomEvent("board-side"));
  if (isOn && captions && current() && !captions[current().key]) loadCaptions();  // staged meanwhile
  side_.classList.toggle("hidden", !isOn);
  byId("captions-open").setAttribute("aria-pressed", isOn);
  if (mode === "grid") layOut();
  textKey = "";
  filled = {};
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
  byId("side-title").textContent = many ? counted(chosen.size, "caption") : one ? one.name : "";
  if (many && previewed && previewed !== wantedOfMany()) unpreview();
  if (many || !one) { textKey = ""; filled = {}; return; }
  const caption = captionOf(one), hand = new Set(caption.added || []);
  const chips = [];
  if (prefix && !caption.line && caption.text) chips.push(make("span", { className: "chip prefix", textContent: prefix }));
  if (!caption.line) for (const tag of caption.tags || []) {
    chips.push(make("span", { className: hand.has(tag) ? "chip hand" : "chip" }, tag,
      make("button", { type: "button", textContent: "×", title: `Remove ${tag}`, "aria-label": `Remove ${tag}`, onclick: () => changeOne(one, { op: "remove", tags: tag }) })));
  }
  for (const tag of caption.removed || []) {
    chips.push(make("span", { className: "chip gone" }, tag,
      make("button", { type: "button", textContent: "+", title: `Restore ${tag}`, "aria-label": `Restore ${tag}`, onclick: () => changeOne(one, { op: "add", tags: tag }) })));
  }
  if (caption.line) chips.push(make("span", { className: "chip hand", textContent: "the whole caption is written by hand" }));
  if (!captions) chips.push(make("span", { className: "soft", textContent: "Reading captions …" }));
  else if (!captions[one.key]) chips.push(make("span", { className: "soft", textContent: "Not staged yet: this picture has no caption." }));
  byId("chips").replaceChildren(...chips);
  const isKnown = Boolean(captions && captions[one.key]);
  for (const id of ["add-tag", "text", "text-save", "text-reset"]) byId(id).disabled = !isKnown;
  byId("text-reset").disabled = !caption.hand;
  if (textKey !== one.key + caption.text) {
    const isTyped = filled.key === one.key && filled.text !== byId("text").value;  // since it was filled or saved
    if (!isTyped) { byId("text").value = caption.text || ""; filled = { key: one.key, text: byId("text").value }; }
    textKey = one.key + caption.text;
  }
  paintTokens();
}
let countingTokens = 0;
const tellTokens = (count, isExact) => {
  byId("tokens").textContent = `${isExact ? "" : "about "}${count} tokens${count > 75 ? `, ${Math.ceil(count / 75)} blocks of 75` : ""}`;
};
function paintTokens() {
  const text = byId("text").value;
  if (text === byId("tokens").dataset.of) return;
  byId("tokens").dataset.of = text;
  tellTokens(tokensOf(text), false);
  clearTimeout(countingTokens);
  if (text) countingTokens = setTimeout(async () => {
    const found = await ask(`tokens.json?q=${encodeURIComponent(text)}`).catch(() => null);
    if (found && byId("text").value === text) tellTokens(...found);
  }, 120);
}
byId("text").addEventListener("input", paintTokens);
const changeOne = (one, change) => send("captions/apply", { keys: [one.key], change }).then((reply) => say(reply.count ? `${one.name}: caption saved` : "Nothing changed."), () => {});
const sideItem = () => (chosen.size === 1 ? byKey.get([...chosen][0]) : current());
byId("add-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const tags = byId("add-tag").value.trim();
  if (tags && sideItem()) { changeOne(sideItem(), { op: "add", tags }); byId("add-tag").value = ""; }
});
function changeText(change) {
  if (!sideItem()) return;
  filled.text = byId("text").value;
  changeOne(sideItem(), change);
}
byId("text-save").onclick = () => changeText({ op: "text", text: byId("text").value });
byId("text-reset").onclick = () => changeText({ op: "reset" });
function changeOfMany() {
  const op = byId("op").value;
  return { op: op === "add-first" ? "add" : op, first: op === "add-first", tags: byId("op-tags").value, by: byId("op-by").value };
}
byId("op").addEventListener("change", () => {
  byId("op-by-label").classList.toggle("hidden", byId("op").value !== "replace");
  byId("op-tags-label").classList.toggle("hidden", byId("op").value === "reset");
  unpreview();
});
let previewed = "";
const wantedOfMany = () => JSON.stringify({ keys: [...chosen], change: changeOfMany() });
function unpreview() { previewed = ""; byId("preview").replaceChildren(); byId("op-apply").disabled = true; }
for (const id of ["op-tags", "op-by"]) byId(id).addEventListener("input", unpreview);
byId("caption-many").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = previewed = wantedOfMany();
  try {
    const reply = await ask("captions/preview", JSON.parse(wanted));
    if (previewed !== wanted) return;  // another change is wanted by now
    const rows = reply.shown.map(([key, before, after]) => make("div", { className: "pair" }, make("strong", { textContent: byKey.get(key).name }), make("div", {}, ...difference(before, after))));
    byId("preview").replaceChildren(make("p", { className: "soft", textContent: `${reply.count} of ${counted(chosen.size, "caption")} would change` }), ...rows);
    byId("op-apply").disabled = !reply.count;
  } catch (error) { if (previewed === wanted) unpreview(); say(error.message, true); }
});
function difference(before, after) {
  const parts = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
  const old = parts(before), now = parts(after), made = [];
  for (const tag of old) if (!now.includes(tag)) made.push(make("del", { textContent: tag }), " ");
  for (const tag of now) made.push(old.includes(tag) ? document.createTextNode(tag) : make("ins", { textContent: tag }), ", ");
  made.pop();
  return made;
}
byId("op-apply").onclick = () => {
  send("captions/apply", JSON.parse(wantedOfMany())).then((reply) => say(`${counted(reply.count, "caption")} changed. Undo restores them.`), () => {});
  unpreview();
};
let completing = 0;
for (const id of ["add-tag", "op-tags", "op-by", "filter-tag"]) byId(id).addEventListener("input", (event) => {
  clearTimeout(completing);
  completing = setTimeout(async () => {
    const text = event.target.value, parts = text.split(","), begun = parts.pop().trim(), head = parts.length ? parts.join(",") + ", " : "";
    if (!begun) return;
    const found = await ask(`complete.json?q=${encodeURIComponent(begun)}`).catch(() => []);
    if (document.activeElement === event.target && event.target.value === text) byId("tags").replaceChildren(...found.map(([tag, count]) => make("option", { value: head + tag, label: count ? `${tag} (${count})` : tag })));
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
  byId("winner").classList.toggle("hidden", !orderOf || !isComparing() || !pairOf(current()));
  byId("select-none").classList.toggle("hidden", !chosen.size);
  byId("select-none").textContent = `Select none (${chosen.size})`;
  for (const button of byId("marks").children) button.setAttribute("aria-pressed", !chosen.size && Boolean(current()?.marks.has(button.dataset.key)));
  paintGrid();
  paintOne();
  paintZoom();
  paintCompare();
  paintOrder();
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
  if (byId("help").open || byId("report").open) return;
  if (isTyping) { if (event.key === "Escape") { event.target.blur(); (mode === "grid" ? grid : byId("stage")).focus(); } return; }
  if (isControl) {
    const letter = event.key.toLowerCase();
    if (letter === "z" && event.shiftKey || letter === "y") turn("redo", "Redone");
    else if (letter === "z") turn("undo", "Undone");
    else if (letter === "a") { for (const at of order) chosen.add(items[at].key); paint(); }
    else return;
    event.preventDefault();
    return;
  }
  if (event.altKey) return;
  const choice = mode !== "order" && choices.find((one) => one.key === event.key.toLowerCase());
  const mark = mode !== "order" && marks.find((one) => one.key === event.key.toLowerCase());
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: mode === "grid" ? -columns : -1, ArrowDown: mode === "grid" ? columns : 1 }[event.key];
  if ((choice || mark) && event.repeat) return;  // held too long: the next picture has not been looked at
  if (choice) decide(choice.value);
  else if (mark) toggleMark(mark);
  else if (step && mode !== "order") move(step, event.shiftKey);
  else if (event.key === " ") { if (event.target.closest("button")) return; zoom(!isZoomed()); }
  else if (event.key === "Enter") { if (event.target.closest("button")) return; show("one"); }
  else if (event.key === "Escape") { if (isZoomed()) zoom(false); else if (chosen.size) { chosen.clear(); paint(); } else show("grid"); }
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(order.length - 1);
  else if (event.key.startsWith("Page") && isComparing()) turnPage(event.key === "PageDown" ? 1 : -1);
  else if (event.key === "PageDown" || event.key === "PageUp") move((event.key === "PageDown" ? 1 : -1) * (mode === "grid" ? columns * Math.max(1, Math.floor(grid.clientHeight / (height + GAP))) : 10));
  else if (event.key === "Delete" || event.key === "Backspace") decide(null);
  else if (event.key === "n" || event.key === "N") nextUndecided();
  else if ((event.key === "c" || event.key === "C") && hasCaptions) openSide(!isSideOpen());
  else if ((event.key === "e" || event.key === "E") && hasCaptions) { if (!isSideOpen()) openSide(true); byId(chosen.size > 1 ? "op-tags" : "add-tag").focus(); }
  else if ((event.key === "t" || event.key === "T") && hasCaptions) byId("tags-open").click();
  else if (event.key === "v" || event.key === "f") show({ v: "two", f: "four" }[event.key]);
  else if (event.key === "w" && orderOf) takeThisOne();
  else if (event.key === "o" && orderOf) show("order");
  else if (event.key === "h" && facets.length) report();
  else if (event.key === "?") byId("help").showModal();
  else return;
  event.preventDefault();
});
for (const each of MODES) byId(`mode-${each}`).onclick = () => show(each);
byId("winner").onclick = takeThisOne;
byId("report-open").onclick = () => report();
byId("report-close").onclick = () => byId("report").close();
byId("undo").onclick = () => turn("undo", "Undone");
byId("redo").onclick = () => turn("redo", "Redone");
byId("help-open").onclick = () => byId("help").showModal();
byId("help-close").onclick = () => byId("help").close();
byId("captions-open").onclick = () => openSide(!isSideOpen());
byId("side-close").onclick = () => openSide(false);
byId("select-none").onclick = () => { chosen.clear(); paint(); };
byId("select-mode").onclick = () => { isSelecting = !isSelecting; byId("select-mode").setAttribute("aria-pressed", isSelecting); if (mode === "one") show("grid"); if (!isSelecting) { chosen.clear(); paint(); } };
byId("filter-open").onclick = () => { const isOpen = byId("filters").classList.toggle("open"); byId("filter-open").setAttribute("aria-expanded", isOpen); layOut(); paint(); };
byId("filters").addEventListener("change", (event) => { if (event.target.tagName !== "SELECT") return; arrange(); event.target.blur(); (mode === "grid" ? grid : byId("stage")).focus(); });
for (const id of ["filter-tag", "filter-name"]) byId(id).addEventListener("input", arrange);
byId("size").addEventListener("input", () => { layOut(); reveal(); paint(); });
addEventListener("resize", () => { layOut(); paint(); });
document.addEventListener("visibilitychange", poll);
addEventListener("beforeunload", (event) => { if (pending.length) event.preventDefault(); });
addEventListener("pagehide", () => keep("place", [current()?.key, mode]));

/** What other scripts of this page use. */
window.board = {
  ask, send, say, make, nameOf: (key) => byKey.get(key)?.name || key, difference,
  layOut: () => { if (mode === "grid") layOut(); paint(); },
  closeSide: () => openSide(false),
  showTag: (tag) => { byId("filter-tag").value = tag; arrange(); },
};

// -- the browser's "back" --------------------------------------------------------------------------------------------------
const panels = ["help", "report"].map(byId);
let wasGrid = false;  // "back" from a picture is the grid, where the person came from it
const lookAtFront = closeOnBack(() => isZoomed() || panels.some((one) => one.open) || wasGrid && mode !== "grid", () => {
  const open = panels.find((one) => one.open);
  if (open) open.close();
  else if (isZoomed()) zoom(false);
  else show("grid");
});
for (const one of [...panels, byId("zoom")]) new MutationObserver(lookAtFront).observe(one, { attributes: true, attributeFilter: ["open", "class"] });

// -- beginning --------------------------------------------------------------------------------------------------------------
async function begin() {
  const reply = await ask("state.json");
  boardId = reply.id;
  choices = reply.choices;
  number = reply.number;
  facts = reply.facts;
  hasCaptions = reply.hasCaptions;
  [marks, facets, orderOf, ordered, actions, nothing] = [reply.marks, reply.facets, reply.orderOf, reply.order, reply.actions, reply.nothing];
  items = reply.items.map((row, at) => { const [value = null, way = ""] = reply.values[row[0]] || []; return { ...itemOf(row), at, value, way, marks: new Set() }; });
  byKey = new Map(items.map((one) => [one.key, one]));
  items.forEach(notePair);
  reply.marked.forEach((keys, at) => { for (const key of keys) if (byKey.has(key)) setMark(byKey.get(key), marks[at].key, true); });
  pending = (kept("pending") || []).concat(pending);
  keepPending();
  showPending();
  document.title = `${reply.title}: board`;
  byId("title").textContent = reply.title;
  byId("choices").replaceChildren(...choices.map((one, at) => {
    const button = make("button", { type: "button", className: `choice ${one.is_out ? "is-out" : "v" + at}`, "aria-pressed": "false", "aria-keyshortcuts": one.key, onclick: () => decide(one.value) }, make("kbd", { textContent: one.key }), one.label);
    button.dataset.value = one.value;
    return button;
  }));
  byId("marks").replaceChildren(...marks.map((one) => {
    const button = make("button", { type: "button", className: "choice", "aria-pressed": "false", "aria-keyshortcuts": one.key, onclick: () => toggleMark(one) }, make("kbd", { textContent: one.key }), one.label);
    button.dataset.key = one.key;
    return button;
  }));
  byId("facet-labels").replaceChildren(...facets.map((name, at) => make("label", {}, name, " ", make("select", { id: `facet-${at}` }, make("option", { value: "", textContent: "all" })))));
  for (const each of ["winner-key", "winner-words"]) byId(each).classList.toggle("hidden", !orderOf);
  byId("mode-order").classList.toggle("hidden", !orderOf);
  for (const each of ["sharp", "blurred", "alike"]) byId("sort").querySelector(`[value="${each}"]`).hidden = facets.length > 0;
  byId("sort").querySelector('[value="name"]').textContent = facets.length ? "as they came" : "name";
  for (const each of ["facet", "framing"]) byId("sort").querySelector(`[value="${each}"]`).hidden = !facets.length;
  if (facets.length) byId("sort").querySelector('[value="facet"]').textContent = facets[0].toLowerCase();
  byId("status").classList.toggle("hidden", !facets.length);
  byId("facts-box").classList.toggle("hidden", !facets.length);
  byId("actions").replaceChildren(...actions.map((one) => {
    if (one.choices.length) {
      const rows = one.choices.map((each) => make("option", { value: each, textContent: each }));
      return make("select", { title: one.title, "aria-label": one.label, onchange() { start(one, this.value); this.value = ""; } }, make("option", { value: "", textContent: `${one.label} …` }), ...rows);
    }
    const stop = (button) => button.textContent === one.stop_label ? "stop" : undefined;
    return make("button", { type: "button", textContent: one.label, title: one.title, "aria-pressed": "false", onclick(event) { if (event.detail < 2) start(one, stop(this)); } });  // a double click starts and does not stop
  }));
  paintStatus(reply.status);
  byId("keys").prepend(...[...choices, ...marks].flatMap((one) => [make("dt", {}, make("kbd", { textContent: one.key })), make("dd", { textContent: one.label })]));
  for (const id of ["captions-open", "tags-open"]) byId(id).classList.toggle("hidden", !hasCaptions);
  fillFilters();
  paintTwins();
  arrange();
  const [key, place] = kept("place") || [], at = order.findIndex((index) => items[index].key === key);
  if (at > 0) go(at);
  show(["one", "grid"].includes(place) ? place : "grid");
  byId("note").textContent = reply.note;
  byId("note").classList.toggle("hidden", !reply.note);
  document.body.dataset.ready = "true";
  sendAll();
  if (hasCaptions) loadCaptions();
  setInterval(poll, POLL_MILLISECONDS);
}
begin().catch((error) => say(error.message, true));
})();
