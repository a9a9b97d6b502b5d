// The run's figures as the page carries them, what the reader has chosen, and how numbers are written.

const DATA = JSON.parse(document.getElementById("run-data").textContent);
const CELLS = DATA.cells.map((cell, index) => ({ ...cell, index, title: shown(cell.title), color: `var(--hue-${cell.hue})` }));
const PARTS = ["All subtasks", ...DATA.subtasks.map(shown)];
const state = { part: 0, chosen: new Set(CELLS.map((cell) => cell.index)) };

const byId = (id) => document.getElementById(id);
const figuresOf = (part, cell) => DATA.figures[part][cell.index];

/** The chosen cells whose figures, in the chosen part, hold something. */
function chosenCells(holds) {
  return CELLS.filter((cell) => state.chosen.has(cell.index) && (!holds || holds(figuresOf(state.part, cell), cell)));
}

const fixed = (value, digits = 2) => (value == null ? "–" : value.toFixed(digits).replace("-", "−"));
const times = (value) => (value == null ? "–" : `${value.toFixed(2)}×`);
const percent = (value, digits = 0) => (value == null ? "–" : `${(100 * value).toFixed(digits)} %`);
const signed = (value) => (value == null ? "–" : (value > 0 ? "+" : "") + fixed(value, 3));

function interval(figures, key, digits = 2) {
  const low = figures[`${key}_low`], high = figures[`${key}_high`];
  if (low == null || high == null) return "";
  return `${fixed(low, digits)}${low < 0 || high < 0 ? " to " : "–"}${fixed(high, digits)}`;
}

/** An element with attributes and children; text is only ever set as text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}
