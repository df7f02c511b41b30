// Draining, forcing and clearing: a form, what it would do, and only then the deed.
//
//   form ─► dry run ─┬─ safe ──► effect ─► confirm ─► done
//                    └─ unsafe ─► rules and WIPs ─► break the glass: a reason of its own ─► effect ─► confirm

const change = { mode: "set", body: null, opener: null };
const UNTIL = [["", "I clear it"], ["900", "15 minutes from now"], ["3600", "1 hour from now"], ["14400", "4 hours from now"], ["43200", "12 hours from now"], ["at", "a time…"]];
const NAME_KEY = "windrose-name";

function openDialog(view) {
  change.opener = document.activeElement?.dataset.key ?? document.activeElement?.id ?? null;
  const dialog = byId("change");
  dialog.onclose = () => {
    const back = [...document.querySelectorAll("[data-key], [id]")].find((node) => node.dataset.key === change.opener || node.id === change.opener);
    back?.focus();
  };
  showView(view);
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("[data-first]") ?? dialog.querySelector("h2")).focus();
}

function showView(nodes) {
  byId("change-body").replaceChildren(...nodes.flat().filter(Boolean));
  byId("change").scrollTop = 0;
  // Whoever cannot see that all has changed is taken to the new heading.
  if (byId("change").open) byId("change-title").focus();
}

const title = (text) => element("h2", { id: "change-title", tabindex: "-1" }, text);
const button = (text, act, kind = "") => element("button", { type: "button", class: kind, click: act }, text);
const cancel = () => button("Cancel", () => byId("change").close());

//------------ Form -----------------------------------------------------------

function openChange(target, given = {}) {
  change.mode = "set";
  openDialog(changeForm({ kind: "drain", target, reason: "", ...given }));
}

function openClear(target) {
  change.mode = "clear";
  openDialog(clearForm({ target, reason: "" }));
}

const nameField = (form) => element("label", null, "Your name", element("input", { name: "actor", required: true, maxlength: "100", autocomplete: "name", value: form.actor ?? browser.get(NAME_KEY) ?? "" }));
const reasonField = (form, required) => element("label", null, required ? "Reason" : element("span", null, "Reason ", element("small", null, "may be left out")),
  element("textarea", { name: "reason", required, maxlength: "500", "data-first": true }, form.reason));

function changeForm(given) {
  const { target } = given;
  const option = (value, words, chosen) => element("option", { value, selected: value === (chosen ?? "") }, words);
  const names = new Set([...datacenters.map((site) => site.name), ...(target.datacenter ? [target.datacenter] : [])]);
  const at = element("input", { type: "datetime-local", name: "until_at", "aria-label": "Until this time", hidden: true });
  const until = element("select", { name: "until", change: () => { at.hidden = until.value !== "at"; at.required = !at.hidden; } },
    UNTIL.map(([value, words]) => option(value, words, given.until)));
  if (given.until === "at") { at.hidden = false; at.value = given.until_at; }
  const form = element("form", { submit: (event) => { event.preventDefault(); submitChange(form); } },
    title(`${KIND_WORDS[given.kind]} ${targetWords(target) === "everything" ? "…" : targetWords(target)}`),
    element("div", { class: "fields" },
      element("label", null, "What", element("select", { name: "kind" },
        option("drain", "Drain: out of new answers", given.kind), option("force-down", "Force down: never answered", given.kind), option("force-up", "Force up: answered whatever health says", given.kind))),
      element("label", null, "Site", element("select", { name: "datacenter", "data-first": targetWords(target) === "everything" }, option("", "any", target.datacenter), [...names].map((name) => option(name, name, target.datacenter)))),
      element("label", null, "WIP", element("input", { name: "wip", list: "wip-names", value: target.wip ?? "", placeholder: "every one; * and ? stand for any", autocomplete: "off", spellcheck: "false" })),
      element("label", null, "Member", element("input", { name: "member", value: target.member ?? "", placeholder: "every one", autocomplete: "off", spellcheck: "false" }))),
    element("datalist", { id: "wip-names" }, grid.wips.map((wip) => element("option", { value: wip.name }))),
    reasonField(given, true),
    element("div", { class: "fields" }, element("label", null, "Until", until, at), nameField(given)),
    element("p", { class: "error", role: "alert", hidden: true }),
    element("div", { class: "actions" }, element("button", { type: "submit", class: "primary" }, "Show what it does"), cancel()));
  return [form];
}

function clearForm(given) {
  const form = element("form", { submit: (event) => { event.preventDefault(); submitClear(form); } },
    title(`Clear overrides of ${targetWords(given.target)}`),
    element("p", { class: "note" }, "What was said of exactly this target is taken back; health, or an older override, decides again."),
    reasonField(given, false), nameField(given),
    element("p", { class: "error", role: "alert", hidden: true }),
    element("div", { class: "actions" }, element("button", { type: "submit", class: "primary" }, "Show what it does"), cancel()));
  form.target_ = given.target;
  return [form];
}

