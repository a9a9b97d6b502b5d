// How many guesses stood in a round, and at which position: a small chart for each cell that drafts.

const UNDRAFTED = "None of the chosen cells drafts here.";
let kindOfPosition = "unconditional";

const drafting = () => chosenCells((own) => own.acceptance);
const acceptanceOf = (cell) => figuresOf(state.part, cell).acceptance;
const panelAxis = { stroke: "var(--grid)", strokeOpacity: 1 };

function drawHistogram(width) {
  const cells = drafting();
  if (!cells.length) return UNDRAFTED;
  const shares = (cell) => {
    const { histogram } = acceptanceOf(cell);
    const rounds = histogram.reduce((sum, count) => sum + count, 0);
    return histogram.map((count, accepted) => ({ accepted, count, share: rounds ? count / rounds : 0 }));
  };
  const longest = Math.max(...cells.map((cell) => acceptanceOf(cell).histogram.length));
  const top = Math.max(...cells.flatMap((cell) => shares(cell).map(({ share }) => share)));
  const head = (cell) => [cell.title, ` ${fixed(acceptanceOf(cell).length)} tokens a pass`];
  const drawn = panels(cells, width, {}, head, (cell, each) => plot(`Accepted tokens a round, ${cell.title}`, {
    width: each, height: 170, marginLeft: 40, marginRight: 4, marginTop: 20, marginBottom: 36,
    x: { type: "band", domain: Array.from({ length: longest }, (_, i) => i), label: "accepted tokens", labelAnchor: "right", labelArrow: "none", tickSize: 0, padding: 0.18 },
    y: { domain: [0, top], label: null, tickFormat: (tick) => percent(tick), ticks: 4, tickSize: 0 },
    marks: [
      Plot.gridY({ ...panelAxis, ticks: 4 }),
      Plot.barY(shares(cell), { x: "accepted", y: "share", fill: cell.color, title: ({ accepted, count, share }) => `${accepted} accepted: ${percent(share, 1)} of rounds (${count.toLocaleString("en")})`, tip: true }),
      each / longest >= 30 ? Plot.text(shares(cell).filter(({ share }) => share), { x: "accepted", y: "share", text: ({ share }) => (100 * share).toFixed(0), dy: -8, fill: "var(--soft)" }) : [],
      Plot.ruleY([0], { stroke: "var(--faint)" }),
    ],
  }));
  return [partLine(), drawn];
}

function drawPosition(width) {
  const cells = drafting();
  if (!cells.length) return UNDRAFTED;
  const pointsOf = (cell) => (acceptanceOf(cell)[kindOfPosition] ?? []).map((share, i) => ({ position: i + 1, share })).filter(({ share }) => share != null);
  const longest = Math.max(2, ...cells.map((cell) => (acceptanceOf(cell)[kindOfPosition] ?? []).length));
  const head = (cell) => [cell.title, ` ${percent(acceptanceOf(cell).rate)} accepted`];
  const drawn = panels(cells, width, {}, head, (cell, each) => plot(`Acceptance by position, ${kindOfPosition}, ${cell.title}`, {
    width: each, height: 170, marginLeft: 40, marginRight: 10, marginTop: 20, marginBottom: 36,
    x: { domain: [0.7, longest + 0.3], ticks: Array.from({ length: longest }, (_, i) => i + 1).filter((i) => longest <= 12 || i % Math.ceil(longest / 10) === 1), tickFormat: "d", label: "position in the draft", labelAnchor: "right", labelArrow: "none", tickSize: 0 },
    y: { domain: [0, 1], label: null, tickFormat: (tick) => percent(tick), ticks: [0, 0.25, 0.5, 0.75, 1], tickSize: 0 },
    marks: [
      Plot.gridY([0, 0.25, 0.5, 0.75, 1], panelAxis),
      Plot.ruleY([0], { stroke: "var(--faint)" }),
      Plot.lineY(pointsOf(cell), { x: "position", y: "share", stroke: cell.color, strokeWidth: 2, strokeDasharray: kindOfPosition === "conditional" ? "5 3" : null }),
      Plot.dot(pointsOf(cell), { x: "position", y: "share", r: 3.5, symbol: cell.shape, fill: cell.color, title: ({ position, share }) => `position ${position}: ${percent(share, 1)}`, tip: true }),
    ],
  }));
  return [partLine(), drawn];
}

function switchPosition(kind) {
  kindOfPosition = kind;
  byId("position-text").textContent = kind === "conditional"
    ? "Share of the rounds in which the token before was accepted, or there was none, in which the one at a position was too."
    : "Share of all rounds in which the token drafted at a position was accepted.";
  charts.filter(({ box }) => box.id === "chart-position").forEach(drawChart);
}

for (const choice of document.querySelectorAll('input[name="position"]')) {
  choice.addEventListener("change", () => switchPosition(choice.value));
}
chart("chart-histogram", drawHistogram);
chart("chart-position", drawPosition);
