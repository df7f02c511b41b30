// Being live: the stream of events, and data fetched anew when something happened.
//
// The stream is read with fetch, not EventSource, which cannot send the token.

/** A stream without a sign of life for so long is dead: the server sends one every 10 s. */
const SILENCE_MS = 25_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];
/** Data is fetched at most this often. */
const FETCH_MS = 1_000;
/** And at least this often, for figures change without events. */
const REFRESH_MS = 10_000;

const live = { lastId: null, since: null, lost: null, attempt: 0, abort: null, waiting: 0, retryAt: 0 };

/** Shows whether what is on the screen is true now. */
function showLive(on, why) {
  const was = byId("live").dataset.live === "on";
  byId("live").dataset.live = on ? "on" : "off";
  if (on) {
    live.lost = null;
    byId("live-text").textContent = "Live";
    if (!was && live.since !== null) tell("The page is live again");
    live.since = nowSeconds();
    return;
  }
  if (was || live.lost === null) live.lost = nowSeconds();
  const since = live.since === null ? "Not live" : `Not live since ${clock(live.lost)}`;
  byId("live-text").textContent = why ? `${since}: ${why}` : since;
  if (was) tell(`${since}, what is shown may be old`);
}

async function follow() {
  clearTimeout(live.waiting);
  live.abort?.abort();
  if (document.hidden) return;
  const abort = new AbortController();
  live.abort = abort;
  let deadline = 0;
  const alive = () => {
    clearTimeout(deadline);
    deadline = setTimeout(() => abort.abort("silence"), SILENCE_MS);
  };
  let why = "the connection broke";
  try {
    alive();
    const path = live.lastId === null ? "/api/v1/events?after=0" : "/api/v1/events";
    const more = live.lastId === null ? {} : { "Last-Event-ID": live.lastId };
    const response = await request(path, { signal: abort.signal, accept: "text/event-stream", more });
    live.attempt = 0;
    showLive(true);
    fetchSoon();
    await readStream(response.body, alive);
    why = "the server ended the stream";
  } catch (error) {
    if (live.abort !== abort) return; // A newer one took over.
    if (error instanceof Refused) {
      // It answers, only not with a stream: what is shown is fetched with each try.
      why = error.message;
      fetchSoon();
    } else if (abort.signal.reason === "silence") why = "the server says nothing";
    else if (!navigator.onLine) why = "this device is offline";
    else why = "the server does not answer";
  } finally {
    clearTimeout(deadline);
  }
  if (live.abort !== abort || document.hidden) return;
  const pause = BACKOFF_MS[Math.min(live.attempt++, BACKOFF_MS.length - 1)];
  showLive(false, why);
  live.waiting = setTimeout(follow, pause * (0.8 + Math.random() * 0.4));
}

/** Reads server-sent events until the stream ends. */
async function readStream(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    text += value;
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop();
    const events = blocks.map(readEvent).filter(Boolean);
    if (events.length) happened(events);
  }
}

function readEvent(block) {
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([a-z]+):? ?(.*)$/.exec(line) ?? [];
    if (field === "id") live.lastId = value;
    if (field === "data") data.push(value);
  }
  if (!data.length) return null;
  try { return JSON.parse(data.join("\n")); } catch { return null; }
}

function happened(events) {
  noteEvents(events);
  fetchSoon();
}

//------------ Fetching -------------------------------------------------------

const parts = []; // { path(), show(data), text } in the order in which they are fetched
let fetchTimer = 0;
let fetching = false;
let fetchAgain = false;
let fetchedAt = 0;

/** Something changed: fetch, but not more often than once a second. */
function fetchSoon() {
  if (fetching) { fetchAgain = true; return; }
  if (fetchTimer || document.hidden) return;
  fetchTimer = setTimeout(fetchAll, Math.max(0, fetchedAt + FETCH_MS - Date.now()));
}

async function fetchAll() {
  clearTimeout(fetchTimer);
  fetchTimer = 0;
  fetching = true;
  fetchAgain = false;
  fetchedAt = Date.now();
  for (const part of parts) await fetchPart(part);
  fetching = false;
  showVerdict();
  if (fetchAgain) fetchSoon();
}

async function fetchPart(part) {
  const path = part.path();
  try {
    const text = await (await request(path)).text();
    // What is the same is not drawn again.
    if (text === part.text && path === part.shown) return;
    const data = JSON.parse(text);
    part.text = text;
    part.shown = path;
    part.show(data);
  } catch (error) {
    // A server that does not answer is told by the stream, which sees it too.
    if (error instanceof Refused) part.failed?.(error);
  }
}

function startLive() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      live.abort?.abort();
      live.abort = null;
      clearTimeout(live.waiting);
      showLive(false, "the tab was hidden");
    } else {
      follow();
    }
  });
  window.addEventListener("online", follow);
  setInterval(() => { if (!document.hidden && byId("live").dataset.live === "on") fetchSoon(); }, REFRESH_MS);
  follow();
  fetchSoon();
}
