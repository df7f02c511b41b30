// What happened last, newest first.

const EVENTS_MAX = 500;
const EVENTS_SHOWN = 12;
let recent = [];
let shown = EVENTS_SHOWN;
/** What happened before the page was there is shown, not read out. */
const isNews = (event) => event.at_us / 1e6 > performance.timeOrigin / 1000 + clockAhead - 2;

const whose = (event) => (event.wip ? `${event.member} of ${event.wip}` : `site check of ${event.member}`);
const because = (event) => [event.reason, event.detail].filter(Boolean).join(": ");

const said = (event) => `${event.actor}: ${event.reason}`;

/** An event as a state, a title and the reason; none: not for people. */
const DESCRIBE = {
  transition: (event) => [event.to, `${whose(event)}: ${event.from} → ${event.to}`, [event.check && `check ${event.check}`, because(event)].filter(Boolean).join(", ")],
  available: (event) => (event.available
    ? ["up", `${whose(event)} is answered again`, event.address]
    : ["down", `${whose(event)} is no longer answered`, event.address]),
  held: (event) => [event.held ? "held" : "up", `${whose(event)} is ${event.held ? "up and held out of answers" : "held no more"}`, event.address],
  silent: (event) => ["unknown", `${whose(event)}: no verdict for three intervals`, because(event)],
  certificate_expiring: (event) => ["degraded", `${whose(event)}: certificate expires ${clock(event.expires_at_s)}`, `check ${event.check}`],
  limiter_tripped: (event) => ["degraded", "The limiter tripped", `${event.undone} of ${event.targets} targets lost at once: held to be this host's fault`],
  limiter_released: (event) => ["up", "The limiter released", `${count(event.held, "target")}${event.by_operator ? ", at an operator's word" : ""}`],
  prober_stalled: () => ["down", "The prober is stuck", "members are answered as before"],
  prober_resumed: (event) => ["up", "The prober goes on", `after ${event.stalled_ms} ms`],
  config_loaded: (event) => ["up", `Config ${event.generation} in force (${event.cause})`, event.changes.join("; ")],
  config_refused: (event) => ["down", `Config refused (${event.cause})`, count(event.problems, "problem")],
  override_set: (event) => [KINDS[event.kind], `${event.kind} of ${targetWords(event.target)}`, said(event)],
  override_cleared: (event) => ["up", `${event.kind} of ${targetWords(event.target)} cleared`, [event.by, event.because].filter(Boolean).join(": ")],
  override_started: (event) => [KINDS[event.kind], `${event.kind} of ${targetWords(event.target)}: its time came`, said(event)],
  override_ended: (event) => ["up", `${event.kind} of ${targetWords(event.target)}: its time ran out`, said(event)],
  override_refused: (event) => ["degraded", `${event.kind} of ${targetWords(event.target)} refused`, `${event.rules.join(", ")}: ${event.detail} (${said(event)})`],
  lagged: (event) => ["unknown", event.missed ? `${count(event.missed, "event")} missed` : "The server was started anew", ""],
};

function describe(event) {
  try {
    if (Object.hasOwn(DESCRIBE, event.event)) return DESCRIBE[event.event](event);
  } catch { /* A field that this page expects is not there. */ }
  return ["unknown", String(event.event ?? "event").replaceAll("_", " "), [event.detail, event.reason].filter((text) => typeof text === "string").join(": ")];
}

function noteEvents(events) {
  for (const event of events) {
    if (event.id && recent.some((other) => other.id === event.id)) continue;
    recent.unshift(event);
    if (isNews(event)) tell(describe(event)[1]);
  }
  recent = recent.slice(0, EVENTS_MAX);
  showEvents();
}

function showEvents() {
  const list = byId("event-list");
  if (!recent.length) return refill(list, element("li", { class: "empty" }, "Nothing yet."));
  refill(list, recent.slice(0, shown).map((event) => {
    const [state, title, why] = describe(event);
    const at = event.at_us / 1e6;
    return element("li", null,
      element("time", { datetime: new Date(at * 1000).toISOString(), title: new Date(at * 1000).toLocaleString("en-GB") }, clock(at)),
      element("p", null, icon2(state), element("span", null, title), why && element("span", { class: "why" }, ` – ${why}`)));
  }));
  byId("more-events").hidden = recent.length <= shown;
  return undefined;
}

/** A state's shape alone, where the words beside it say the state. */
function icon2(state) {
  return element("span", { class: `state s-${known(state)}` }, icon(state), " ");
}

function startEvents() {
  byId("more-events").addEventListener("click", () => {
    shown += 50;
    showEvents();
  });
  showEvents();
}
