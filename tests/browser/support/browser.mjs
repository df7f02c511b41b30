// Chromium, driven; whatever a page complains about is kept and held against it.
import { chromium } from "playwright-core";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ROOT } from "./server.mjs";

const PICTURES = join(ROOT, "target/browser");
const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export async function launch() {
  mkdirSync(PICTURES, { recursive: true });
  // A user-data-dir of its own is made and removed by the driver.
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true,
    args: ARGUMENTS,
  });
}

/** A window on `server`, in which nothing may go wrong unseen. */
export async function open(browser, server, { width = 1440, height = 900, scheme = "dark", motion = "reduce", go = true } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: motion });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const seen = { errors: [], requests: [] };
  page.on("console", (message) => { if (message.type() === "error") seen.errors.push(message.text()); });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("request", (request) => seen.requests.push(request.url()));
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  if (go) {
    await page.goto(server.url);
    await page.locator("#live[data-live=on]").waitFor();
    await page.locator("#grid-body tr.wip").first().waitFor();
  }
  return { context, page, seen };
}

/** What the page did that it must not: complaints, and requests that leave the server. */
export async function wrongs({ page, seen }, server) {
  const violations = await page.evaluate(() => window.violations);
  const elsewhere = seen.requests.filter((url) => !url.startsWith(`${server.url}/`) && !url.startsWith("data:"));
  return [...seen.errors, ...violations, ...elsewhere];
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core holds to be serious or worse, in words. */
export async function serious(page) {
  // The driver puts it in past the page's policy, which would rightly refuse it.
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    return (await window.axe.run(document, { runOnly })).violations;
  });
  return found.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(" | ")}`);
}

/** Whether `locator` has the focus. In one look: what is drawn anew in between is not missed. */
export const isFocused = async (page, locator) => (await locator.and(page.locator(":focus")).count()) === 1;

export const picture = (page, name, options = {}) => page.screenshot({ path: join(PICTURES, `${name}.png`), ...options });
