// What is seen: the page loads, is live, says what happens, in every light and width.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Sites } from "./support/sites.mjs";
import { Server, until } from "./support/server.mjs";
import { isFocused, launch, open, picture, serious, wrongs } from "./support/browser.mjs";
import { SITES, address, config } from "./support/world.mjs";

const sites = new Sites();
let port, server, browser;

before(async () => {
  port = await sites.start(SITES.map(([, vip]) => vip));
  server = await new Server(config(port)).start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  server?.remove();
  sites.stop();
});

const card = (page, site) => page.locator(`.site[data-site="${site}"]`);
const row = (page, wip) => page.locator("#grid-body tr.wip").filter({ hasText: wip });
const isState = (page, site, state) => card(page, site).locator(".site-top .state", { hasText: new RegExp(`^${state}$`) }).waitFor();

test("it loads with nothing to complain about and nothing from elsewhere", async () => {
  const seen = await open(browser, server);
  const { page, context } = seen;
  for (const [site] of SITES) await isState(page, site, "up");
  assert.match(await page.locator("#verdict").textContent(), /All 5 sites up/);
  assert.match(await page.title(), /gtm1\.example\.net/);
  assert.match(await page.locator("#facts").textContent(), /generation 1/);
  assert.equal(await page.locator(".pin").count(), 4, "four sites have a place");
  assert.match(await page.locator("#unplaced").textContent(), /lab/);
  // The series comes with the second sample.
  await card(page, "fra").locator(".spark svg[aria-label*='Probe']").waitFor();
  await picture(page, "all-up");
  assert.deepEqual(await wrongs(seen, server), []);
  await context.close();
});

test("a policy forbids what is not the page's own", async () => {
  const response = await fetch(server.url);
  const policy = response.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'/);
  assert.match(policy, /base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/);
  const { page, context } = await open(browser, server);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.stranger = true";
    document.body.append(script);
    return window.stranger === true;
  });
  assert.equal(ran, false, "a script that is put in does not run");
  assert.match((await page.evaluate(() => window.violations)).join(), /script-src/);
  await context.close();
});

test("a site that is lost shows without a reload, and so does its return", async () => {
  const seen = await open(browser, server);
  const { page, context } = seen;
  await isState(page, "iad", "up");
  await page.evaluate(() => { window.sameDocument = true; });
  sites.fail(address("iad"));
  await isState(page, "iad", "down");
  await row(page, "shop").locator("td.t-down", { hasText: "503" }).waitFor();
  assert.match(await page.locator("#verdict").textContent(), /iad down/);
  await page.locator("#event-list li", { hasText: "iad" }).filter({ hasText: "up → down" }).waitFor();
  await until("it is said to screen readers", async () => (await page.locator("#say").textContent()).includes("iad"));
  await picture(page, "site-down");
  // Only those in trouble: iad's.
  await page.getByLabel("Only troubled").check();
  await until("the untroubled are gone", async () => (await row(page, "lonely").count()) === 0);
  assert.equal(await row(page, "ledger").count(), 1);
  await page.getByLabel("Only troubled").uncheck();
  sites.mend(address("iad"));
  await isState(page, "iad", "up");
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  assert.deepEqual(await wrongs(seen, server), []);
  await context.close();
});

test("many WIPs come in pages and are found by name", async () => {
  const { page, context } = await open(browser, server);
  assert.match(await page.locator("#wips-count").textContent(), /124 WIPs, page 1 of 3/);
  await page.getByRole("button", { name: "Next" }).click();
  await row(page, "app-060").waitFor();
  assert.equal(await row(page, "shop").count(), 0);
  await page.getByRole("button", { name: "Previous" }).click();
  await row(page, "shop").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("app-11");
  await until("only those found", async () => (await page.locator("#grid-body tr.wip").count()) === 10);
  await page.getByLabel("Name holds").fill("no such name");
  await page.getByText("No WIP is like that.").waitFor();
  await context.close();
});

test("a row opens to its members by keyboard", async () => {
  const { page, context } = await open(browser, server);
  const name = row(page, "video").getByRole("button");
  await name.focus();
  await page.keyboard.press("Enter");
  const detail = page.locator("tr.detail");
  await detail.waitFor();
  assert.equal(await name.getAttribute("aria-expanded"), "true");
  for (const words of ["pool east", "spare", "weight 3", "127.21.0.4"]) assert.match(await detail.textContent(), new RegExp(words));
  await until("the focus stays", () => isFocused(page, name));
  await context.close();
});