function submitChange(form) {
  const value = (name) => form.elements[name].value.trim();
  const target = {};
  for (const part of ["datacenter", "wip", "member"]) if (value(part)) target[part] = value(part);
  if (!Object.keys(target).length) return formError(form, "Say of whom: a site, a WIP or a member.");
  const given = { kind: value("kind"), target, reason: value("reason"), actor: value("actor"), until: value("until"), until_at: value("until_at") };
  let until;
  if (given.until === "at") until = Math.floor(new Date(given.until_at).getTime() / 1000);
  else if (given.until) until = Math.floor(nowSeconds() + Number(given.until));
  if (until !== undefined && !(until > nowSeconds())) return formError(form, "That time is over.");
  browser.set(NAME_KEY, given.actor);
  const body = { kind: given.kind, target, reason: given.reason, actor: given.actor };
  if (until) body.until_s = until;
  return preview(form, { path: "/api/v1/overrides", body, back: () => showView(changeForm(given)), verb: `${KIND_WORDS[given.kind]} ${targetWords(target)}` });
}

function submitClear(form) {
  const [actor, reason] = [form.elements.actor.value.trim(), form.elements.reason.value.trim()];
  browser.set(NAME_KEY, actor);
  const body = { target: form.target_, actor };
  if (reason) body.reason = reason;
  const back = () => showView(clearForm({ target: form.target_, reason, actor }));
  return preview(form, { path: "/api/v1/overrides/clear", body, back, verb: `Clear overrides of ${targetWords(form.target_)}` });
}

function formError(form, words) {
  const error = form.querySelector(".error");
  error.hidden = false;
  error.textContent = words;
}

/** Runs `work` with the dialog's buttons out of reach, so that nothing is sent twice. */
async function busy(work) {
  const buttons = [...byId("change-body").querySelectorAll("button")];
  buttons.forEach((each) => { each.disabled = true; });
  try { return await work(); } finally { buttons.forEach((each) => { each.disabled = false; }); }
}

const failureWords = (error) => (error instanceof Refused
  ? [error.problem.title, error.problem.detail].filter(Boolean).join(": ") || error.message
  : "The server does not answer; nothing is known to have changed.");

//------------ Preview --------------------------------------------------------

/** Asks what the change would do, and shows it. */
async function preview(form, plan) {
  await busy(async () => {
    const thought = plan.path.endsWith("clear") ? null
      : post("/api/v1/simulate", { overrides: [{ kind: plan.body.kind, target: plan.body.target }], limit: 1 }).catch(() => null);
    try {
      const done = await post(plan.path, { ...plan.body, dry_run: true });
      const simulation = await thought;
      showView(done.broken.length && !plan.body.break_glass ? refusalView(plan, done.broken, done.effect, simulation) : effectView(plan, done, simulation));
    } catch (error) {
      const simulation = await thought;
      if (error.kind === "unsafe-change") showView(refusalView(plan, error.problem.broken ?? [], error.problem.effect, simulation));
      else formError(form, failureWords(error));
    }
  });
}

function effectView(plan, done, simulation) {
  const { effect } = done;
  const glass = plan.body.break_glass;
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const confirm = button(glass ? `Break the glass: ${plan.verb}` : plan.verb, () => busy(() => commit(plan, done.revision, error)), glass ? "danger" : "primary");
  confirm.id = "confirm";
  const nothing = effect.members_changed === 0;
  return [element("div", { class: "stack" }, title(`${plan.verb}?`),
    element("p", { class: glass ? "refusal" : "good" }, nothing
      ? `No answer changes: of ${count(effect.members_matched, "member")} that this matches, each is so already.`
      : `${count(effect.members_changed, "member")} of ${count(effect.wips_changed, "WIP")} ${effect.members_changed === 1 ? "changes" : "change"}, at ${effect.datacenters.join(", ") || "no site"}.`),
    glass && brokenBlock(done.broken),
    glass && element("p", null, element("b", null, "Glass broken because: "), glass),
    plan.body.reason && element("p", null, element("b", null, "Reason: "), plan.body.reason),
    !plan.path.endsWith("clear") && element("p", null, element("b", null, "Until: "), plan.body.until_s ? clock(plan.body.until_s, false) : "it is cleared"),
    simulationBlock(simulation), effectTable(effect), error,
    element("div", { class: "actions" }, confirm, button("Back", plan.back), cancel()))];
}

