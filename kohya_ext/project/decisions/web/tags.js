"use strict";
/* Imbue or extract: per tag, whether it stays promptable or becomes part of the trigger word. */
(() => {
const { ask, send, say, make, nameOf, difference, layOut, closeSide, showTag } = window.board;
const byId = (id) => document.getElementById(id);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
const panel = byId("fates"), MOST_ROWS = 400;
let tagState = null, pending = null, loads = 0, previews = 0;
const isOpen = () => !panel.classList.contains("hidden");

async function load() {
  const turn = ++loads;
  try {
    const reply = await ask("tags.json");
    if (turn !== loads) return;  // asked for again meanwhile
    tagState = reply;
  } catch (error) { say(error.message, true); return; }
  const select = byId("fates-preset"), before = select.value;
  select.replaceChildren(make("option", { value: "", textContent: "Preset or your own list" }),
    ...tagState.presets.map((one) => make("option", { value: one.name, textContent: one.name, title: one.about })));
  select.value = tagState.presets.some((one) => one.name === before) ? before : "";
  byId("fates-which").options[1].textContent = `part of ${tagState.word}`;
  paint();
}
function open(isOn) {
  panel.classList.toggle("hidden", !isOn);
  byId("tags-open").setAttribute("aria-pressed", isOn);
  if (isOn) { closeSide(); if (tagState) paint(); load(); }
  layOut();
}
function paint() {
  const sinking = tagState.rows.filter(([, , value]) => value === "imbue").length;
  byId("fates-count").textContent = `${counted(tagState.rows.length, "tag")}, ${sinking} part of ${tagState.word}`;
  const preset = tagState.presets.find((one) => one.name === byId("fates-preset").value);
  byId("fates-about").textContent = preset
    ? `${preset.name}: ${preset.about}. Of this set's tags, part of ${tagState.word}: ${preset.imbue.length}; promptable: ${Object.keys(preset.values).length - preset.imbue.length}.`
    : `A tag in the captions stays promptable. A removed tag becomes part of ${tagState.word}: the trigger word alone brings it.`;
  const find = byId("fates-find").value.trim().toLowerCase(), which = byId("fates-which").value;
  const rows = tagState.rows.filter(([tag, , value, way]) => (!find || tag.toLowerCase().includes(find)) && (!which || value === which || way === which));
  byId("fates-rows").replaceChildren(...rows.slice(0, MOST_ROWS).map(rowOf),
    ...(rows.length > MOST_ROWS ? [make("p", { className: "soft", textContent: `${rows.length - MOST_ROWS} more tags: use the search above.` })] : []),
    ...(rows.length ? [] : [make("p", { className: "soft", textContent: tagState.rows.length ? "No tag matches." : "No tags yet: tag the pictures first." })]));
}
function rowOf([tag, pictures, value, way]) {
  const choice = (wanted, label, title) => make("button", { type: "button", textContent: label, title, "aria-pressed": String(value === wanted),
    onclick: () => decide({ [tag]: wanted }, tag) });
  const row = make("div", { className: value === "imbue" ? "fate sunk" : "fate" },
    make("button", { type: "button", className: "tag", textContent: tag, title: `Show the pictures with ${tag}`, onclick: () => showTag(tag) }),
    make("span", { className: "soft count", textContent: `${pictures} of ${tagState.pictures}`, title: way === "hand" ? "decided by hand" : way === "manifest" ? "by captions.undesired_tags in the manifest" : "not decided" }),
    make("span", { className: "pair" }, choice("extract", "promptable", `${tag} stays in the captions and is promptable`), choice("imbue", `in ${tagState.word}`, `${tag} is removed from the captions and becomes part of ${tagState.word}`)));
  row.dataset.tag = tag;
  if (way === "hand") row.append(make("button", { type: "button", className: "back", textContent: "×", title: "Remove the decision", "aria-label": `Remove the decision on ${tag}`, onclick: () => decide({ [tag]: null }, tag) }));
  return row;
}
async function decide(values, name) {
  forget();
  try {
    const answer = await send("tags/apply", { values });
    say(answer.count ? `${name}: captions updated; Undo reverts it.` : "Nothing changed.");
  } catch { /* said already */ }
}
function forget() { previews += 1; pending = null; byId("fates-shown").replaceChildren(); byId("fates-apply").disabled = true; }
byId("fates-preview").onclick = async () => {
  const preset = tagState && tagState.presets.find((one) => one.name === byId("fates-preset").value);
  if (!preset) { say("Choose a preset first."); return; }
  if (!Object.keys(preset.values).length) { forget(); byId("fates-shown").append(make("p", { className: "soft", textContent: `No tag of this set is in the preset ${preset.name}.` })); return; }
  const turn = ++previews;
  try {
    const found = await ask("tags/preview", { values: preset.values });
    if (turn !== previews) return;  // another one is wanted by now
    pending = preset;
    byId("fates-apply").disabled = !found.count;
    byId("fates-shown").replaceChildren(make("p", { className: "soft", textContent: `${counted(found.count, "caption")} would change` }),
      ...found.shown.slice(0, 3).map(([key, before, after]) => make("div", { className: "pair-shown" }, make("strong", { textContent: nameOf(key) }), make("div", {}, ...difference(before, after)))));
  } catch (error) { if (turn === previews) forget(); say(error.message, true); }
};
byId("fates-apply").onclick = () => { if (pending) decide(pending.values, pending.name); };
byId("fates-preset").addEventListener("change", () => { forget(); if (tagState) paint(); });
for (const id of ["fates-find", "fates-which"]) byId(id).addEventListener("input", () => { if (tagState) paint(); });
byId("tags-open").onclick = () => open(!isOpen());
byId("fates-close").onclick = () => open(false);
document.addEventListener("board-side", () => { if (isOpen()) open(false); });
document.addEventListener("board-tags", () => { if (isOpen()) load(); });
})();
