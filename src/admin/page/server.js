// Talking with the server: the token, requests, and the mistakes it names.

const TOKEN_KEY = "windrose-token";

/** Memory of this tab or browser; some browsers forbid it, and then there is none. */
const memory = (storage) => ({
  get(key) { try { return window[storage].getItem(key); } catch { return null; } },
  set(key, value) { try { window[storage].setItem(key, value); } catch { /* forgotten */ } },
  drop(key) { try { window[storage].removeItem(key); } catch { /* not there */ } },
});
const tab = memory("sessionStorage");
const browser = memory("localStorage");

/** What the server said no to: a problem document, or that nobody answered. */
class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
    this.kind = String(problem.type ?? "").replace("urn:windrose:problem:", "");
  }
}

let token = tab.get(TOKEN_KEY) ?? "";
let askingToken = null;

function headers(more) {
  return { ...more, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

function setClock(date) {
  const ahead = Date.parse(date ?? "") / 1000 - Date.now() / 1000;
  // The header has whole seconds.
  if (Math.abs(ahead - clockAhead) > 2) clockAhead = ahead;
}

/** One request. A wrong or missing token is asked for, and the request made again. */
async function request(path, { method = "GET", body, signal, accept = "application/json", more = {} } = {}) {
  for (;;) {
    const sent = token;
    const response = await fetch(path, {
      method, signal, cache: "no-store", credentials: "omit", redirect: "error",
      headers: headers({ Accept: accept, ...more, ...(body ? { "Content-Type": "application/json" } : {}) }),
      body: body ? JSON.stringify(body) : undefined,
    });
    setClock(response.headers.get("Date"));
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    if (response.status !== 401) throw new Refused(response.status, problem);
    // Another request may have brought a new one meanwhile.
    if (sent === token) await askToken(sent !== "");
  }
}

const read = async (path, options) => (await request(path, options)).json();
const post = (path, body) => read(path, { method: "POST", body });

/** Asks for the token once, however many requests want it. */
function askToken(wasWrong) {
  askingToken ??= new Promise((done) => {
    const dialog = byId("token-dialog");
    const error = byId("token-error");
    error.hidden = !wasWrong;
    error.textContent = wasWrong ? "That is not this server's token." : "";
    byId("token").value = "";
    tab.drop(TOKEN_KEY);
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      const given = byId("token").value.trim();
      // What a header cannot carry is no token either.
      if (!/^[\x21-\x7e]+$/.test(given)) {
        error.hidden = false;
        error.textContent = "A token is one word of plain characters.";
        return;
      }
      token = given;
      tab.set(TOKEN_KEY, token);
      dialog.close();
      askingToken = null;
      done();
    };
    // Nothing works without it.
    dialog.oncancel = (event) => event.preventDefault();
    if (!dialog.open) dialog.showModal();
    byId("token").focus();
  });
  return askingToken;
}
