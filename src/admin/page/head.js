// The head of the page: the verdict in a line, alarms, facts about this server.

let status = null;
let datacenters = [];
let overrides = [];
let troubledTotal = null;

function showStatus(data) {
  status = data;
  byId("identity").textContent = data.identity ?? "";
  byId("version").textContent = data.version;
  const { config, health } = data;
  const facts = [
    ["Ready", data.not_ready ? stateMark("down", "no") : stateMark("up", "yes")],
    ["Version", data.version],
    ["Running", ago(data.started_at_s)],
    ["Config", [`generation ${config.generation}, loaded `, ago(config.loaded_at_s)]],
    ["Last reload", config.last_reload_refused ? stateMark("down", "refused") : stateMark("up", "taken")],
    ["Zones, WIPs", `${config.zones.toLocaleString("en")}, ${config.wips.toLocaleString("en")}`],
    ["Probes", `${health.up.toLocaleString("en")} up, ${health.down.toLocaleString("en")} down, ${health.unknown.toLocaleString("en")} unknown`],
    ["Probes late by", `${health.prober.lag_ms} ms`],
    ["Limiter", health.limiter.phase],
  ];
  refill(byId("facts"), facts.map(([name, value]) => element("div", null, element("dt", null, name), element("dd", null, value))));
  showAlarms();
}

function alarm(state, title, words, more) {
  return element("div", { class: `alarm s-${state}` }, icon(state),
    element("div", null, element("b", null, title), words && element("p", null, words)), more);
}

function showAlarms() {
  const alarms = [];
  const { health, config } = status ?? {};
  if (status?.not_ready) alarms.push(alarm("down", "This server is not ready", status.not_ready));
  const refused = config?.last_reload_refused;
  if (refused) {
    alarms.push(alarm("down", "The last reload was refused; the config before it stays in force",
      count(refused.problems.length, "problem"),
      element("details", null, element("summary", { "data-key": "report" }, "Report"), element("pre", { tabindex: "0" }, refused.report))));
  }
  if (health?.prober.unresponsive) alarms.push(alarm("down", "The prober does not answer", "What is shown of health may be old; members are answered as before."));
  else if (health?.prober.lag_ms > 2_000) alarms.push(alarm("degraded", "Probes are late", `The most overdue is ${health.prober.lag_ms} ms behind its time.`));
  if (health?.silent) alarms.push(alarm("degraded", `${count(health.silent, "probe")} without a verdict for three intervals`, "The prober's trouble, not the targets'."));
  const phase = health?.limiter.phase;
  if (phase && phase !== "armed") {
    const since = health.limiter.since_s ? ` since ${clock(health.limiter.since_s)}` : "";
    const words = phase === "tripped"
      ? `Nearly every target of every site was lost at once${since}. The fault is held to be this host's: ${count(health.limiter.held, "target")} that would be down still ${health.limiter.held === 1 ? "counts" : "count"}. If they are down indeed: windrose limiter release.`
      : `An operator released it${since}; it is armed again once enough is back.`;
    alarms.push(alarm(phase === "tripped" ? "down" : "degraded", `The limiter is ${phase}`, words));
  }
  if (health?.certificates_expiring) alarms.push(alarm("degraded", `${count(health.certificates_expiring, "certificate")} expiring soon`, "Members' certificates, as probes see them; windrose checks lists them."));
  for (const entry of overrides.filter((entry) => entry.refused || entry.phase === "refused" || entry.phase === "overdue")) {
    alarms.push(alarm("degraded", `An override is ${entry.phase}: ${entry.kind} of ${targetWords(entry.target)}`, entry.refused));
  }
  const box = byId("alarms");
  const text = alarms.map((node) => node.textContent).join();
  if (box.dataset.text === text) return;
  // A report that is open stays open.
  const open = box.querySelector("details")?.open;
  box.dataset.text = text;
  box.hidden = alarms.length === 0;
  refill(box, alarms);
  if (open && box.querySelector("details")) box.querySelector("details").open = true;
  if (alarms.length) tell(`Alarms: ${alarms.map((node) => node.querySelector("b").textContent).join("; ")}`);
}

/** The one line that is read from across the room. */
function showVerdict() {
  if (!status) return;
  const sites = (state) => datacenters.filter((site) => site.state === state);
  const all = datacenters.length;
  let state = "up", words = all ? `All ${count(all, "site")} up` : "Answering";
  if (all === 1) words = "The site is up";
  for (const [worse, word] of [["unknown", "not judged yet"], ["drained", "drained"], ["degraded", "degraded"], ["down", "down"]]) {
    const found = sites(worse);
    if (found.length) {
      state = worse;
      words = `${found.length <= 3 ? found.map((site) => site.name).join(", ") : `${found.length} of ${all} sites`} ${word}`;
    }
  }
  if (troubledTotal) words += `; ${count(troubledTotal, "WIP")} troubled`;
  if (status.not_ready) { state = "down"; words = "Not ready"; }
  const line = byId("verdict");
  if (line.dataset.words !== words) {
    line.dataset.words = words;
    refill(line, stateMark(state, words));
  }
  const bad = sites("down").length + sites("degraded").length;
  document.title = `${bad ? `(${bad}) ` : ""}${status.identity ? `${status.identity} – ` : ""}Windrose`;
  const colour = { up: "%2317803c", down: "%23d0342c", degraded: "%23d98e04" }[state] ?? "%235b7fb5";
  const outline = state === "up" ? "%3Ccircle cx='8' cy='8' r='7'/%3E" : "%3Cpath d='M8 0 16 15H0z'/%3E";
  byId("icon").href = `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='${colour}'%3E${outline}%3C/svg%3E`;
}

//------------ Light and dark -------------------------------------------------

const THEMES = ["auto", "light", "dark"];
function startTheme() {
  const button = byId("theme");
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}. Change`);
  };
  const kept = browser.get("windrose-theme");
  show(THEMES.includes(kept) ? kept : "auto");
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    browser.set("windrose-theme", next);
    show(next);
  });
}