function effectTable(effect) {
  if (!effect?.wips.length) return null;
  const more = effect.wips_changed - effect.wips.length;
  return element("div", { class: "effects", tabindex: "0", role: "region", "aria-label": "WIPs that change" },
    element("table", null,
      element("thead", null, element("tr", null, ["WIP", "Members", "Available"].map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", null, effect.wips.map((wip) => element("tr", null, element("th", { scope: "row" }, wip.wip),
        element("td", null, wip.members.join(", ")), element("td", null, `${wip.available_before} → ${wip.available_after}`))),
      more > 0 && element("tr", null, element("td", { colspan: "3" }, `and ${count(more, "more WIP")}`)))));
}

/** How clients move, as the server reckons with the health of now. */
function simulationBlock(simulation) {
  if (!simulation) return null;
  // Among thousands of WIPs a share of all would say nothing of the one that moves.
  const one = simulation.wips_moved === 1 ? simulation.wips[0] : null;
  const moves = one ?? simulation.all;
  const whom = `clients${one ? ` of ${one.wip}` : ""} (by ${simulation.measure === "weights" ? "weight" : "address space"})`;
  const where = one ? "" : ` in ${count(simulation.wips_moved, "WIP")}`;
  const heading = simulation.wips_moved === 0 ? "No client gets another answer" : `${percent(moves.moved)} of ${whom} get another answer${where}`;
  const bars = moves.shares.slice(0, 8).map(({ to, before, after }) => element("div", { class: "bar-row" }, element("span", null, to),
    shape("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
      shape("rect", { class: "before", x: 0, y: 0, height: 5, width: Math.max(before * 100, .3) }), shape("rect", { class: "after", x: 0, y: 6, height: 6, width: Math.max(after * 100, .3) })),
    element("span", null, `${percent(before)} → ${percent(after)}`)));
  const flows = moves.flows.slice(0, 5).map(({ from, to, share }) => `${from} → ${to} ${percent(share)}`).join(", ");
  return element("div", { class: "stack" }, element("h3", null, heading),
    simulation.wips_moved > 0 && element("div", { class: "bars" }, bars), flows && element("p", { class: "note" }, `Who takes over: ${flows}`),
    simulation.wips_lost > 0 && element("p", { class: "warn" }, `${count(simulation.wips_lost, "WIP")} would have only a last resort left.`));
}

//------------ Refusal --------------------------------------------------------

function brokenBlock(broken) {
  return broken.map((rule) => {
    const more = rule.wips_total - rule.wips.length;
    // A few are named in the sentence already.
    const names = rule.wips.every((wip) => rule.detail.includes(wip)) ? [] : rule.wips;
    return element("div", { class: "refusal" }, element("p", null, element("b", { class: "mono" }, rule.rule), `: ${rule.detail}`),
      names.length > 0 && element("ul", { class: "names", "aria-label": "WIPs" }, names.map((wip) => element("li", null, wip)), more > 0 && element("li", null, `and ${more} more`)));
  });
}

function refusalView(plan, broken, effect, simulation) {
  const glass = element("form", { class: "glass", hidden: true, submit: (event) => {
    event.preventDefault();
    const reason = glass.elements.glass.value.trim();
    if (reason) preview(glass, { ...plan, body: { ...plan.body, break_glass: reason } });
  } },
    element("p", null, element("b", null, "Breaking the glass passes over the safety rules."), " It is logged with your name and this reason, and counted."),
    element("label", null, "Why the rules must be passed over", element("textarea", { name: "glass", required: true, maxlength: "500" })),
    element("p", { class: "error", role: "alert", hidden: true }),
    element("div", { class: "actions" }, element("button", { type: "submit", class: "danger" }, "Show what it does")));
  const open = button("Break the glass…", () => {
    glass.hidden = false;
    open.hidden = true;
    glass.elements.glass.focus();
  });
  return [element("div", { class: "stack" }, title("Refused: it is not safe"),
    element("p", null, `${plan.verb}: nothing was changed.`), brokenBlock(broken), simulationBlock(simulation), effectTable(effect), glass,
    element("div", { class: "actions" }, button("Back", plan.back, "primary"), button("Close", () => byId("change").close()), open))];
}

//------------ Deed -----------------------------------------------------------

async function commit(plan, seen, error) {
  try {
    const done = await post(plan.path, { ...plan.body, expected_revision: seen });
    const ends = done.drained_at_s ? `The last answer that names it expires at ${clock(done.drained_at_s)}.` : null;
    tell(`Done: ${plan.verb}`);
    showView([element("div", { class: "stack" }, title("Done"), element("p", { class: "good" }, `${plan.verb}: in force.`), ends && element("p", null, ends),
      element("div", { class: "actions" }, button("Close", () => byId("change").close(), "primary")))]);
    fetchSoon();
  } catch (failure) {
    if (failure.kind === "unsafe-change") return showView(refusalView(plan, failure.problem.broken ?? [], null, null));
    error.hidden = false;
    error.textContent = failureWords(failure);
  }
  return undefined;
}
