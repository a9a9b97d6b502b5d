// The answers: each prompt with what every chosen method wrote, token by token.

const PER_PAGE = 8;
const MOST_SIDES = 8;
const TASKS = DATA.browser.tasks.map((task) => ({ ...task, base: task.answers.find(({ cell }) => CELLS[cell].baseline) }));
const look = { page: 0, words: "", differs: false, fallen: false, wide: new Set() };

const piecesOf = (task, answer) => answer.pieces ?? task.base?.pieces ?? [];
const sidesOf = (task) => task.answers.filter(({ cell }) => state.chosen.has(cell));

/** Whether an answer is plain decoding's over again, token by token, so that one text stands for both. */
const isTwin = (task, answer) => task.base && answer !== task.base && state.chosen.has(task.base.cell) && !answer.rounds && !answer.pieces;

/** Each token's kind, whether it begins a round, and the guesses that fell before it. */
function kindsOf(answer, count) {
  const kinds = [];
  let taken = 0;
  for (let i = 0; answer.rounds && i < answer.rounds.length; i += 3) {
    const [drafted, accepted, emitted] = answer.rounds.slice(i, i + 3);
    for (let place = 0; place < emitted; place++) {
      const kind = place < accepted ? "accepted" : drafted === 0 ? "plain" : accepted < drafted ? "corrected" : "bonus";
      const fallen = kind === "corrected" ? answer.rejected.slice(taken, taken + drafted - accepted) : [];
      taken += fallen.length;
      kinds.push({ kind, fallen, first: place === 0, round: i / 3 + 1 });
    }
  }
  while (kinds.length < count) kinds.push({ kind: "plain", fallen: [], first: false, round: kinds.length + 1 });
  return kinds;
}

const SAID = { accepted: "drafted and accepted", corrected: "the target’s, in place of a rejected guess", bonus: "the target’s, after a draft that stood in full", plain: "plain" };

function fellNode(fallen) {
  const count = `${fallen.length}✕`;
  const title = `${fallen.length} drafted ${fallen.length === 1 ? "token" : "tokens"} fell here`;
  if (!look.fallen) return make("span", { class: "fell", title }, count);
  const texts = fallen.flatMap((id) => (DATA.browser.pieces[id] == null ? [` #${id}`] : textNodes(DATA.browser.pieces[id])));
  return make("span", { class: "fell", title: `${title}; #n is an id whose text is in no answer here` }, `${count} `, make("del", {}, ...texts));
}

function writtenNode(task, answer) {
  const pieces = piecesOf(task, answer);
  const kinds = kindsOf(answer, pieces.length);
  const box = make("div", { class: "written", dir: "auto" });
  pieces.forEach((piece, i) => {
    const { kind, fallen, first, round } = kinds[i];
    if (fallen.length) box.append(fellNode(fallen));
    if (answer.differs === i) box.append(make("span", { class: "parts-here", title: `the first token that is not AS’s, number ${i + 1}` }, "≠"));
    const drafts = answer.rounds != null, begins = drafts && (first || fallen.length > 0) && i > 0;
    // The space before a token that begins something stands before its ground, so that it shows as a gap.
    const space = begins || i === 0 ? piece.match(/^ +(?=\S)/)?.[0] ?? "" : "";
    if (i > 0) box.append(space);
    const token = piece === "" ? [endMark(i, pieces, answer)] : textNodes(piece.slice(space.length));
    box.append(make("span", { class: `t ${kind}${begins && !space && !fallen.length ? " first" : ""}`, title: drafts ? `token ${i + 1}, round ${round}: ${SAID[kind]}` : null }, ...token));
  });
  if (answer.differs === pieces.length) box.append(make("span", { class: "parts-here", title: "AS goes on here" }, "≠ ends"));
  const cut = answer.pieces ? answer.cut : task.base?.cut;
  if (cut) box.append(make("span", { class: "says" }, ` … ${cut.toLocaleString("en")} more tokens are left out`));
  return box;
}

/** A token without text of its own: the end of the text, or part of a character. */
const endMark = (i, pieces, answer) => make("span", { class: "odd" }, i === pieces.length - 1 && answer.finish !== "length" ? "end" : "·");

