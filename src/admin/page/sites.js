// Sites: the map, and a card each with its figures.

//------------ Map ------------------------------------------------------------

const MAP_WIDTH = 1000;
const MAP_NORTH = 84;
/** Least width of what is shown: closer, the outline is too coarse. */
const VIEW_MIN = 260;

/** Patterson's cylindrical projection, as data/map/make.mjs has it. */
function project({ latitude, longitude }) {
  const scale = MAP_WIDTH / (2 * Math.PI);
  const y = (degrees) => {
    const p = (degrees * Math.PI) / 180, p2 = p * p;
    return p * (1.0148 + p2 * p2 * (0.23185 + p2 * (-0.14499 + p2 * 0.02406)));
  };
  return [MAP_WIDTH / 2 + (longitude * MAP_WIDTH) / 360, scale * (y(MAP_NORTH) - y(latitude))];
}

/** What part of the world holds all `points` with some room, in the shape of the box. */
function view(points, ratio) {
  const height = MAP_WIDTH / ratio;
  if (!points.length) return [0, 0, MAP_WIDTH, height];
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const width = Math.min(MAP_WIDTH, Math.max(VIEW_MIN, (right - left) * 1.35 + 60, ((bottom - top) * 1.6 + 60) * ratio));
  const x = Math.min(Math.max((left + right - width) / 2, 0), MAP_WIDTH - width);
  return [x, Math.max((top + bottom - width / ratio) / 2, -20), width, width / ratio];
}

function drawMap() {
  const box = byId("map");
  const { width, height } = box.getBoundingClientRect();
  if (!width || !height) return;
  const placed = datacenters.filter((site) => site.location);
  const points = placed.map((site) => project(site.location));
  const [x, y, across, down] = view(points, width / height);
  byId("land").setAttribute("viewBox", `${x} ${y} ${across} ${down}`);
  const pins = [], taken = points.map(([px, py]) => {
    const left = ((px - x) / across) * width, top = ((py - y) / down) * height;
    return { left: left - 9, right: left + 9, top: top - 9, bottom: top + 9 };
  });
  // The troubled ones last: they lie on top.
  const order = placed.map((site, index) => index).sort((a, b) => rank(placed[b]) - rank(placed[a]));
  for (const index of order) {
    const site = placed[index], at = taken[index];
    const pin = element("span", { class: `pin s-${known(site.state)}`, title: site.name, click: () => findSite(site.name) }, icon(site.state));
    pin.style.left = `${(at.left + at.right) / 2}px`;
    pin.style.top = `${(at.top + at.bottom) / 2}px`;
    pins.push(pin);
  }
  // Names go where they hide nothing; those of troubled sites first.
  for (const index of order.reverse()) {
    const site = placed[index], at = taken[index];
    const words = site.state === "up" ? site.name : `${site.name} ${STATES[known(site.state)]}`;
    const spot = freeSpot(at, words.length * 7.2 + 10, 17, taken, width, height);
    if (!spot) continue;
    taken.push(spot);
    const name = element("span", { class: `pin-name s-${known(site.state)}`, click: () => findSite(site.name) }, words);
    name.style.left = `${spot.left}px`;
    name.style.top = `${spot.top}px`;
    pins.push(name);
  }
  byId("pins").replaceChildren(...pins);
}

const rank = (site) => BY_TROUBLE.indexOf(known(site.state));

function freeSpot(at, width, height, taken, mapWidth, mapHeight) {
  const middleX = (at.left + at.right - width) / 2, middleY = (at.top + at.bottom - height) / 2;
  const spots = [
    [at.right + 3, middleY], [at.left - width - 3, middleY],
    [middleX, at.top - height - 3], [middleX, at.bottom + 3],
    [at.right, at.top - height + 2], [at.right, at.bottom - 2],
    [at.left - width, at.top - height + 2], [at.left - width, at.bottom - 2],
  ];
  return spots
    .map(([left, top]) => ({ left, top, right: left + width, bottom: top + height }))
    .find((spot) => spot.left >= 0 && spot.top >= 0 && spot.right <= mapWidth && spot.bottom <= mapHeight
      && !taken.some((other) => spot.left < other.right && other.left < spot.right && spot.top < other.bottom && other.top < spot.bottom));
}

