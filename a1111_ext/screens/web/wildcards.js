"use strict";
const of = (id) => document.getElementById(id);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
let stamp = "", opened = "", isChanged = false, asked = {}, timer = 0, files = Promise.resolve();

async function ask(path, data) {
  const answer = await fetch(path, data === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function say(sentence, isError = false) {
  of("said").textContent = sentence;
  of("said").className = isError ? "error" : "";
}

function guard(action) {
  return () => action().catch((error) => say(error.message, true));
}

/* Only the answer to the latest question counts. */
async function latest(key, path, data) {
  const number = asked[key] = (asked[key] || 0) + 1;
  const answer = await ask(path, data);
  return number === asked[key] ? answer : null;
}

/* Files are opened and saved one after another, in the order of the clicks. */
function inTurn(action) {
  const done = files.then(action);
  files = done.catch(() => {});
  return done;
}

function fill(list, rows, make) {
  list.replaceChildren(...rows.map((row) => {
    const line = document.createElement("li");
    make(line, row);
    return line;
  }));
}

async function search() {
  const found = await latest("names", "names", { words: of("search").value });
  if (!found) return;
  const { names, total } = found;
  of("count").textContent = (names.length < total ? `${names.length} of ` : "") + counted(total, "name");
  fill(of("names"), names, (line, [name, file]) => {
    const button = document.createElement("button");
    button.textContent = name;
    button.title = file;
    button.onclick = guard(async () => {
      of("template").value = `__${name}__`;
      await Promise.all([draw(), inTurn(() => file !== opened && open(file))]);
    });
    line.append(button);
  });
}

async function draw() {
  const seed = Number(of("seed").value);
  const found = await latest("draw", "draw", { template: of("template").value, seed });
  if (!found) return;
  fill(of("draws"), found.prompts, (line, [used, text]) => { line.value = used; line.textContent = text; });
  fill(of("hints"), found.hints, (line, [severity, text]) => { line.className = severity; line.textContent = text; });
  if (found.problem) fill(of("draws"), [found.problem], (line, text) => { line.textContent = text; });
}

const mayDiscard = () => !isChanged || confirm("Discard the changes that are not saved?");

async function open(file) {
  if (!mayDiscard()) return;
  const before = of("text").value;
  const found = await ask("open", { file });
  if (of("text").value !== before && !mayDiscard()) return;
  of("file").value = opened = found.file;
  of("text").value = found.text;
  stamp = found.stamp;
  isChanged = false;
  say(stamp ? `${opened} is open.` : `${opened} is a new file.`);
  await lint();
}

async function lint() {
  const found = await latest("lint", "lint", { file: of("file").value, text: of("text").value });
  if (!found) return;
  fill(of("findings"), found.findings, (line, [severity, text]) => {
    line.className = severity;
    line.textContent = text;
  });
}

async function save() {
  const file = of("file").value;
  const sent = of("text").value;
  const found = await ask("save", { file, text: sent, stamp: file === opened ? stamp : "" });
  stamp = found.stamp;
  opened = file;
  isChanged = of("text").value !== sent;
  say(`${file} is saved.`);
  await search();
}

of("search").oninput = guard(search);
of("draw").onclick = guard(draw);
of("open").onclick = guard(() => {
  const file = of("file").value;
  return inTurn(() => open(file));
});
of("save").onclick = guard(() => inTurn(save));
of("text").oninput = () => {
  isChanged = true;
  clearTimeout(timer);
  timer = setTimeout(guard(lint), 250);
};
guard(search)();
