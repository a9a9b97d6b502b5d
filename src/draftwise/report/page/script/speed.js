// Speed-up by subtask as a forest of intervals, and quality against speed.

const MANY = 90;
const UNSPLIT = "Nothing to compare: a speed-up needs plain decoding among the measured cells, and another cell among the chosen ones.";

function speedRows() {
  const parts = state.part ? [0, state.part] : PARTS.map((_, part) => part);
  const rowsOf = (part) => chosenCells((_, cell) => figuresOf(part, cell).speedup != null)
    .map((cell) => ({ key: `${part}/${cell.index}`, name: cell.title, cell, figures: figuresOf(part, cell) }));
  const full = parts.map((part) => ({ part, rows: rowsOf(part) })).filter(({ rows }) => rows.length);
  const few = full.reduce((sum, { rows }) => sum + rows.length, 0) <= MANY || state.everyPart;
  const kept = few ? full : full.slice(0, state.part ? 2 : 1);
  const rows = kept.flatMap(({ part, rows }) => [{ key: `${part}`, name: PARTS[part], head: true }, ...rows]);
  return { rows, left: full.length - kept.length };
}

function drawSpeed(width) {
  const { rows, left } = speedRows();
  const shownRows = rows.filter((row) => !row.head);
  if (!shownRows.length) return UNSPLIT;
  const place = layoutRows(shownRows.map((row) => row.name), width, { right: 118 });
  const low = Math.min(0.95, ...shownRows.map(({ figures }) => figures.speedup_low ?? figures.speedup));
  const high = Math.max(1.05, ...shownRows.map(({ figures }) => figures.speedup_high ?? figures.speedup));
  const domain = [low / 1.04, high * 1.04];
  const ticks = ratioTicks(...domain, width - place.left - place.right);
  const axis = { ticks, tickFormat: (tick) => `${tick}×`, tickSize: 0, label: null, fontVariant: "tabular-nums" };
  const said = ({ figures }) => `${times(figures.speedup)}  ${interval(figures, "speedup")}`;
  const drawn = plot("Speed-up of each cell by subtask, with 95 % intervals and a line at 1", {
    width, marginLeft: place.left, marginRight: place.right, marginTop: 26, marginBottom: 34,
    height: 60 + rows.length * place.step,
    x: { type: "log", domain }, y: rowScale(rows),
    marks: [
      Plot.gridX(ticks, { stroke: "var(--grid)", strokeOpacity: 1 }),
      Plot.axisX({ ...axis, anchor: "top" }),
      Plot.axisX({ ...axis, anchor: "bottom", label: "speed-up against plain decoding (log scale) →", labelAnchor: "right" }),
      Plot.ruleX([1], { stroke: "var(--ink)", strokeWidth: 1.25 }),
      Plot.ruleY(shownRows.filter(({ figures }) => figures.speedup_low != null), { y: "key", x1: (row) => row.figures.speedup_low, x2: (row) => row.figures.speedup_high, stroke: (row) => row.cell.color, strokeWidth: 2.25 }),
      Plot.dot(shownRows, {
        y: "key", x: (row) => row.figures.speedup, r: 4.5, symbol: (row) => row.cell.shape, stroke: (row) => row.cell.color, strokeWidth: 1.75,
        fill: (row) => (["faster", "slower"].includes(row.figures.verdict) ? row.cell.color : "var(--ground)"),
        title: (row) => `${row.name}\n${said(row)}\n${row.figures.verdict ?? ""}`, tip: { anchor: "bottom" },
      }),
      ...rowNames(rows, place, { figures: said }),
    ],
  });
  return left ? [drawn, moreParts(left)] : drawn;
}

function moreParts(left) {
  const button = make("button", { type: "button" }, `Show the other ${left} subtasks`);
  button.addEventListener("click", () => {
    state.everyPart = true;
    drawCharts();
  });
  return make("p", { class: "note" }, button);
}

/** Change of quality by speed-up; without a baseline the score by the rate. */
function drawQuality(width) {
  const paired = chosenCells((own) => own.quality_change != null && own.speedup != null);
  if (paired.length) return qualityPlot(width, paired, "speedup", "quality_change");
  const alone = chosenCells((own) => own.quality != null && own.tokens_per_second != null);
  if (alone.length) return qualityPlot(width, alone, "tokens_per_second", "quality");
  return "Nothing says what the speed costs: the prompts have no references, or no chosen cell was measured.";
}

