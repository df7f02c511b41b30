// WIPs × sites: a page of WIPs, each row of which opens to its members.

const PAGE = 50;
const grid = { wips: [], total: 0, next: null, before: [], after: null, open: new Set() };

function wipsPath() {
  const query = new URLSearchParams({ limit: PAGE });
  const text = byId("find").value.trim();
  if (text) query.set("q", text);
  if (byId("troubled").checked) query.set("troubled", "true");
  if (grid.after !== null) query.set("after", grid.after);
  return `/api/v1/wips?${query}`;
}

function showWips(page) {
  grid.wips = page.wips;
  grid.total = page.total;
  grid.next = page.next ?? null;
  showGrid();
}

function showGrid() {
  const columns = datacenters.map((site) => site.name);
  const others = grid.wips.some((wip) => wip.members.some((member) => !columns.includes(member.datacenter)));
  const head = element("tr", null, element("th", { scope: "col" }, "WIP"),
    datacenters.map((site) => element("th", { scope: "col" }, site.name, " ", stateMark(site.state))),
    others && element("th", { scope: "col" }, "elsewhere"));
  refill(byId("grid-head"), head);
  const width = 1 + columns.length + (others ? 1 : 0);
  const rows = grid.wips.flatMap((wip) => wipRows(wip, columns, others, width));
  if (!rows.length) {
    const filtered = byId("find").value.trim() || byId("troubled").checked;
    rows.push(element("tr", null, element("td", { colspan: width, class: "empty" }, filtered ? "No WIP is like that." : "There are no WIPs.")));
  }
  refill(byId("grid-body"), rows);
  byId("next").disabled = grid.next === null;
  byId("previous").disabled = grid.before.length === 0;
  const words = byId("troubled").checked ? count(grid.total, "troubled WIP") : count(grid.total, "WIP");
  const text = grid.total > grid.wips.length ? `${words}, page ${grid.before.length + 1} of ${Math.ceil(grid.total / PAGE)}` : words;
  if (byId("wips-count").textContent !== text) byId("wips-count").textContent = text;
}

function wipRows(wip, columns, others, width) {
  const isOpen = grid.open.has(wip.name);
  const toggle = () => {
    if (!grid.open.delete(wip.name)) grid.open.add(wip.name);
    showGrid();
  };
  const name = element("button", { type: "button", class: "row", "data-key": `wip ${wip.name}`, "aria-expanded": String(isOpen), click: toggle },
    wipName(wip.name), wip.available === 0 && element("span", { class: "lost" }, stateMark("down", "none left")));
  const cells = columns.map((site) => cell(wip.members.filter((member) => member.datacenter === site), toggle));
  if (others) cells.push(cell(wip.members.filter((member) => !columns.includes(member.datacenter)), toggle));
  const rows = [element("tr", { class: "wip" }, element("th", { scope: "row" }, name), cells)];
  if (isOpen) rows.push(element("tr", { class: "detail" }, element("td", { colspan: width }, details(wip))));
  return rows;
}

/** A name whose first label stands out: the rest is mostly the zone's, the same in every row. */
function wipName(name) {
  const dot = name.indexOf(".");
  return element("span", { class: "name", title: name }, dot < 1 ? name : [name.slice(0, dot), element("span", null, name.slice(dot))]);
}

/** In a cell the state is said already; the row's own members say it all. */
const SHORT = /^check \S+ (is down: )?/;

