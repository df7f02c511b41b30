// What is done from the page: drains, clears, refusals; and that DNS follows.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Sites } from "./support/sites.mjs";
import { Server, until } from "./support/server.mjs";
import { isFocused, launch, open, picture, serious, wrongs } from "./support/browser.mjs";
import { SITES, address, config } from "./support/world.mjs";

const sites = new Sites();
let server, browser;

before(async () => {
  server = await new Server(config(await sites.start(SITES.map(([, vip]) => vip)))).start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  server?.remove();
  sites.stop();
});

// One that fails leaves the next ones alone.
afterEach(async () => {
  for (const { target } of await overrides()) await say("/clear", { target, actor: "test", break_glass: "end of a test" });
});

/** Says something over the API, as another operator would. */
function say(path, body) {
  const headers = { "Content-Type": "application/json" };
  return fetch(`${server.url}/api/v1/overrides${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Every address that a name has in some answers in a row: one each, in turn. */
async function answers(name) {
  const seen = new Set();
  for (let asked = 0; asked < 16; asked++) (await server.resolve(name)).forEach((ip) => seen.add(ip));
  return seen;
}

const row = (page, wip) => page.locator("#grid-body tr.wip").filter({ hasText: wip });
const dialog = (page) => page.locator("#change");
const overrides = async () => (await server.get("/api/v1/overrides")).overrides;

/** Presses Tab until `locator` has the focus. */
async function tabTo(page, locator, most = 80) {
  for (let pressed = 0; pressed < most; pressed++) {
    if (await isFocused(page, locator)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`not reached by ${most} tabs: ${locator}`);
}

async function fill(page, { reason, name = "kim" }) {
  await dialog(page).getByLabel("Reason").fill(reason);
  await dialog(page).getByLabel("Your name").fill(name);
  await dialog(page).getByRole("button", { name: "Show what it does" }).click();
}

async function clear(page, name) {
  await page.locator("#overrides").getByRole("button", { name }).click();
  await dialog(page).getByRole("button", { name: "Show what it does" }).click();
  await page.locator("#confirm").click();
  await dialog(page).getByRole("heading", { name: "Done" }).waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).click();
}

test("a WIP is drained at a site by keyboard alone, DNS follows, and it is cleared", async () => {
  const seen = await open(browser, server);
  const { page, context } = seen;
  assert.ok((await answers("shop.gslb.example")).has(address("fra")));
  await page.keyboard.press("/");
  await page.keyboard.type("shop");
  await until("shop alone", async () => (await page.locator("#grid-body tr.wip").count()) === 1);
  await tabTo(page, row(page, "shop").getByRole("button"));
  await page.keyboard.press("Enter");
  const drain = page.getByRole("button", { name: "Drain shop.gslb.example at fra" });
  await drain.waitFor();
  await tabTo(page, drain);
  await page.keyboard.press("Enter");
  // The reason has the focus.
  await page.keyboard.type("leaking pipe");
  await tabTo(page, dialog(page).getByLabel("Your name"));
  await page.keyboard.type("kim");
  await page.keyboard.press("Enter");
  await page.locator("#confirm").waitFor();
  const words = await dialog(page).textContent();
  assert.match(words, /1 member of 1 WIP changes, at fra/);
  assert.match(words, /shop\.gslb\.example/);
  assert.match(words, /4 → 3/);
  assert.match(words, /\d %\sof clients of shop\.gslb\.example \(by address space\) get another answer/, "the simulated effect");
  assert.match(words, /leaking pipe/);
  assert.deepEqual(await serious(page), []);
  await picture(page, "drain-effect");
  assert.ok((await answers("shop.gslb.example")).has(address("fra")), "nothing before the confirmation");
  await tabTo(page, page.locator("#confirm"));
  await page.keyboard.press("Enter");
  await dialog(page).getByRole("heading", { name: "Done" }).waitFor();
  assert.ok(!(await answers("shop.gslb.example")).has(address("fra")), "answers name it no more");
  assert.ok((await answers("ledger.gslb.example")).has(address("fra")), "another WIP goes on there");
  await tabTo(page, dialog(page).getByRole("button", { name: "Close" }));
  await page.keyboard.press("Enter");
  await until("the focus is where it was", () => isFocused(page, drain));
  const entry = page.locator("#override-list .override");
  await entry.waitFor();
  assert.match(await entry.textContent(), /drain.*shop\.gslb\.example at fra.*leaking pipe.*kim.*until it is cleared/s);
  await row(page, "shop").locator("td.t-drained", { hasText: /leaking pipe – kim$/ }).waitFor();
  await page.locator("#event-list li", { hasText: "drain of shop.gslb.example at fra" }).waitFor();
  await picture(page, "drained");
  await clear(page, "Clear drain of shop.gslb.example at fra");
  assert.ok((await answers("shop.gslb.example")).has(address("fra")), "it is back");
  await page.getByText("None: health alone decides.").waitFor();
  assert.deepEqual(await wrongs(seen, server), []);
  await context.close();
});

test("a drain of a site with an end is shown on its card", async () => {
  const { page, context } = await open(browser, server);
  await page.getByRole("button", { name: "Drain site ams" }).click();
  await dialog(page).locator("[name=until]").selectOption({ label: "1 hour from now" });
  await fill(page, { reason: "new cooling" });
  await page.locator("#confirm").click();
  await dialog(page).getByRole("heading", { name: "Done" }).waitFor();
  const [entry] = await overrides();
  const end = entry.until_s - Date.now() / 1000;
  assert.ok(end > 3_400 && end < 3_700, `${end} s`);
  await dialog(page).getByRole("button", { name: "Close" }).click();
  await page.locator(".site[data-site=ams] .site-top .state", { hasText: "drained" }).waitFor();
  await picture(page, "site-drained");
  await clear(page, "Clear drain of site ams");
  assert.deepEqual(await overrides(), []);
  await context.close();
});

test("cancelling changes nothing", async () => {
  const { page, context } = await open(browser, server);
  await page.getByRole("button", { name: "Drain site fra" }).click();
  await fill(page, { reason: "on second thoughts" });
  await page.locator("#confirm").waitFor();
  await page.keyboard.press("Escape");
  assert.ok(!(await dialog(page).isVisible()));
  assert.deepEqual(await overrides(), []);
  await context.close();
});

test("an unsafe drain is refused with rule and WIPs, and the glass is a second step", async () => {
  const { page, context } = await open(browser, server);
  await page.getByRole("button", { name: "Drain site lab" }).click();
  await fill(page, { reason: "tidying" });
  await dialog(page).getByRole("heading", { name: "Refused" }).waitFor();
  const refusal = await dialog(page).locator(".refusal").textContent();
  assert.match(refusal, /min_members/);
  assert.match(refusal, /lonely\.gslb\.example/);
  assert.equal(await page.locator("#confirm").count(), 0, "there is nothing to confirm");
  assert.deepEqual(await serious(page), []);
  await picture(page, "refused");
  assert.deepEqual(await overrides(), [], "nothing was changed");
  await dialog(page).getByRole("button", { name: "Break the glass…" }).click();
  const why = dialog(page).getByLabel("Why the rules must be passed over");
  await dialog(page).getByRole("button", { name: "Show what it does" }).click();
  assert.equal(await page.locator("#confirm").count(), 0, "not without a reason of its own");
  await why.fill("fire in the lab");
  await dialog(page).getByRole("button", { name: "Show what it does" }).click();
  await page.locator("#confirm").waitFor();
  assert.match(await dialog(page).textContent(), /Glass broken because: fire in the lab/);
  await picture(page, "glass");
  assert.deepEqual(await overrides(), []);
  await page.locator("#confirm").click();
  await dialog(page).getByRole("heading", { name: "Done" }).waitFor();
  const [entry] = await overrides();
  assert.deepEqual([entry.break_glass, entry.reason], ["fire in the lab", "tidying"]);
  await dialog(page).getByRole("button", { name: "Close" }).click();
  await page.locator("#override-list", { hasText: "Glass broken: fire in the lab" }).waitFor();
  await clear(page, "Clear drain of site lab");
  await context.close();
});

test("what another operator changed meanwhile is not passed over", async () => {
  const { page, context } = await open(browser, server);
  await page.getByRole("button", { name: "Drain site fra" }).click();
  await fill(page, { reason: "mine" });
  await page.locator("#confirm").waitFor();
  const other = await say("", { kind: "drain", target: { datacenter: "sin" }, reason: "theirs", actor: "lee" });
  assert.equal(other.status, 200, await other.text());
  await page.locator("#confirm").click();
  await dialog(page).locator(".error", { hasText: /meanwhile/i }).waitFor();
  assert.deepEqual((await overrides()).map(({ reason }) => reason), ["theirs"]);
  await dialog(page).getByRole("button", { name: "Cancel" }).click();
  await clear(page, "Clear drain of site sin");
  await context.close();
});

test("a reason that is markup is shown as it is", async () => {
  const { page, context } = await open(browser, server);
  const bad = "<img src=x onerror=window.owned=1>";
  await page.getByRole("button", { name: "Drain site iad" }).click();
  await fill(page, { reason: bad, name: bad });
  await page.locator("#confirm").click();
  await dialog(page).getByRole("heading", { name: "Done" }).waitFor();
  await dialog(page).getByRole("button", { name: "Close" }).click();
  await page.locator("#override-list .override", { hasText: bad }).waitFor();
  await page.locator("#event-list li", { hasText: bad }).first().waitFor();
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.equal(await page.locator("main img").count(), 0);
  await clear(page, "Clear drain of site iad");
  await context.close();
});
