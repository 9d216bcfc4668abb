// In Chromium on a running ComfyUI: run a workflow from the canvas, read the table on the Story Splitter, change the
// prompt of a shot in it, run again.
//   node storyboard.js http://127.0.0.1:8188 PICTURES workflow.json SHOT "new prompt"
// Prints {before, edits, after, said} as JSON: the storyboards as the node gave them, the JSON of `edits`, the table's cells.
const { chromium } = require('playwright-core');
const fs = require('fs');
const path = require('path');

const board = (page) => page.evaluate(() => {
  const node = app.graph.nodes.find((each) => each.type === 'DiffilmStorySplitter');
  return JSON.parse(window.diffilmSeen[node.id]);
});

const run = async (page) => {
  const done = page.evaluate(() => new Promise((resolve) => {
    app.api.addEventListener('execution_success', () => resolve(true), { once: true });
    app.api.addEventListener('execution_error', (event) => resolve(event.detail.exception_message), { once: true });
  }));
  await page.evaluate(() => app.queuePrompt(0));
  const how = await done;
  if (how !== true) throw new Error(how);
  await page.waitForTimeout(800);
};

(async () => {
  const [url, pictures, file, shot, prompt] = process.argv.slice(2);
  fs.mkdirSync(pictures, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
  });
  const page = await browser.newPage({ viewport: { width: 1700, height: 1000 } });
  await page.route('**/api/settings', async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const response = await route.fetch();
    return route.fulfill({ response, json: { ...await response.json(), 'Comfy.TutorialCompleted': true } });
  });
  await page.goto(url, { waitUntil: 'domcontentloaded', timeout: 120000 });
  await page.waitForFunction(() => window.app && window.LiteGraph && window.app.canvas
    && window.LiteGraph.registered_node_types.DiffilmStorySplitter, null, { timeout: 180000 });
  await page.waitForTimeout(5000);
  await page.evaluate(async (workflow) => {
    window.diffilmSeen = {};
    app.api.addEventListener('executed', ({ detail }) => {
      if (detail.output && detail.output.diffilm_storyboard) window.diffilmSeen[detail.node] = detail.output.diffilm_storyboard[0];
    });
    await app.loadGraphData(workflow);
  }, JSON.parse(fs.readFileSync(file, 'utf-8')));
  await page.waitForTimeout(1000);
  await run(page);
  const before = await board(page);
  const said = await page.$$eval('.diffilm-board tbody tr', (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
  await page.screenshot({ path: path.join(pictures, `${path.basename(file, '.json')}_table.png`) });
  const cell = page.locator(`.diffilm-board td[data-key="prompt"][data-shot="${shot}"]`).first();
  await cell.evaluate((element, text) => {
    element.focus();
    element.textContent = text;
    element.blur();
  }, prompt);
  const edits = await page.evaluate(() => app.graph.nodes.find((each) => each.type === 'DiffilmStorySplitter')
    .widgets.find((each) => each.name === 'edits').value);
  await run(page);
  await page.screenshot({ path: path.join(pictures, `${path.basename(file, '.json')}_edited.png`) });
  console.log(JSON.stringify({ before, edits, after: await board(page), said }));
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
