// Charts that redraw when the reader chooses or the page is resized, and rows with labels that fit at any width.

const charts = [];
const NARROW = 460;

/** Register a chart: `draw(width)` gives its nodes, or a sentence that says why there is nothing to draw. */
function chart(id, draw) {
  const box = byId(id);
  if (!box) return;
  charts.push({ box, draw, width: 0 });
}

function drawChart(entry) {
  const width = Math.floor(entry.box.clientWidth);
  if (width < 1) return;
  entry.width = width;
  const drawn = entry.draw(width);
  const nodes = typeof drawn === "string" ? [make("p", { class: "note" }, drawn)] : [drawn].flat();
  entry.box.replaceChildren(...nodes);
}

const drawCharts = () => charts.forEach(drawChart);

function watchWidths() {
  const watcher = new ResizeObserver(() => {
    requestAnimationFrame(() => charts.forEach((entry) => {
      if (Math.abs(Math.floor(entry.box.clientWidth) - entry.width) > 1) drawChart(entry);
    }));
  });
  charts.forEach((entry) => watcher.observe(entry.box));
}

/** A chart by Plot in the page's type, as one image with a name for those who hear it. */
function plot(label, options) {
  const drawn = Plot.plot({
    style: { background: "none", color: "var(--ink)", fontSize: "13px", fontFamily: "var(--sans)", overflow: "visible" },
    ...options,
  });
  // The image has one name; Plot's names for its groups would be for nobody, and are kept for whoever looks for marks.
  for (const group of drawn.querySelectorAll("[aria-label]")) {
    group.dataset.mark = group.getAttribute("aria-label");
    group.removeAttribute("aria-label");
  }
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", label);
  return drawn;
}

const pen = document.createElement("canvas").getContext("2d");

/** The width of a text in a chart, in pixels. */
function widthOf(text, weight = 400) {
  pen.font = `${weight} 13px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}

/** A text in lines no wider than `most` pixels, broken at spaces and, where a word is wider than that, within it. */
function wrapped(text, most, weight = 400) {
  const lines = [""];
  for (let word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (widthOf(longer, weight) <= most) {
      lines[lines.length - 1] = longer;
      continue;
    }
    if (lines.at(-1)) lines.push("");
    for (const character of word) {
      if (widthOf(lines.at(-1) + character, weight) > most) lines.push("");
      lines[lines.length - 1] += character;
    }
  }
  return lines;
}

const LINE = 15;

/**
 * Where the labels of rows stand: beside them if they fit into a third of the width, else above each row, in as many
 * lines as it takes. `right` is the room for figures at the end of a row; above a row they give way to a long label.
 */
function layoutRows(labels, width, { right = 0, beside = 24, above = 36 } = {}) {
  const need = Math.max(0, ...labels.map((label) => widthOf(label))) + 14;
  if (width >= NARROW && need <= width / 3) {
    return { width, stacked: false, figures: true, lines: 1, left: Math.max(need, 60), right: right + 12, step: beside };
  }
  const lines = Math.max(1, ...labels.map((label) => wrapped(label, width - 24).length));
  return { width, stacked: true, figures: need + right <= width - 24, lines, left: 8, right: 16, step: above + (lines - 1) * (LINE + 8) };
}

/** The marks that name rows: heads in bold, labels, and figures at the right where there is room. */
function rowNames(rows, place, { figures = () => "" } = {}) {
  const heads = rows.filter((row) => row.head), others = rows.filter((row) => !row.head);
  const above = { lineAnchor: "bottom", dy: -7 };
  const common = { y: "key", stroke: "var(--ground)", strokeWidth: 4 };
  const start = { ...common, frameAnchor: "left", textAnchor: "start", fill: "var(--ink)", dx: place.stacked ? 0 : -place.left };
  const end = { ...common, frameAnchor: "right", textAnchor: "end", fill: "var(--soft)", fontVariant: "tabular-nums", dx: place.stacked ? 0 : place.right };
  const most = place.width - 24;
  return [
    Plot.text(heads, { ...start, text: ({ name }) => (widthOf(name, 600) > most ? `${wrapped(name, most - 14, 600)[0]}…` : name), dy: 4, fontWeight: 600 }),
    Plot.text(others, { ...start, text: ({ name }) => (place.stacked ? wrapped(name, most).join("\n") : name), ...(place.stacked ? above : {}) }),
    place.figures ? Plot.text(others, { ...end, text: figures, ...(place.stacked ? above : {}) }) : [],
  ];
}

/** Where the bars of rows stand within their bands, `thick` pixels high: in the middle, or right below the label. */
function barInsets({ stacked, step }, thick) {
  const top = stacked ? step / 2 - 2 : (step - thick) / 2;
  return { insetTop: top, insetBottom: step - top - thick };
}

const rowScale = (rows) => ({ type: "band", domain: rows.map((row) => row.key), axis: null, padding: 0 });

/** Small charts side by side, one for each item, with scales that `draw(item, width)` must keep alike. */
function panels(items, width, { least = 210, gap = 24 }, head, draw) {
  const count = Math.max(1, Math.min(items.length, Math.floor((width + gap) / (least + gap))));
  const each = Math.floor((width - gap * (count - 1)) / count);
  const box = make("div", { class: "panels", style: `grid-template-columns: repeat(${count}, minmax(0, 1fr))` });
  for (const item of items) {
    const [name, detail] = head(item);
    box.append(make("div", { class: "panel" }, make("h4", {}, name, make("small", {}, detail)), draw(item, each)));
  }
  return box;
}

/** A legend: a name for each fill, in words. */
function keys(entries) {
  const box = make("p", { class: "keys" });
  for (const [name, fill, edge] of entries) {
    box.append(make("span", {}, make("i", { style: `background:${fill};border-color:${edge}` }), name));
  }
  return box;
}

/** The line above a chart that shows one part alone. */
const partLine = () => make("p", { class: "keys" }, PARTS[state.part]);

/** Round ticks for ratios on a logarithmic scale: the finest even steps that the crowded end has room for. */
function ratioTicks(low, high, width) {
  const unit = width / Math.log(high / low);
  const step = [0.05, 0.1, 0.2, 0.25, 0.5].find((size) => high > size && unit * Math.log(high / (high - size)) >= 44);
  const even = (size) => Array.from({ length: Math.floor(high / size) }, (_, i) => Math.round((i + 1) * size * 100) / 100);
  const wanted = step && step < 0.5 ? even(step) : [1, 2, 0.5, 4, 0.25, 8, 0.125, 16, 32, 1.5, 3, 6];
  const chosen = [];
  for (const tick of wanted.filter((value) => value >= low && value <= high)) {
    if (chosen.every((other) => unit * Math.abs(Math.log(tick / other)) >= 36)) chosen.push(tick);
  }
  return chosen.sort((a, b) => a - b);
}
