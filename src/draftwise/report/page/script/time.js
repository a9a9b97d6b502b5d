// Where a round's time goes, what passes cost, what speed that lets expect, and the share of the memory's bandwidth.

const SPENT = ["draft", "verify", "judge", "engine", "wait"];

function drawTime(width) {
  const cells = chosenCells((own) => own.time);
  if (!cells.length) return "No round of the chosen cells was traced here.";
  const rows = cells.map((cell) => ({ key: cell.index, name: cell.title, own: figuresOf(state.part, cell).time }));
  const place = layoutRows(rows.map((row) => row.name), width, { right: 92, beside: 32, above: 52 });
  const inner = width - place.left - place.right;
  const bars = rows.flatMap(({ key, name, own }) => {
    let from = 0;
    return SPENT.map((part) => ({ key, name, part, share: own[part] ?? 0, from, to: (from += own[part] ?? 0) }));
  }).filter(({ share }) => share > 0);
  const label = ({ part, share }) => {
    const both = `${part} ${percent(share)}`;
    if (widthOf(both) + 10 < share * inner) return both;
    return widthOf(percent(share)) + 6 < share * inner ? percent(share) : "";
  };
  const drawn = plot("Shares of a round's time by cell", {
    width, height: 34 + rows.length * place.step, marginLeft: place.left, marginRight: place.right, marginTop: 4, marginBottom: 30,
    x: { domain: [0, 1], tickFormat: (tick) => percent(tick), ticks: 5, tickSize: 0, label: null },
    y: rowScale(rows),
    marks: [
      Plot.barX(bars, { y: "key", x1: "from", x2: "to", fill: ({ part }) => `var(--part-${part})`, stroke: ({ part }) => `var(--edge-${part})`, strokeWidth: 1, insetLeft: 0.5, insetRight: 0.5, ...barInsets(place, 24), title: ({ name, part, share }) => `${name}\n${part}: ${percent(share, 1)}`, tip: true }),
      Plot.text(bars, { y: "key", x: ({ from, to }) => (from + to) / 2, text: label, dy: place.stacked ? 10 : 0, fill: "var(--ink)" }),
      ...rowNames(rows, place, { figures: ({ own }) => (own.round_ns ? `${fixed(own.round_ns / 1e6)} ms` : "") }),
    ],
  });
  return [partLine(), keys(SPENT.map((part) => [part, `var(--part-${part})`, `var(--edge-${part})`])), drawn];
}

function drawCost(width) {
  if (!DATA.costs || !DATA.costs.target.length) return "The cost of passes was not measured in this run.";
  const target = DATA.costs.target.map(([tokens, ms]) => ({ tokens, ms, name: "target" }));
  const drafts = DATA.costs.drafts.flatMap(([name, curve]) => curve.map(([tokens, ms]) => ({ tokens, ms, name: shortened(`draft ${name}`, 28) })));
  const all = [...target, ...drafts];
  const last = (points) => points.slice(-1);
  const drawnDrafts = d3.groups(drafts, ({ name }) => name);
  return plot("Time of a forward pass by the number of its tokens", {
    width, height: 280, marginLeft: 52, marginRight: 20, marginTop: 28, marginBottom: 40,
    x: { domain: [0.6, Math.max(...all.map(({ tokens }) => tokens)) + 0.4], tickFormat: "d", ticks: Math.min(10, target.length), label: "tokens in the pass →", labelAnchor: "right", tickSize: 0 },
    y: { domain: [0, 1.12 * Math.max(...all.map(({ ms }) => ms))], label: "↑ milliseconds", labelAnchor: "top", ticks: 5, tickSize: 0 },
    marks: [
      Plot.gridY({ ...panelAxis, ticks: 5 }), Plot.ruleY([0], { stroke: "var(--faint)" }),
      Plot.ruleY([target[0].ms], { stroke: "var(--faint)", strokeDasharray: "2 3" }),
      Plot.lineY(target, { x: "tokens", y: "ms", stroke: "var(--hue-0)", strokeWidth: 2 }),
      Plot.dot(target, { x: "tokens", y: "ms", r: 3.5, fill: "var(--hue-0)", title: ({ tokens, ms }) => `target, ${tokens} tokens: ${fixed(ms, 3)} ms, v = ${fixed(ms / target[0].ms)}`, tip: true }),
      Plot.text(last(target), { x: "tokens", y: "ms", text: () => "target", dy: -12, textAnchor: "end", fontWeight: 600, fill: "var(--hue-0)" }),
      drawnDrafts.map(([, points]) => Plot.lineY(points, { x: "tokens", y: "ms", stroke: "var(--hue-1)", strokeWidth: 2 })),
      Plot.dot(drafts, { x: "tokens", y: "ms", r: 4, symbol: "diamond", fill: "var(--hue-1)", title: ({ name, tokens, ms }) => `${name}, ${tokens} tokens: ${fixed(ms, 3)} ms, c = ${fixed(ms / target[0].ms, 3)}`, tip: true }),
      drawnDrafts.map(([, points]) => Plot.text(last(points), { x: "tokens", y: "ms", text: "name", dx: 9, textAnchor: "start", fontWeight: 600, fill: "var(--hue-1)" })),
    ],
  });
}

