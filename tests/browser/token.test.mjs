// A server with a token: the page asks for it, once a tab, and never shows it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Sites } from "./support/sites.mjs";
import { Server } from "./support/server.mjs";
import { launch, open, picture, serious } from "./support/browser.mjs";
import { SITES, config } from "./support/world.mjs";

const TOKEN = "0123456789abcdef-right";
const sites = new Sites();
let server, browser;

before(async () => {
  server = await new Server(config(await sites.start(SITES.map(([, vip]) => vip))), { token: TOKEN }).start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  server?.remove();
  sites.stop();
});

test("the token is asked for, a wrong one is named, the right one is kept in the tab", async () => {
  const { page, context, seen } = await open(browser, server, { go: false });
  await page.goto(server.url);
  const dialog = page.locator("#token-dialog");
  await dialog.waitFor();
  await picture(page, "token");
  assert.deepEqual(await serious(page), []);
  await page.locator("#token").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("That is not this server's token.").waitFor();
  assert.equal(await page.locator("#grid-body tr.wip").count(), 0, "nothing is shown without it");
  await page.locator("#token").fill(TOKEN);
  await page.keyboard.press("Enter");
  await page.locator("#live[data-live=on]").waitFor();
  await page.locator("#grid-body tr.wip").first().waitFor();
  assert.ok(!(await dialog.isVisible()));
  assert.ok(seen.requests.every((url) => !url.includes("wrong") && !url.includes(TOKEN)), "never in an address");
  assert.equal(await page.evaluate(() => localStorage.length), 0, "never beyond the tab");
  assert.ok(!(await page.content()).includes(TOKEN));
  await page.reload();
  await page.locator("#live[data-live=on]").waitFor();
  assert.ok(!(await dialog.isVisible()), "the tab remembers");
  await context.close();
});
