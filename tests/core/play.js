// Plays files in Chromium and says what it saw of each.
//   NODE_PATH=/folder/node_modules node play.js FILE [FILE ...]      (the npm package playwright-core)
// CHROMIUM names the browser (default /usr/bin/chromium). Prints one JSON line a file:
//   a video: width, height, duration, whether its time went on by half a second, the matrix that Chromium converts with,
//   colours a quarter and three quarters in
//   a picture that moves: width, height, duration, frames, whether it loops and moves on the page, colours likewise
// or an error. Colours are the means of the middles of a grid of 4x2 patches. A shader in software (SwiftShader) converts
// 8-bit video as a GPU does; without one Chromium has libyuv do it, which is coarser.
const { chromium } = require('playwright-core');
const fs = require('fs');
const path = require('path');

const TYPES = { '.mp4': 'video/mp4', '.webm': 'video/webm', '.mov': 'video/quicktime', '.mkv': 'video/x-matroska',
  '.gif': 'image/gif', '.webp': 'image/webp', '.apng': 'image/png' };

// In the page. `picture` can be drawn on a canvas: eight colours [r, g, b] of its patches.
const patches = (picture, width, height) => {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d', { colorSpace: 'srgb' });
  context.drawImage(picture, 0, 0, width, height);
  const [wide, high] = [width / 4, height / 2];
  return [...Array(8).keys()].map((at) => {
    const part = [(at % 4 + 0.3) * wide, (Math.floor(at / 4) + 0.3) * high, 0.4 * wide, 0.4 * high].map(Math.round);
    const { data } = context.getImageData(...part);
    return [0, 1, 2].map((channel) => {
      let sum = 0;
      for (let i = channel; i < data.length; i += 4) sum += data[i];
      return sum / (data.length / 4);
    });
  });
};

const video = async ({ data, type }) => {
  const blob = await (await fetch(`data:${type};base64,${data}`)).blob();
  const player = Object.assign(document.createElement('video'), { muted: true });
  document.body.replaceChildren(player);
  const happens = (name) => new Promise((done, fail) => {
    player.addEventListener(name, done, { once: true });
    player.addEventListener('error', () => fail(new Error(player.error.message || `code ${player.error.code}`)));
    setTimeout(() => fail(new Error(`no "${name}" in 20 s`)), 20000);
  });
  const ready = happens('canplaythrough');
  player.src = URL.createObjectURL(blob);
  await ready;
  const colours = [];
  for (const part of [0.25, 0.75]) {
    const there = happens('seeked');
    const shown = new Promise((done) => { player.requestVideoFrameCallback(done); });
    player.currentTime = player.duration * part;
    await there;
    await shown;
    colours.push(patches(player, player.videoWidth, player.videoHeight));
  }
  const frame = new VideoFrame(player);
  const { matrix } = frame.colorSpace;
  frame.close();
  player.currentTime = 0;
  const end = performance.now() + 20000;
  await player.play();
  while (player.currentTime < 0.5 && performance.now() < end) await new Promise((done) => setTimeout(done, 20));
  const { videoWidth: width, videoHeight: height, duration } = player;
  return { width, height, duration, plays: player.currentTime >= 0.5, matrix, colours };
};

const image = async ({ data, type }) => {
  const shown = new Image();
  document.body.replaceChildren(shown);
  shown.src = `data:${type};base64,${data}`;
  await shown.decode();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const decoder = new ImageDecoder({ data: bytes, type });
  await decoder.tracks.ready;
  await decoder.completed;
  const { frameCount: frames, repetitionCount } = decoder.tracks.selectedTrack;
  const { naturalWidth: width, naturalHeight: height } = shown;
  const starts = [];
  let duration = 0;
  const drawn = [];
  for (let at = 0; at < frames; at += 1) {
    const { image: frame } = await decoder.decode({ frameIndex: at });
    starts.push(duration);
    duration += frame.duration / 1e6;
    drawn.push(patches(frame, width, height));
    frame.close();
  }
  const colours = [0.25, 0.75].map((part) => drawn[starts.findLastIndex((start) => start <= part * duration)]);
  return { width, height, duration, frames, loops: repetitionCount === Infinity, colours };
};

// Whether what the page shows of its picture becomes another one within 20 s.
const moves = async (page) => {
  const first = await page.locator('img').screenshot();
  const end = Date.now() + 20000;
  while (Date.now() < end) if (!first.equals(await page.locator('img').screenshot())) return true;
  return false;
};

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-sync',
      '--force-color-profile=srgb', '--autoplay-policy=no-user-gesture-required',
      '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
  });
  const page = await browser.newPage();
  await page.route('**/*', (route) => route.fulfill({ contentType: 'text/html', body: '<body></body>' }));
  await page.goto('http://localhost/'); // answered above; ImageDecoder wants a secure origin
  await page.evaluate(`window.patches = ${patches}`);
  for (const file of process.argv.slice(2)) {
    const type = TYPES[path.extname(file)];
    const data = fs.readFileSync(file).toString('base64');
    let report;
    try {
      report = await page.evaluate(type.startsWith('video') ? video : image, { data, type });
      if (type.startsWith('image')) report.plays = await moves(page);
    } catch (error) {
      report = { error: error.message.split('\n')[0] };
    }
    console.log(JSON.stringify({ name: path.basename(file), ...report }));
  }
  await browser.close();
})();