function drawExpected(width) {
  const cells = chosenCells((own) => own.cost?.expected_speedup != null && own.speedup != null);
  if (!cells.length) return "No chosen cell has both an expected and a measured speed-up here.";
  const rows = cells.map((cell) => ({ key: cell.index, name: cell.title, cell, expected: figuresOf(state.part, cell).cost.expected_speedup, measured: figuresOf(state.part, cell).speedup }));
  const place = layoutRows(rows.map((row) => row.name), width, { right: 104, beside: 30 });
  const ends = rows.flatMap(({ expected, measured }) => [expected, measured]);
  const domain = [Math.min(0.95, ...ends) / 1.05, Math.max(1.05, ...ends) * 1.05];
  const ticks = ratioTicks(...domain, width - place.left - place.right);
  const drawn = plot("Expected and measured speed-up of each cell", {
    width, height: 54 + rows.length * place.step, marginLeft: place.left, marginRight: place.right, marginTop: 8, marginBottom: 40,
    x: { type: "log", domain }, y: rowScale(rows),
    marks: [
      Plot.gridX(ticks, panelAxis),
      Plot.axisX({ ticks, tickFormat: (tick) => `${tick}×`, tickSize: 0, label: "speed-up (log scale) →", labelAnchor: "right" }),
      Plot.ruleX([1], { stroke: "var(--ink)" }),
      Plot.ruleY(rows, { y: "key", x1: "expected", x2: "measured", stroke: ({ cell }) => cell.color, strokeWidth: 1.5, strokeDasharray: "3 3" }),
      Plot.dot(rows, { y: "key", x: "expected", r: 5, symbol: ({ cell }) => cell.shape, fill: "var(--ground)", stroke: ({ cell }) => cell.color, strokeWidth: 1.75, title: ({ name, expected }) => `${name}\nexpected ${times(expected)}`, tip: true }),
      Plot.dot(rows, { y: "key", x: "measured", r: 5, symbol: ({ cell }) => cell.shape, fill: ({ cell }) => cell.color, stroke: ({ cell }) => cell.color, strokeWidth: 1.75, title: ({ name, measured }) => `${name}\nmeasured ${times(measured)}`, tip: true }),
      ...rowNames(rows, place, { figures: ({ expected, measured }) => `${times(expected)} → ${times(measured)}` }),
    ],
  });
  return [partLine(), drawn];
}

function drawBandwidth(width) {
  const cells = chosenCells((own) => own.bandwidth_share != null);
  if (!cells.length) return "The speed of memory is unknown, or no chosen cell was measured.";
  const rows = cells.map((cell) => ({ key: cell.index, name: cell.title, cell, share: figuresOf(state.part, cell).bandwidth_share }));
  const place = layoutRows(rows.map((row) => row.name), width, { right: 44, beside: 28 });
  const drawn = plot("Share of the memory's bandwidth by cell", {
    width, height: 34 + rows.length * place.step, marginLeft: place.left, marginRight: place.right, marginTop: 4, marginBottom: 30,
    x: { domain: [0, Math.max(1, ...rows.map(({ share }) => share))], tickFormat: (tick) => percent(tick), ticks: 5, tickSize: 0, label: null },
    y: rowScale(rows),
    marks: [
      Plot.gridX({ ...panelAxis, ticks: 5 }),
      Plot.barX(rows, { y: "key", x: "share", fill: ({ cell }) => cell.color, ...barInsets(place, 14), title: ({ name, share }) => `${name}: ${percent(share, 1)}`, tip: true }),
      Plot.ruleX([0], { stroke: "var(--faint)" }), Plot.ruleX([1], { stroke: "var(--ink)" }),
      ...rowNames(rows, place, { figures: ({ share }) => percent(share) }),
    ],
  });
  return [partLine(), drawn];
}

chart("chart-time", drawTime);
chart("chart-cost", drawCost);
chart("chart-expected", drawExpected);
chart("chart-bandwidth", drawBandwidth);
