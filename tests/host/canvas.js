// Opens every UI workflow on a running ComfyUI's canvas, says what is broken, and takes a picture of each.
//   npm install playwright-core          (anywhere; NODE_PATH=/that/folder/node_modules)
//   node canvas.js http://127.0.0.1:8188 PICTURES workflow.json [workflow.json ...]
// CHROMIUM names the browser (default /usr/bin/chromium). Prints one JSON line a workflow; exits 1 if one is broken.
const { chromium } = require('playwright-core');
const fs = require('fs');
const path = require('path');

// In the page: load the workflow and list what a person would see as broken.
const open = async (workflow) => {
  const virtual = new Set(['MarkdownNote', 'Note', 'Reroute', 'PrimitiveNode']);
  const unknown = workflow.nodes.map((node) => node.type)
    .filter((type) => !LiteGraph.registered_node_types[type] && !virtual.has(type));
  await app.loadGraphData(structuredClone(workflow));
  await new Promise((done) => setTimeout(done, 1000));
  const nodes = app.graph.nodes || app.graph._nodes;
  const broken = [];
  for (const [id, from, slot, to, place, type] of workflow.links) {
    const source = app.graph.getNodeById(from);
    const target = app.graph.getNodeById(to);
    const wanted = workflow.nodes.find((node) => node.id === to).inputs[place].name;
    const input = target && (target.inputs || []).find((entry) => entry.name === wanted);
    const link = input && input.link != null && app.graph.getLink(input.link);
    if (!link || `${link.origin_id}` !== `${from}` || link.origin_slot !== slot) broken.push(`${type} ${from}->${to}.${wanted}`);
  }
  const unwired = [];
  const changed = [];
  for (const node of nodes) {
    const required = (node.constructor.nodeData && node.constructor.nodeData.input
      && node.constructor.nodeData.input.required) || {};
    for (const input of node.inputs || []) {
      if (input.name in required && input.link == null && !input.widget) unwired.push(`${node.type}.${input.name}`);
    }
    const saved = workflow.nodes.find((each) => `${each.id}` === `${node.id}`).widgets_values || [];
    const now = (node.widgets || []).filter((each) => each.serialize !== false).map((each) => each.value);
    saved.forEach((value, at) => {
      if (JSON.stringify(value) !== JSON.stringify(now[at])) changed.push(`${node.type}[${at}]: ${value} -> ${now[at]}`);
    });
  }
  const prompt = await app.graphToPrompt();
  return { nodes: nodes.length, unknown, broken, unwired, changed, api: prompt.output };
};

(async () => {
  const [url, pictures, ...files] = process.argv.slice(2);
  fs.mkdirSync(pictures, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'],
  });
  const page = await browser.newPage({ viewport: { width: 1800, height: 1000 } });
  await page.route('**/api/settings', async (route) => { // a user who is not new is not greeted with templates
    if (route.request().method() !== 'GET') return route.continue();
    const response = await route.fetch();
    return route.fulfill({ response, json: { ...await response.json(), 'Comfy.TutorialCompleted': true } });
  });
  await page.goto(url, { waitUntil: 'domcontentloaded', timeout: 120000 });
  await page.waitForFunction(() => window.app && window.LiteGraph && window.app.canvas
    && window.LiteGraph.registered_node_types.KSampler, null, { timeout: 180000 });
  await page.waitForTimeout(6000);
  let bad = 0;
  for (const file of files) {
    const report = await page.evaluate(open, JSON.parse(fs.readFileSync(file, 'utf8')));
    await page.evaluate(() => { app.canvas.canvas.focus(); });
    await page.keyboard.press('Escape');
    await page.keyboard.press('.'); // fit the view
    await page.waitForTimeout(1500);
    const name = path.basename(file, '.json');
    await page.screenshot({ path: path.join(pictures, `${name}.png`) });
    bad += report.unknown.length + report.broken.length + report.unwired.length + report.changed.length ? 1 : 0;
    console.log(JSON.stringify({ name, ...report }));
  }
  await browser.close();
  process.exit(bad ? 1 : 0);
})();