function qualityPlot(width, cells, across, up) {
  const paired = across === "speedup";
  const points = cells.map((cell) => ({ cell, own: figuresOf(state.part, cell) }));
  const at = (key, end = "") => ({ own }) => own[key + end] ?? own[key];
  const few = points.length <= 8;
  const high = width < NARROW ? 320 : 400;
  const said = ({ cell, own }) => `${cell.title}\n${paired ? `speed-up ${times(own.speedup)}` : `${fixed(own.tokens_per_second, 1)} tokens/s`} (${interval(own, across)})\n${paired ? `change of quality ${signed(own.quality_change)}` : `quality ${fixed(own.quality, 3)}`} (${interval(own, up, 3)})`;
  const ys = points.flatMap((point) => [at(up, "_low")(point), at(up, "_high")(point)]).concat(paired ? [0] : []);
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)];
  const room = Math.max((top - bottom) * 0.15, 0.02);
  const xs = points.flatMap((point) => [at(across, "_low")(point), at(across, "_high")(point)]).concat(paired ? [1] : []);
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const wide = Math.max((last - first) * 0.1, paired ? 0.05 : 1);
  const labels = placeLabels(points, at(across), at(up), [first - wide, last + wide], [bottom - room, top + room], width - 80, high - 70);
  const drawn = plot("Quality against speed of each cell, with 95 % intervals", {
    width, height: high, marginLeft: 56, marginRight: 24, marginTop: 28, marginBottom: 42,
    x: { domain: [first - wide, last + wide], label: paired ? "speed-up against plain decoding →" : "tokens/s →", labelAnchor: "right", tickFormat: paired ? (tick) => `${tick}×` : undefined, ticks: Math.max(3, Math.floor(width / 90)), tickSize: 0 },
    y: { domain: [bottom - room, top + room], label: paired ? "↑ change of quality against AS" : "↑ quality", labelAnchor: "top", ticks: 5, tickSize: 0, tickFormat: (tick) => (paired && tick > 0 ? "+" : "") + String(Number(tick.toFixed(4))).replace("-", "−") },
    marks: [
      Plot.gridX({ stroke: "var(--grid)", strokeOpacity: 1 }), Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
      paired ? [Plot.ruleX([1], { stroke: "var(--ink)" }), Plot.ruleY([0], { stroke: "var(--ink)" })] : [],
      ...labels,
      Plot.ruleY(points, { y: at(up), x1: at(across, "_low"), x2: at(across, "_high"), stroke: ({ cell }) => cell.color, strokeWidth: 1.5, strokeOpacity: few ? 1 : 0.55 }),
      Plot.ruleX(points, { x: at(across), y1: at(up, "_low"), y2: at(up, "_high"), stroke: ({ cell }) => cell.color, strokeWidth: 1.5, strokeOpacity: few ? 1 : 0.55 }),
      Plot.dot(points, { x: at(across), y: at(up), r: 5, symbol: ({ cell }) => cell.shape, fill: ({ cell }) => (cell.floor ? "var(--ground)" : cell.color), stroke: ({ cell }) => cell.color, strokeWidth: 1.75, title: said, tip: true }),
    ],
  });
  return [partLine(), drawn];
}

/** Names beside points, those left out that would lie on another name; the tips and the table hold them all. */
function placeLabels(points, x, y, across, up, width, height) {
  const acrossOf = (point) => ((x(point) - across[0]) / (across[1] - across[0])) * width;
  const down = (point) => (1 - (y(point) - up[0]) / (up[1] - up[0])) * height;
  const taken = points.map((point) => ({ from: acrossOf(point) - 6, to: acrossOf(point) + 6, top: down(point) - 6, bottom: down(point) + 6 }));
  const marks = [];
  for (const point of points) {
    const left = acrossOf(point), top = down(point);
    const size = widthOf(point.cell.title, 600);
    const fits = [[9, -12, "start"], [-9, -12, "end"], [9, 14, "start"], [-9, 14, "end"], [12, 0, "start"], [-12, 0, "end"]].find(([dx, dy, anchor]) => {
      const from = anchor === "start" ? left + dx : left + dx - size;
      const box = { from, to: from + size, top: top + dy - 8, bottom: top + dy + 8 };
      const free = box.from >= -40 && box.to <= width + 20 && !taken.some((other) => box.from < other.to && box.to > other.from && box.top < other.bottom && box.bottom > other.top);
      if (free) taken.push(box);
      return free;
    });
    if (fits) marks.push(Plot.text([point], { x, y, text: () => point.cell.title, dx: fits[0], dy: fits[1], textAnchor: fits[2], fontWeight: 600, fill: point.cell.color, stroke: "var(--ground)", strokeWidth: 4 }));
  }
  return marks;
}

chart("chart-speedup", drawSpeed);
chart("chart-quality", drawQuality);