function startMap() {
  const lines = [];
  for (let longitude = -150; longitude < 180; longitude += 30) {
    lines.push(`M${project({ latitude: MAP_NORTH, longitude })}L${project({ latitude: -58, longitude })}`);
  }
  for (let latitude = -30; latitude < 84; latitude += 30) {
    lines.push(`M${project({ latitude, longitude: -180 })}L${project({ latitude, longitude: 180 })}`);
  }
  byId("graticule").setAttribute("d", lines.join(""));
  new ResizeObserver(drawMap).observe(byId("map"));
}

/** Shows a site's card. */
function findSite(name) {
  const card = [...byId("site-list").children].find((card) => card.dataset.site === name);
  if (!card) return;
  card.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  card.classList.add("found");
  setTimeout(() => card.classList.remove("found"), 2_000);
}

//------------ Sparklines -----------------------------------------------------

const SPARK = { width: 120, height: 30 };

/** A series as a curve with its figures in words; gaps stay gaps. */
function spark(name, values, unit, interval) {
  const seen = values.filter((value) => value !== null);
  const figure = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toFixed(value > 0 && value < 1 ? 2 : 1));
  const last = values.at(-1);
  const now = last === null || last === undefined ? "–" : `${figure(last)} ${unit}`;
  const title = element("span", null, `${name} `, element("b", null, now));
  if (seen.length < 2) return element("div", { class: "spark" }, title, element("div", { class: "note" }, seen.length ? "measuring…" : "no figures yet"));
  const most = Math.max(...seen), least = Math.min(...seen);
  const top = most || 1;
  const at = (value, index) => [(index / (values.length - 1)) * SPARK.width, SPARK.height - 1 - (value / top) * (SPARK.height - 4)].map((n) => n.toFixed(1));
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index && values[index - 1] !== null) runs.at(-1).push(at(value, index));
    else runs.push([at(value, index)]);
  });
  const curve = runs.map((run) => `M${run.map((point) => point.join(" ")).join("L")}${run.length === 1 ? "h.01" : ""}`).join("");
  const under = runs.filter((run) => run.length > 1)
    .map((run) => `M${run[0][0]} ${SPARK.height}L${run.map((point) => point.join(" ")).join("L")}L${run.at(-1)[0]} ${SPARK.height}z`).join("");
  const words = `${name}: ${now}; from ${figure(least)} to ${figure(most)} ${unit} over ${span(interval * (values.length - 1))}`;
  return element("div", { class: "spark" }, title,
    shape("svg", { viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      shape("path", { class: "base", d: `M0 ${SPARK.height - .5}H${SPARK.width}` }),
      shape("path", { class: "under", d: under }), shape("path", { class: "curve", d: curve })));
}

//------------ Cards ----------------------------------------------------------

let seriesInterval = 10;

function showSites(page) {
  datacenters = page.datacenters;
  seriesInterval = page.series_interval_s || 10;
  refill(byId("site-list"), datacenters.map(siteCard));
  const unplaced = datacenters.filter((site) => !site.location);
  byId("unplaced").hidden = unplaced.length === 0;
  refill(byId("unplaced"), element("span", null, "Without a location: "),
    unplaced.map((site, index) => [index ? ", " : "", element("span", null, `${site.name} (${STATES[known(site.state)]})`)]).flat());
  drawMap();
  showGrid();
}

function siteCard(site) {
  const facts = [`${site.available} of ${count(site.members, "member")} available`];
  if (site.overridden) facts.push(`${site.overridden} overridden`);
  if (site.gate) facts.push(`own check ${site.gate}`);
  const target = { datacenter: site.name };
  const clear = overrides.some((entry) => sameTarget(entry.target, target));
  return element("li", { class: `site s-${known(site.state)}-card`, "data-site": site.name },
    element("div", { class: "site-top" },
      element("h3", null, site.name), stateMark(site.state),
      element("div", { class: "buttons" },
        clear && element("button", { type: "button", "data-key": `clear ${site.name}`, "aria-label": `Clear overrides of site ${site.name}`, click: () => openClear(target) }, "Clear…"),
        element("button", { type: "button", "data-key": `drain ${site.name}`, "aria-label": `Drain site ${site.name}`, click: () => openChange(target) }, "Drain…"))),
    element("p", { class: "site-facts" }, facts.join(" · "), " · ", element("span", { class: "mono" }, site.vips.join("  "))),
    element("div", { class: "sparks" },
      spark("Probe", site.probe_ms, "ms", seriesInterval),
      site.answers_per_s.length > 0 && spark("Answers", site.answers_per_s, "/s", seriesInterval)));
}
