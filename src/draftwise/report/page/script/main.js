// Colour scheme, contents and paper; then everything is drawn.

const SCHEME = "draftwise-scheme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** What the browser keeps for this page, nothing where it keeps nothing. */
function remembered(value) {
  try {
    if (value) localStorage.setItem(SCHEME, value);
    return localStorage.getItem(SCHEME);
  } catch {
    return null;
  }
}

function wireScheme() {
  const button = byId("scheme"), root = document.documentElement;
  const dark = () => (root.dataset.scheme ?? (system.matches ? "dark" : "light")) === "dark";
  const say = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Change to the ${dark() ? "light" : "dark"} colour scheme`); };
  const kept = remembered();
  if (kept === "dark" || kept === "light") root.dataset.scheme = kept;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.scheme = dark() ? "light" : "dark";
    remembered(root.dataset.scheme);
    say();
  });
  system.addEventListener("change", say);
  say();
}

/** Mark the section that is being read in the contents. */
function wireContents() {
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.getAttribute("href").slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) if (byId(id)) watcher.observe(byId(id));
}

/** Tables that are folded away until they are asked for; on paper nothing can be opened, so everything is. */
function wireFolds() {
  document.querySelectorAll("details.fold").forEach((fold) => { fold.open = false; });
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.fold:not([open])")];
    opened.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((fold) => { fold.open = false; }));
}

wireScheme();
wireContents();
wireFolds();
wireFilters();
applyFilters();
watchWidths();
document.fonts?.ready.then(drawCharts);
document.documentElement.dataset.drawn = "true";
