// Drives every page in Chromium over a real workspace: screenshots, no console errors, names for every control, relabel and undo, rollback,
// the fleet's filter and 3,000 rows.
//   node page_test.mjs SIGHTLINE WORK_FOLDER
// The workspace is made by `make_workspace.mjs` with the program itself. Screenshots lie in WORK_FOLDER/shots.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { chromium } from "../../src/app/web/page/node_modules/playwright-core/index.mjs";
import { makeWorkspace } from "./make_workspace.mjs";

const [program, work] = process.argv.slice(2).map((each) => resolve(each));
const shots = join(work, "shots");
rmSync(work, { recursive: true, force: true });
mkdirSync(shots, { recursive: true });

const chrome = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((each) => existsSync(each));
assert.ok(chrome, "there is no Chromium: scripts/install-deps build");
makeWorkspace(program, work);

// The page's server on a free port, and its address.
async function serve(folder) {
  const server = spawn(program, ["ui", "--workspace", join(folder, ".sightline")], { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((found, failed) => {
    let said = "";
    server.stdout.on("data", (text) => {
      said += text;
      const address = /http:\/\/[^\s/]+:\d+/.exec(said);
      if (address) found(address[0]);
    });
    server.on("exit", (code) => failed(new Error(`sightline ui ended with ${code}`)));
  });
  return { url, stop: () => server.kill("SIGINT") };
}

const browser = await chromium.launch({ executablePath: chrome, args: ["--no-sandbox"] });
let failures = 0;
async function check(name, base, body, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  try {
    await page.goto(base);
    await body(page);
    assert.deepEqual(problems, []);
    console.log(`ok    ${name}`);
  } catch (error) {
    ++failures;
    console.log(`FAIL  ${name}\n${error.stack}\n${problems.join("\n")}`);
    await page.screenshot({ path: join(shots, `failed-${name.replace(/\W+/g, "-")}.png`) });
  }
  await page.close();
}

// Every control and picture has a name that a screen reader can say.
async function assertNames(page) {
  const nameless = await page.evaluate(() => {
    const named = (e) =>
      e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.getAttribute("title") || (e.labels && e.labels.length > 0) || (e.querySelector && e.querySelector("img[alt]:not([alt=''])"));
    const bad = [...document.querySelectorAll("a,button,input,select,meter,progress,[role=img]")].filter((e) => !named(e));
    const pictures = [...document.querySelectorAll("img")].filter((e) => !e.hasAttribute("alt"));
    return [...bad, ...pictures].map((e) => e.outerHTML.slice(0, 120));
  });
  assert.deepEqual(nameless, []);
  assert.equal(await page.locator("h1").count(), 1, "one heading for each page");
}
async function shoot(page, name) {
  for (const [width, height] of [[1280, 900], [400, 800]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`) });
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name} is ${wide} pixels too wide at ${width}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

const small = await serve(work);

await check("the overview says target, value and state", small.url, async (page) => {
  const row = page.getByRole("row", { name: /shapes/ });
  await row.waitFor();
  assert.match(await row.innerText(), /in force/);
  assert.match(await row.innerText(), /target 0\.5 met/);
  assert.equal(await page.title(), "Overview · Sightline");
  await assertNames(page);
  await shoot(page, "overview");
});

await check("the overview is walked with the keyboard", small.url, async (page) => {
  await page.getByRole("link", { name: "shapes", exact: true }).first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "shapes", level: 1 }).waitFor();
  await page.waitForTimeout(100);
  assert.equal(await page.evaluate(() => document.activeElement.id), "title", "the new page's title has the focus");
});

await check("a model shows figures, its confusion's pictures, lineage", `${small.url}/#/model/shapes`, async (page) => {
  await page.getByText("macro_f1").first().waitFor();
  await page.getByRole("grid", { name: "Confusion matrix" }).waitFor();
  const cell = page.locator(".confusion button.right").first();
  await cell.click();
  await page.locator(".cell-pictures img").first().waitFor();
  assert.ok(await page.locator(".cell-pictures img").first().evaluate((img) => img.decode().then(() => img.naturalWidth > 0)));
  await page.keyboard.press("ArrowRight");
  assert.match(await page.evaluate(() => document.activeElement.dataset.cell), /^0,1$/);
  await page.getByRole("img", { name: /How shapes version \d+ came about: .*import/ }).waitFor();
  await assertNames(page);
  await shoot(page, "model");
});

await check("two releases are compared, an earlier one is put in force and the later one again", `${small.url}/#/model/shapes?version=1&compare=2`, async (page) => {
  await page.getByRole("heading", { name: "Version 2 against version 1" }).waitFor();
  await page.getByRole("rowheader", { name: "p95_ms" }).waitFor();
  await page.getByRole("button", { name: "Roll back to v1" }).click();
  const dialog = page.getByRole("dialog", { name: "Put version 1 of shapes in force?" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await dialog.count(), 0, "Escape means no");
  await page.getByRole("button", { name: "Roll back to v1" }).click();
  await page.getByRole("button", { name: "Put v1 in force" }).click();
  await page.getByText("Version 1 is in force now; it was version 2.").waitFor();
  await page.getByRole("combobox", { name: /^Release/ }).selectOption("2");
  await page.getByRole("button", { name: "Put in force v2" }).click();
  await page.getByRole("button", { name: "Put v2 in force" }).click();
  await page.getByText("Version 2 is in force now; it was version 1.").waitFor();
});

await check("a suspected label is corrected with one key and taken back with another", `${small.url}/#/data/shapes/suspects`, async (page) => {
  await page.locator(".question").waitFor();
  const before = await page.locator(".question").innerText();
  await page.keyboard.press("y");
  await page.getByText(/\(revision 1\)/).waitFor();
  const file = join(work, ".sightline/corrections/shapes.jsonl");
  const first = JSON.parse(readFileSync(file, "utf8").trim().split("\n")[0]);
  assert.ok(before.includes(first.from) && before.includes(first.to), `${before} is not ${first.from} → ${first.to}`);
  await page.locator("button.pick.done").first().waitFor();
  await assertNames(page);
  await shoot(page, "suspects");
  await page.keyboard.press("z");
  await page.getByText(/undoes 1/).waitFor();
  assert.equal(readFileSync(file, "utf8").trim().split("\n").length, 2, "both revisions stay");
  await page.locator("button.pick.done").waitFor({ state: "detached" });
});

await check("pictures by class, and the choice of another class", `${small.url}/#/data/shapes`, async (page) => {
  await page.locator(".thumbs img").first().waitFor();
  await page.getByLabel("Split").selectOption("test");
  await page.locator(".thumbs button.pick").first().click();
  await page.locator(".detail img").waitFor();
  await assertNames(page);
  await shoot(page, "data");
});

await check("duplicates and leaks stand side by side", `${small.url}/#/data/shapes/problems`, async (page) => {
  await page.locator(".side-by-side img").nth(1).waitFor();
  await assertNames(page);
  await shoot(page, "problems");
});

await check("a build is started, followed and ends", `${small.url}/#/build`, async (page) => {
  await page.getByRole("button", { name: "Build shapes (shapes.yaml)" }).waitFor();
  await assertNames(page);
  await shoot(page, "demands");
  writeFileSync(join(work, "shapes.yaml"), readFileSync(join(work, "shapes.yaml"), "utf8").replace(/seed: \d+/, "seed: 12"));
  await page.getByRole("button", { name: "Build shapes (shapes.yaml)" }).click();
  await page.getByRole("heading", { name: "Build of shapes" }).waitFor();
  await page.locator(".build-steps li.done, .build-steps li.reused").first().waitFor({ timeout: 60000 });
  await page.getByRole("button", { name: "Build again" }).waitFor({ timeout: 120000 });
  await page.locator(".banner").waitFor();
  await assertNames(page);
  await shoot(page, "build");
});

// `sightline ui` may answer pictures as well; where it does not, these pages say so.
const paths = Object.keys((await (await fetch(`${small.url}/openapi.json`)).json()).paths);
const answers = paths.includes("/v1/models/{model}:predict");
await check("a picture is asked of a model", `${small.url}/#/try/shapes`, async (page) => {
  if (!answers) {
    await page.getByText("sightline serve").waitFor();
  } else {
    await page.getByLabel("Choose pictures").setInputFiles(join(work, "data/square/000.bmp"));
    await page.locator(".classes li").first().waitFor({ timeout: 60000 });
    assert.match(await page.locator(".tried").innerText(), /there and back/);
  }
  await assertNames(page);
  await shoot(page, "try");
});
await check("the traffic of models is shown", `${small.url}/#/serving`, async (page) => {
  if (!answers) await page.getByText("sightline serve").waitFor();
  else await page.getByRole("rowheader", { name: "shapes" }).waitFor({ timeout: 20000 });
  await assertNames(page);
  await shoot(page, "serving");
});

await check("colours can be chosen, and an unknown page says so", `${small.url}/#/nowhere`, async (page) => {
  await page.getByRole("heading", { name: "No such page" }).waitFor();
  await page.getByRole("button", { name: /Colours: auto/ }).click();
  await page.getByRole("button", { name: /Colours: light/ }).click();
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");  // the page paints after the click
});
small.stop();

// A fleet of 3,000, as `sightline fleet` leaves it.
const large = join(work, "large");
cpSync(join(work, ".sightline"), join(large, ".sightline"), { recursive: true });
mkdirSync(join(large, ".sightline/fleets"), { recursive: true });
const rows = Array.from({ length: 3000 }, (_, i) => ({ name: `part-${String(i).padStart(4, "0")}`, group: `hall ${i % 7}`, outcome: i % 11 ? "released" : "failed", sentence: "" }));
writeFileSync(join(large, ".sightline/fleets/floor.json"), JSON.stringify({ name: "floor", rows }));
const fleet = await serve(large);
await check("a fleet of 3,000 is filtered and scrolls with few rows in the document", fleet.url, async (page) => {
  await page.getByText("part-0000").waitFor();
  assert.ok((await page.getByRole("row").count()) < 120, "only rows in sight are drawn");
  const frames = await page.evaluate(async () => {
    const times = [];
    for (let i = 0, last = performance.now(); i < 60; ++i) {
      scrollBy(0, 900);
      await new Promise((next) => requestAnimationFrame(next));
      times.push(performance.now() - last);
      last = performance.now();
    }
    return times.sort((a, b) => a - b);
  });
  console.log(`      frame while scrolling: median ${frames[30].toFixed(1)} ms, p95 ${frames[57].toFixed(1)} ms`);
  await page.waitForFunction(() => document.querySelectorAll(".rows .row").length > 10);
  await page.getByLabel("Group").selectOption("floor / hall 3");
  await page.getByText("429 of 3,001").waitFor();
  await page.getByLabel("Search models").fill("part-0017");
  await page.getByText("1 of 3,001").waitFor();
  await page.getByRole("link", { name: "part-0017" }).waitFor();
  await assertNames(page);
  await shoot(page, "fleet");
});
fleet.stop();

await browser.close();
process.exit(failures ? 1 : 0);
