// The filters by subtask and by method, which act on every chart, table and answer, and the search among the answers.

const manySaid = document.querySelector(".explanations.many") !== null;
const boxes = [...document.querySelectorAll('input[name="cell"]')];

function applyFilters() {
  state.part = Number(byId("subtask").value);
  state.chosen = new Set(boxes.filter((box) => box.checked).map((box) => Number(box.value)));
  look.page = 0;
  filterRows();
  drawCharts();
  drawBrowser();
  const said = `${state.chosen.size} of ${CELLS.length} cells`;
  if (byId("chosen")) byId("chosen").textContent = said;
  byId("filter-state").textContent = `${PARTS[state.part]}, ${said} shown.`;
}

/** Rows of tables and sentences follow the filters; what is over all subtasks stays. */
function filterRows() {
  for (const part of document.querySelectorAll("[data-part]")) {
    const number = Number(part.dataset.part);
    part.hidden = number !== 0 && (state.part ? number !== state.part : part.classList.contains("said") && manySaid);
  }
  for (const row of document.querySelectorAll("[data-cell]")) row.hidden = !state.chosen.has(Number(row.dataset.cell));
}

function tickAll(on) {
  boxes.forEach((box) => { box.checked = on; });
  applyFilters();
}

function wireFilters() {
  byId("filters").hidden = false;
  byId("search").hidden = false;
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("change", applyFilters);
  byId("every")?.addEventListener("click", () => tickAll(true));
  byId("none")?.addEventListener("click", () => tickAll(false));
  byId("find").addEventListener("input", () => search({ words: byId("find").value.trim().toLowerCase() }));
  byId("differs").addEventListener("change", () => search({ differs: byId("differs").checked }));
  byId("fallen").addEventListener("change", () => search({ fallen: byId("fallen").checked }));
  byId("back").addEventListener("click", () => turnPage(-1));
  byId("next").addEventListener("click", () => turnPage(1));
  closeMenuOutside(document.querySelector(".menu"));
}

function search(change) {
  Object.assign(look, change, { page: 0 });
  drawBrowser();
}

function closeMenuOutside(menu) {
  if (!menu) return;
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
