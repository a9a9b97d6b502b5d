// Every timed sample that the page carries, as a strip for each cell; outliers have signs and the slowest have names.

const NAMED = 3;
const ROOMY = 640; // below this width names would lie on other samples

function samplePoints() {
  const { cell, prompt, turn, session, repeat, ms, kind, prompts, subtasks } = DATA.points;
  const wanted = state.part ? DATA.subtasks[state.part - 1] : null;
  const points = [];
  for (let i = 0; i < ms.length; i++) {
    if (!state.chosen.has(cell[i]) || (wanted != null && subtasks[prompt[i]] !== wanted)) continue;
    points.push({ cell: CELLS[cell[i]], prompt: shown(prompts[prompt[i]]), turn: turn[i], session: session[i], repeat: repeat[i], ms: ms[i], kind: kind[i], jitter: ((Math.imul(i, 2654435761) >>> 0) / 2 ** 32 - 0.5) * 0.62 });
  }
  return points;
}

const tellSample = ({ cell, prompt, turn, session, repeat, ms, kind }) =>
  `${cell.title}, ${fixed(ms, 3)} ms a token${["", ", outlier", ", far outlier"][kind]}\n${prompt}, turn ${turn + 1}, session ${session + 1}, repeat ${repeat + 1}`;

function drawSamples(width) {
  const points = samplePoints();
  byId("points-left").textContent = DATA.points.left_out
    ? `${DATA.points.left_out.toLocaleString("en")} samples are left out here, to keep the page small; far outliers are shown first.` : "";
  if (!points.length) return "No sample of the chosen cells was taken here.";
  const cells = CELLS.filter((cell) => points.some((point) => point.cell === cell));
  const place = layoutRows(cells.map((cell) => cell.title), width, { right: 12, beside: cells.length > 8 ? 36 : 56, above: cells.length > 8 ? 56 : 76 });
  const row = new Map(cells.map((cell, i) => [cell, i]));
  // Above a row its label takes this share of the height, and the points the rest.
  const label = place.stacked ? (LINE * place.lines + 4) / place.step : 0;
  const y = (point) => row.get(point.cell) + label / 2 + point.jitter * (1 - label);
  const values = points.map(({ ms }) => ms);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const log = high / low > 5;
  const domain = log ? [low / 1.1, high * 1.15] : [Math.max(0, low - 0.06 * (high - low) - 1e-6), high + 0.06 * (high - low) + 1e-6];
  const middle = log ? Math.sqrt(domain[0] * domain[1]) : (domain[0] + domain[1]) / 2;
  const far = width < ROOMY ? [] : cells.flatMap((cell) => points.filter((point) => point.cell === cell && point.kind === 2).sort((a, b) => b.ms - a.ms).slice(0, NAMED))
    .sort((a, b) => y(a) - y(b));
  const named = far.filter((point, i) => i === 0 || far[i - 1].cell !== point.cell || Math.abs(y(point) - y(far[i - 1])) * place.step > 13 || Math.abs(point.ms - far[i - 1].ms) / (high - low) > 0.3);
  const drawn = plot("Time per token of each sample, by cell", {
    width, height: 40 + cells.length * place.step, marginLeft: place.left, marginRight: place.right, marginTop: 4, marginBottom: 36,
    x: { type: log ? "log" : "linear", domain, label: `milliseconds a token${log ? " (log scale)" : ""} →`, labelAnchor: "right", ticks: Math.max(3, Math.floor(width / 110)), tickSize: 0, tickFormat: (tick) => String(Number(tick.toPrecision(3))) },
    y: { domain: [-0.5, cells.length - 0.5], axis: null, reverse: true },
    marks: [
      Plot.gridX({ ...panelAxis, ticks: Math.max(3, Math.floor(width / 110)) }),
      Plot.ruleY(cells.slice(1), { y: (cell) => row.get(cell) - 0.5, stroke: "var(--grid)" }),
      Plot.text(named.filter(({ ms }) => ms <= middle), { x: "ms", y, text: (point) => `${shortened(point.prompt, 24)}, ${point.repeat + 1}`, dx: 9, textAnchor: "start", fill: "var(--soft)", fontSize: 12, stroke: "var(--ground)", strokeWidth: 3 }),
      Plot.text(named.filter(({ ms }) => ms > middle), { x: "ms", y, text: (point) => `${shortened(point.prompt, 24)}, ${point.repeat + 1}`, dx: -9, textAnchor: "end", fill: "var(--soft)", fontSize: 12, stroke: "var(--ground)", strokeWidth: 3 }),
      Plot.dot(points.filter(({ kind }) => kind === 0), { x: "ms", y, r: 1.7, fill: ({ cell }) => cell.color, fillOpacity: 0.45 }),
      Plot.dot(points.filter(({ kind }) => kind === 1), { x: "ms", y, r: 3.2, stroke: ({ cell }) => cell.color, strokeWidth: 1.25 }),
      Plot.dot(points.filter(({ kind }) => kind === 2), { x: "ms", y, r: 4, symbol: "times", stroke: ({ cell }) => cell.color, strokeWidth: 2 }),
      Plot.text(cells, {
        y: (cell) => row.get(cell) - (place.stacked ? 0.5 : 0), text: ({ title }) => (place.stacked ? wrapped(title, width - 24).join("\n") : title),
        frameAnchor: "left", textAnchor: "start", lineAnchor: place.stacked ? "top" : "middle", dx: place.stacked ? 0 : -place.left, dy: place.stacked ? 4 : 0, fill: "var(--ink)",
      }),
      Plot.tip(points, Plot.pointer({ x: "ms", y, title: tellSample })),
    ],
  });
  return [partLine(), drawn];
}

chart("chart-samples", drawSamples);