function sideNode(task, answer) {
  const cell = CELLS[answer.cell];
  const says = [`${piecesOf(task, answer).length + ((answer.pieces ? answer.cut : task.base?.cut) ?? 0)} tokens`];
  if (answer.rounds) says.push(`${answer.rounds.length / 3} passes`);
  if (answer.score != null) says.push(`score ${fixed(answer.score)}`);
  if (answer.finish !== "eos") says.push(answer.finish === "length" ? "cut at the limit" : shown(answer.finish));
  const line = make("p", { class: "says" }, says.join(" · "));
  const twins = answer === task.base ? sidesOf(task).filter((other) => isTwin(task, other)).map((other) => CELLS[other.cell].title) : [];
  if (task.base && answer !== task.base) {
    line.append(" · ", answer.differs == null ? "same as AS" : make("b", {}, `differs from token ${answer.differs + 1} on`));
  }
  return make("div", { class: "side", "data-hue": cell.hue }, make("h4", {}, [cell.title, ...twins].join(" and ")), line, writtenNode(task, answer));
}

function taskNode(task) {
  const all = sidesOf(task).filter((answer) => !isTwin(task, answer));
  const sides = look.wide.has(task) ? all : all.slice(0, MOST_SIDES);
  const turn = task.turn ? `turn ${task.turn + 1}` : null;
  const head = make("h3", {}, make("bdi", {}, shown(task.id)), make("small", {}, [PARTS[task.part], turn].filter(Boolean).join(", ")));
  const cut = task.cut ? ` … ${task.cut.toLocaleString("en")} more characters are left out` : "";
  const node = make("article", { class: "task" }, head, make("p", { class: "prompt", dir: "auto", tabindex: task.prompt.length > 600 ? 0 : null }, ...textNodes(task.prompt), cut));
  if (task.reference) node.append(make("p", { class: "reference", dir: "auto" }, "Reference: ", ...textNodes(task.reference)));
  node.append(make("div", { class: "sides" }, ...sides.map((answer) => sideNode(task, answer))));
  if (all.length > sides.length) node.append(moreSides(task, all.length - sides.length));
  return node;
}

function moreSides(task, left) {
  const button = make("button", { type: "button" }, `Show ${left} more cells`);
  button.addEventListener("click", () => {
    look.wide.add(task);
    drawBrowser();
  });
  return make("p", { class: "note" }, button);
}

function matches(task) {
  if (state.part && task.part !== state.part) return false;
  if (look.differs && !sidesOf(task).some(({ differs }) => differs != null)) return false;
  if (!look.words) return true;
  const texts = [task.id, task.prompt, task.reference ?? "", ...sidesOf(task).map((answer) => piecesOf(task, answer).join(""))];
  return texts.some((text) => text.toLowerCase().includes(look.words));
}

function countLine(found) {
  const { tasks, total } = DATA.browser;
  if (!tasks.length) return "The run holds no answer yet.";
  const left = total - tasks.length;
  const carried = left > 0 ? ` This page carries ${tasks.length.toLocaleString("en")} of the run’s ${total.toLocaleString("en")}, the first of each subtask, to stay small; checks.jsonl holds all.` : "";
  const noun = tasks.some(({ turn }) => turn) ? "turns" : "prompts";
  return `${found.toLocaleString("en")} of ${tasks.length.toLocaleString("en")} ${noun} match.${carried}`;
}

function drawBrowser() {
  const found = TASKS.filter(matches);
  const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
  look.page = Math.min(look.page, pages - 1);
  const from = look.page * PER_PAGE;
  byId("browser-count").textContent = countLine(found.length);
  byId("browser").replaceChildren(...found.slice(from, from + PER_PAGE).map(taskNode));
  byId("pager").hidden = pages < 2;
  byId("page-place").textContent = `page ${look.page + 1} of ${pages}`;
  byId("back").disabled = look.page === 0;
  byId("next").disabled = look.page === pages - 1;
}

function turnPage(by) {
  look.page += by;
  drawBrowser();
  byId("answers").scrollIntoView();
}
