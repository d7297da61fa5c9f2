// node ohif.mjs TASK.json: open series of a study in OHIF, one page each; the findings go to stdout.
// TASK: {base, study, out, npm, chromium, viewport?, series: [{number, name, until}]}
// until: picture, colour, labels (annotations with text), or page (nothing to wait for)
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const task = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { chromium } = createRequire(`${task.npm}/`)('playwright-core');
const PATIENCE = 180_000; // ms to load: the machine may be busy, and Chromium draws without a GPU
const DRAWS_WITHIN = 90_000;
const ATTEMPTS = 3; // on a busy machine OHIF sometimes opens a report without drawing it
const PAGE_SETTLES = 15_000;

// What the viewport shows; runs inside the page.
function look() {
  const pane = document.querySelector('[data-cy="viewport-pane"]');
  const seen = { std: 0, colour: 0, labels: '', shapes: 0 };
  for (const canvas of pane?.querySelectorAll('canvas') ?? []) {
    const context = canvas.getContext('2d');
    if (!context || !canvas.width) continue;
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0, sum = 0, squares = 0, coloured = 0;
    for (let i = 0; i < pixels.length; i += 16) {
      const [r, g, b] = pixels.subarray(i, i + 3);
      const grey = (r + g + b) / 3;
      count += 1; sum += grey; squares += grey * grey;
      if (Math.max(r, g, b) - Math.min(r, g, b) > 40) coloured += 1;
    }
    seen.std = Math.max(seen.std, Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2)));
    seen.colour = Math.max(seen.colour, coloured / count);
  }
  const layers = [...(pane?.querySelectorAll('svg.svg-layer') ?? [])];
  seen.shapes = layers.reduce(
    (n, layer) => n + layer.querySelectorAll('path, polyline, line, circle, rect, ellipse').length, 0);
  seen.labels = layers.flatMap(layer => [...layer.querySelectorAll('text')])
    .map(text => [...text.querySelectorAll('tspan')].map(t => t.textContent).join(' ')
      || text.textContent).join(' | ');
  const words = document.body.innerText.replace(/\s+/g, ' ');
  seen.text = (pane?.innerText ?? '').replace(/\s+/g, ' ').slice(0, 4000);
  seen.pane = Boolean(pane);
  seen.wrong = /something went wrong/i.test(words);
  seen.loading = /loading (seg|sr|rt)/i.test(words);
  return seen;
}

const DRAWN = {
  picture: seen => seen.std > 5,
  colour: seen => seen.std > 5 && seen.colour > 0.001 && !seen.loading,
  labels: seen => seen.shapes > 0 && seen.labels.length > 0,
  page: () => false,
};

async function again(times, action) {
  for (let left = times; ; left -= 1) {
    try { return await action(); } catch (error) { if (left <= 1) throw error; }
  }
}

async function until(page, milliseconds, isReached) {
  const end = Date.now() + milliseconds;
  do {
    await page.waitForTimeout(1000);
  } while (!isReached(await page.evaluate(look)) && Date.now() < end);
}

async function openAgain(context, one) {
  for (let attempt = 1; ; attempt += 1) {
    const result = { attempt, ...await open(context, one) };
    const missed = result.broke || !(one.until === 'page' || result.wrong || DRAWN[one.until](result));
    if (!missed || attempt === ATTEMPTS) return result;
  }
}

async function open(context, one) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors = new Set();
  page.on('pageerror', error => errors.add(`page: ${error}`.slice(0, 300)));
  page.on('console', message => {
    if (/Error Boundary/i.test(message.text())) errors.add(message.text().slice(0, 300));
  });
  page.on('response', answer => {
    if (answer.status() >= 400) errors.add(`${answer.status()} ${new URL(answer.url()).pathname}`);
  });
  const result = { ...one, started: Date.now() };
  try {
    await page.goto(`${task.base}/viewer?StudyInstanceUIDs=${task.study}`);
    const thumbnails = page.locator('[data-cy^="study-browser-thumbnail"]');
    await thumbnails.first().waitFor();
    const tour = page.getByText('Skip all').first(); // a first visit is guided around
    await tour.click({ timeout: 10_000 }).catch(() => {});
    // a report that is opened while the first picture still loads is sometimes not drawn
    await until(page, DRAWS_WITHIN, seen => seen.wrong || DRAWN.picture(seen));
    const thumbnail = thumbnails.filter({ hasText: new RegExp(`S:${one.number}(?!\\d)`) }).first();
    await again(4, async () => {
      await tour.click({ timeout: 500 }).catch(() => {});
      await thumbnail.scrollIntoViewIfNeeded({ timeout: 30_000 });
      await thumbnail.dblclick({ timeout: 30_000 });
    });
    await until(
      page,
      one.until === 'page' ? PAGE_SETTLES : DRAWS_WITHIN,
      seen => seen.wrong || DRAWN[one.until](seen),
    );
    await page.waitForTimeout(3000); // what is still being drawn
    Object.assign(result, await page.evaluate(look));
  } catch (error) {
    result.broke = String(error).slice(0, 300);
  }
  try {
    await page.screenshot({ path: `${task.out}/${one.name}.png` });
    const pane = page.locator('[data-cy="viewport-pane"]').first();
    if (result.pane) await pane.screenshot({ path: `${task.out}/${one.name}.pane.png` });
  } catch (error) {
    result.broke ??= String(error).slice(0, 300);
  }
  await page.close();
  return { ...result, errors: [...errors], seconds: (Date.now() - result.started) / 1000 };
}

const browser = await chromium.launch({
  executablePath: task.chromium,
  timeout: PATIENCE,
  args: ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-sync',
    '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', '--disable-gpu-compositing'],
});
const viewport = task.viewport ?? { width: 1280, height: 800 };
const context = await browser.newContext({ viewport, reducedMotion: 'reduce' });
const results = [];
for (const one of task.series) results.push(await openAgain(context, one));
await browser.close();
process.stdout.write(JSON.stringify(results, null, 1));