/** What a WIP's members at one site come to. */
function cell(members, toggle) {
  if (!members.length) return element("td", { class: "none" }, element("span", { "aria-hidden": "true" }, "·"), element("span", { class: "hidden" }, "no member"));
  const states = members.map((member) => known(member.effective));
  const same = states.every((state) => state === states[0]);
  const available = members.filter((member) => member.available).length;
  const state = same ? states[0] : available ? "degraded" : BY_TROUBLE.find((state) => states.includes(state));
  const words = members.length === 1 ? undefined : same ? `${STATES[state]} ×${members.length}` : `${available} of ${members.length}`;
  const why = state === "up" ? null : members.map((member) => reasonOf(member)).find(Boolean);
  const mark = stateMark(state, words);
  if (state === "up") mark.className = "state s-quiet";
  const tint = { "down": "down", "forced-down": "down", "degraded": "degraded", "drained": "drained", "forced-up": "drained", "held": "held", "unknown": "unknown" }[state];
  return element("td", { class: `cell${tint ? ` t-${tint}` : ""}`, title: why, click: toggle }, mark, why && element("span", { class: "why" }, why.replace(SHORT, "")));
}

/** Why a member is as it is: an operator's reason before the probes'. */
function reasonOf(member) {
  const entry = overrides.find((entry) => entry.id === member.override_id);
  // From where it was said stands with the override.
  return entry ? `${entry.reason} – ${entry.actor.replace(/ \([^()]*\)$/, "")}` : member.reason;
}

function details(wip) {
  const facts = [`${wip.policy}, TTL ${wip.ttl_s} s, ${wip.available} of ${count(wip.members.length, "member")} available`];
  if (wip.aliases.length) facts.push(`also ${wip.aliases.join(", ")}`);
  return element("div", { class: "detail-box" }, element("p", { class: "note" }, facts.join("; ")), wip.members.map((member) => memberBlock(wip, member)));
}

function memberBlock(wip, member) {
  const where = [member.pool && `pool ${member.pool}`, member.datacenter && `site ${member.datacenter}`, `weight ${member.weight}`].filter(Boolean).join(", ");
  const entry = overrides.find((entry) => entry.id === member.override_id);
  const twins = wip.members.filter((other) => other.datacenter === member.datacenter).length;
  const target = member.datacenter && twins === 1 ? { datacenter: member.datacenter, wip: wip.name } : { wip: wip.name, member: member.name };
  const key = `${wip.name} ${member.pool} ${member.name}`;
  return element("div", { class: "member" },
    element("p", null, element("b", null, member.name), " ", stateMark(member.effective), " ", element("span", { class: "note" }, where)),
    member.reason && element("p", null, member.reason),
    entry && element("p", null, `${entry.kind}: ${entry.reason}`, element("span", { class: "note" }, ` – ${entry.actor}, said of ${targetWords(entry.target)}`)),
    element("p", { class: "vips" }, member.vips.map((vip) => element("span", null, element("span", { class: "mono" }, vip.address), " ", stateMark(vip.effective),
      vip.probed !== vip.effective && element("span", { class: "note" }, ` probes say ${vip.probed}`)))),
    element("div", { class: "buttons" },
      entry && element("button", { type: "button", "data-key": `clear ${key}`, "aria-label": `Clear the override of ${targetWords(entry.target)}`, click: () => openClear(entry.target) }, "Clear…"),
      element("button", { type: "button", "data-key": `drain ${key}`, "aria-label": `Drain ${targetWords(target)}`, click: () => openChange(target) }, "Drain…")));
}

function turnPage(after, before) {
  grid.after = after;
  grid.before = before;
  fetchPart(wipsPart);
}

const wipsPart = { path: wipsPath, show: showWips, failed: (error) => {
  // The WIP that this page came after is there no more.
  if (error.status === 404 && grid.after !== null) turnPage(null, []);
  else byId("wips-count").textContent = error.message;
} };
const troubledPart = { path: () => "/api/v1/wips?limit=1&troubled=true", show: (page) => { troubledTotal = page.total; } };

function startGrid() {
  let typing = 0;
  byId("find").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => turnPage(null, []), 200);
  });
  byId("troubled").addEventListener("change", () => turnPage(null, []));
  byId("next").addEventListener("click", () => turnPage(grid.next, [...grid.before, grid.after]));
  byId("previous").addEventListener("click", () => turnPage(grid.before.at(-1), grid.before.slice(0, -1)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    event.preventDefault();
    byId("find").focus();
  });
}
