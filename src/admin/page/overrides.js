// Overrides: what operators said, of whom, why, since and until when.

let revision = 0;
const KINDS = { "drain": "drained", "force-up": "forced-up", "force-down": "forced-down" };
const KIND_WORDS = { "drain": "Drain", "force-up": "Force up", "force-down": "Force down" };

const sameTarget = (a, b) => ["datacenter", "wip", "member"].every((part) => (a[part] ?? null) === (b[part] ?? null));

function showOverrides(page) {
  overrides = page.overrides;
  revision = page.revision;
  const box = byId("override-list");
  byId("overrides-title").textContent = overrides.length ? `Overrides (${overrides.length})` : "Overrides";
  // The newest wins, and is read first.
  refill(box, overrides.length
    ? overrides.toReversed().map(overrideBlock)
    : element("p", { class: "empty" }, "None: health alone decides."));
  showAlarms();
  for (const part of parts) if (part === sitesPart || part === wipsPart) part.text = null;
}

function overrideBlock(entry) {
  const times = [entry.phase === "planned" || entry.phase === "announced" ? ["from ", clock(entry.at_s ?? entry.created_at_s, false)] : ["since ", ago(entry.at_s ?? entry.created_at_s)]];
  times.push([entry.until_s ? `until ${clock(entry.until_s, false)}` : "until it is cleared"]);
  const phase = entry.phase === "in-force" ? null : entry.phase;
  return element("div", { class: "override" },
    element("p", { class: "what" }, stateMark(KINDS[entry.kind] ?? "unknown", entry.kind), element("span", null, targetWords(entry.target)), phase && element("span", { class: "warn" }, phase)),
    element("p", null, entry.reason),
    element("p", { class: "note" }, `${entry.actor}, `, times[0], ", ", times[1], `, decides ${count(entry.members, "member")}`),
    entry.break_glass && element("p", { class: "warn" }, `Glass broken: ${entry.break_glass}`),
    entry.refused && element("p", { class: "warn" }, entry.refused),
    element("button", { type: "button", "data-key": `clear ${entry.id}`, "aria-label": `Clear ${entry.kind} of ${targetWords(entry.target)}`, click: () => openClear(entry.target) }, "Clear…"));
}

const overridesPart = { path: () => "/api/v1/overrides", show: showOverrides };
const sitesPart = { path: () => "/api/v1/datacenters", show: showSites };
