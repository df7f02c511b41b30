// Building blocks: elements, states, times. Data becomes text nodes and attributes set
// one by one, never markup: names and reasons are strangers' words.

const byId = (id) => document.getElementById(id);

/** An element: element("p", { class: "note", title: "…" }, "text", child, null). */
function element(tag, attributes, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function shape(tag, attributes, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  // A number is shown, nothing and false are not.
  node.append(...children.flat().filter((child) => child || child === 0 || child === ""));
  return node;
}

/** Puts `nodes` in the place of what `parent` holds; who had the focus keeps it. */
function refill(parent, ...nodes) {
  const active = parent.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.dataset.key;
  parent.replaceChildren(...nodes.flat().filter(Boolean));
  if (key) [...parent.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key)?.focus({ preventScroll: true });
}

//------------ States ---------------------------------------------------------

const STATES = {
  "up": "up", "down": "down", "degraded": "degraded", "drained": "drained", "held": "held",
  "unknown": "unknown", "unused": "unused", "forced-up": "forced up", "forced-down": "forced down",
};
/** The worst first. */
const BY_TROUBLE = ["down", "forced-down", "degraded", "drained", "held", "unknown", "forced-up", "unused", "up"];
const known = (state) => (Object.hasOwn(STATES, state) ? state : "unknown");

function icon(state) {
  return shape("svg", { class: "shape", "aria-hidden": "true" }, shape("use", { href: `#i-${known(state)}` }));
}

/** A state as shape, word and colour. */
function stateMark(state, words) {
  return element("span", { class: `state s-${known(state)}` }, icon(state), element("span", null, words ?? STATES[known(state)]));
}

//------------ Words ----------------------------------------------------------

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many ?? `${one}s`}`;
const percent = (share) => {
  const value = share * 100;
  return `${value === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} %`;
};
const sameDay = (a, b) => a.toDateString() === b.toDateString();

/** "14:03:07", with the day where it is another one. */
function clock(seconds, withSeconds = true) {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString("en-GB", withSeconds ? {} : { hour: "2-digit", minute: "2-digit" });
  if (sameDay(date, new Date(nowSeconds() * 1000))) return time;
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time.slice(0, 5)}`;
}

const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
/** "4 min", "2 h". */
function span(seconds) {
  const [unit, name] = STEPS.find(([unit]) => seconds >= unit) ?? STEPS[3];
  return `${Math.max(0, Math.floor(seconds / unit))} ${name}`;
}

/** How far the server's clock is ahead of ours: ages and ends are by the server's. */
let clockAhead = 0;
const nowSeconds = () => Date.now() / 1000 + clockAhead;

/** A moment that tells how long ago it is, and goes on telling. */
function ago(seconds) {
  const node = element("time", { "data-ago": seconds, datetime: new Date(seconds * 1000).toISOString(), title: new Date(seconds * 1000).toLocaleString("en-GB") });
  tellAge(node);
  return node;
}

function tellAge(node) {
  const seconds = nowSeconds() - Number(node.dataset.ago);
  const text = seconds < -1 ? `in ${span(-seconds)}` : seconds < 5 ? "just now" : `${span(seconds)} ago`;
  if (node.textContent !== text) node.textContent = text;
}

setInterval(() => document.querySelectorAll("[data-ago]").forEach(tellAge), 5_000);

/** Whom an override means, in words. */
function targetWords({ datacenter, wip, member }) {
  const words = [];
  if (member) words.push(`member ${member}`);
  if (wip) words.push(member ? `of ${wip}` : wip);
  if (datacenter) words.push(words.length ? `at ${datacenter}` : `site ${datacenter}`);
  return words.join(" ") || "everything";
}

//------------ Telling --------------------------------------------------------

let told = [];
let telling = 0;
/** Says something to screen readers; what comes together is said together. */
function tell(text) {
  told.push(text);
  if (telling) return;
  telling = setTimeout(() => {
    telling = 0;
    const more = told.length - 3;
    byId("say").textContent = told.slice(0, 3).join(". ") + (more > 0 ? `. And ${more} more changes.` : ".");
    told = [];
  }, 1_000);
}