test("it holds every width, light and dark, without a serious fault of access", async () => {
  sites.fail(address("sin"));
  for (const scheme of ["light", "dark"]) {
    for (const width of [320, 768, 1440]) {
      const seen = await open(browser, server, { width, height: 900, scheme });
      const { page, context } = seen;
      await isState(page, "sin", "down");
      await row(page, "shop").getByRole("button").click();
      const across = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(across <= width, `${across} px at ${width} px, ${scheme}`);
      assert.deepEqual(await serious(page), [], `${width} px, ${scheme}`);
      await picture(page, `${scheme}-${width}`);
      await page.locator("#new-override").click();
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
      assert.deepEqual(await serious(page), [], `dialog, ${width} px, ${scheme}`);
      await picture(page, `${scheme}-${width}-dialog`);
      await context.close();
    }
  }
  sites.mend(address("sin"));
});

test("strangers' words are text, never markup", async () => {
  const seen = await open(browser, server, { go: false });
  const { page, context } = seen;
  const bad = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>"'`;
  const answer = (path, body) => page.route(path, (route) => route.fulfill({ json: body }));
  const status = await server.get("/api/v1/status");
  status.identity = bad;
  status.config.last_reload_refused = { report: bad, problems: [{}] };
  await answer("**/api/v1/status", status);
  const member = { name: bad, pool: bad, datacenter: bad, weight: 1, available: false, effective: bad, probed: "down", reason: bad, override_id: 1, vips: [{ address: bad, effective: bad, probed: bad, available: false }] };
  await answer("**/api/v1/wips?*", { total: 1, next: null, wips: [{ name: bad, aliases: [bad], policy: bad, ttl_s: 1, available: 0, members: [member] }] });
  await answer("**/api/v1/datacenters", { series_interval_s: 5, datacenters: [{ name: bad, location: { latitude: 1, longitude: 2 }, vips: [bad], gate: bad, state: bad, members: 1, available: 0, overridden: 1, probe_ms: [1, null, 2], answers_per_s: [] }] });
  await answer("**/api/v1/overrides", { now_s: 1, revision: 1, overrides: [{ id: 1, kind: "drain", target: { datacenter: bad, wip: bad, member: bad }, reason: bad, actor: bad, created_at_s: 1, at_s: null, until_s: null, break_glass: bad, phase: "refused", refused: bad, members: 1 }] });
  await page.route("**/api/v1/events*", (route) => route.fulfill({
    contentType: "text/event-stream",
    body: [{ event: "transition", id: 1, at_us: 1e15, check: bad, wip: bad, member: bad, address: bad, from: bad, to: bad, reason: bad, detail: bad }, { event: bad, id: 2, at_us: 1e15, detail: bad }]
      .map((event) => `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`).join(""),
  }));
  await page.goto(server.url);
  await page.locator("#override-list .override").waitFor();
  await page.locator("#event-list li").nth(1).waitFor();
  await page.locator("#grid-body .row").click();
  await page.locator("tr.detail").waitFor();
  for (const place of ["#identity", "#grid-body", "#site-list", "#override-list", "#event-list", "#alarms"]) {
    assert.ok((await page.locator(place).textContent()).includes(bad), `${place} shows it as it is`);
  }
  await page.locator("#override-list button").click();
  assert.ok((await page.locator("#change").textContent()).includes(bad));
  assert.equal(await page.locator("main img, main script, dialog img, dialog script, header img").count(), 0);
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  await context.close();
});

test("a refused reload is shown with its report, until one is taken", async () => {
  const { page, context } = await open(browser, server);
  server.write(`${config(port)}\n[nonsense]\n`);
  const alarm = page.locator(".alarm", { hasText: "reload was refused" });
  await alarm.waitFor();
  await alarm.locator("summary").click();
  assert.match(await alarm.locator("pre").textContent(), /nonsense/);
  await picture(page, "reload-refused");
  server.write(config(port));
  await alarm.waitFor({ state: "detached" });
  await context.close();
});

test("while the server is away the page says so, and comes back by itself", async () => {
  const { page, context } = await open(browser, server);
  await server.stop();
  const live = page.locator("#live");
  await until("it is not live", async () => /Not live since \d/.test(await live.textContent()));
  assert.equal(await live.getAttribute("data-live"), "off");
  await picture(page, "not-live");
  await server.start();
  await page.locator("#live[data-live=on]").waitFor();
  sites.fail(address("ams"));
  await isState(page, "ams", "down");
  sites.mend(address("ams"));
  await isState(page, "ams", "up");
  await context.close();
});

test("a hidden tab lets go of its stream and takes it up again", async () => {
  const { page, context } = await open(browser, server);
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(true);
  await page.locator("#live[data-live=off]").waitFor();
  await hide(false);
  await page.locator("#live[data-live=on]").waitFor();
  await context.close();
});
