/** The studio in a real JupyterLab, with a real kernel and a real pruner behind it. */
import path from 'node:path';
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const QUICKSTART = path.resolve(__dirname, '../../../notebooks/quickstart.ipynb');
/** The quickstart's cells of code up to the one that shows the studio. */
const CODE_CELLS = [1, 3, 5, 7, 9];
/** A kernel that imports TensorFlow on a busy machine. */
const SLOW = { timeout: 120_000 };
/** Pixels to the right of a chart's plot, and a few for rounding. */
const WIDEST_MARGIN = 44;

/** Runs a cell, however long the kernel takes to get going. */
async function run(page: IJupyterLabPageFixture, cell: number): Promise<void> {
  await page.notebook.runCell(cell, { inplace: true, wait: false });
  await expect
    .poll(() => page.evaluate((index) => window.galata.haveBeenExecuted(index), cell), SLOW)
    .toBe(true);
}

/** What a cell has printed, which may come a moment after it has run. */
async function expectOutput(
  page: IJupyterLabPageFixture,
  cell: number,
  text: string,
): Promise<void> {
  const printed = async () => ((await page.notebook.getCellTextOutput(cell)) ?? []).join('');
  await expect.poll(printed).toContain(text);
}

async function openStudio(page: IJupyterLabPageFixture, code: string): Promise<Locator> {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', code);
  await run(page, 0);
  return studioOf(page);
}

async function studioOf(page: IJupyterLabPageFixture): Promise<Locator> {
  const studio = page.locator('.paoding-studio').first();
  await expect(studio).toBeVisible(SLOW);
  await studio.scrollIntoViewIfNeeded();
  return studio;
}

function button(studio: Locator, text: string): Locator {
  return studio.locator('button.jupyter-button, button.jupyter-widgets').filter({ hasText: text });
}

async function expectState(studio: Locator, state: string): Promise<void> {
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', state, SLOW);
}

/** The step that the timeline shows, from its words. */
async function shownStep(studio: Locator): Promise<number> {
  const text = (await studio.locator('.paoding-moment').textContent()) ?? '';
  return Number(/^Step (\d+)/.exec(text)?.[1] ?? 0);
}

/** What the canvas shows, as a picture that can be compared. */
async function picture(studio: Locator): Promise<string> {
  return studio
    .locator('.paoding-canvas')
    .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
}

/** The curves of the accuracy chart. */
async function curves(studio: Locator): Promise<string> {
  return studio
    .locator('.bqplot')
    .first()
    .evaluate((figure) =>
      [...figure.querySelectorAll('path.line')].map((line) => line.getAttribute('d')).join('|'),
    );
}

/** Each chart takes the width of its box; it is laid out a moment after it came into sight. */
async function expectFullCharts(studio: Locator): Promise<void> {
  for (const chart of await studio.locator('.paoding-charts .bqplot').all()) {
    await chart.scrollIntoViewIfNeeded();
    const plot = chart.locator('.plotarea_background').first();
    const right = async (part: Locator) =>
      part.evaluate((element) => element.getBoundingClientRect().right);
    const gap = async () => Math.abs((await right(chart)) - (await right(plot)));
    await expect.poll(gap).toBeLessThanOrEqual(WIDEST_MARGIN);
  }
}

const LOAD = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
`;
const SMALL = `${LOAD}studio = PruningStudio(model, data=data, step=1/16, strategy="saliency", compensation="merge")
studio`;

test.use({ viewport: { width: 1400, height: 1100 } });
test.setTimeout(420_000);

test('the quickstart: start, pause, step, undo, finish, save, and load in a new kernel', async ({
  page,
  tmpPath,
}) => {
  await page.contents.uploadFile(QUICKSTART, `${tmpPath}/quickstart.ipynb`);
  await page.notebook.openByPath(`${tmpPath}/quickstart.ipynb`);
  await page.notebook.activate('quickstart.ipynb');
  for (const cell of CODE_CELLS) await run(page, cell);
  const studio = await studioOf(page);
  await expectState(studio, 'ready');
  await expect(studio.locator('.paoding-figures')).toContainText('Accuracy', SLOW);
  const before = { picture: await picture(studio), curves: await curves(studio) };
  await page.screenshot({ path: 'screenshots/studio-ready.png' });

  // Pressed at once after Start, Pause acts at the end of the first step or of the second.
  await button(studio, 'Start').click();
  await button(studio, 'Pause').click();
  await expectState(studio, 'paused');
  const paused = await shownStep(studio);
  expect(paused).toBeGreaterThan(0);
  expect(paused).toBeLessThan(8);
  await expect.poll(() => picture(studio)).not.toBe(before.picture);
  await expect.poll(() => curves(studio)).not.toBe(before.curves);
  await page.screenshot({ path: 'screenshots/studio-paused.png' });

  await button(studio, 'Step').click();
  await expect.poll(() => shownStep(studio), SLOW).toBe(paused + 1);
  await expectState(studio, 'paused');
  await button(studio, 'Undo').click();
  await expect.poll(() => shownStep(studio), SLOW).toBe(paused);
  await button(studio, 'Go on').click();
  await expectState(studio, 'finished');
  expect(await shownStep(studio)).toBe(8);
  await page.screenshot({ path: 'screenshots/studio-finished.png' });

  await button(studio, 'Save').click();
  await expect(studio.locator('.paoding-message')).toContainText('saved to', SLOW);
  const figures = (await studio.locator('.paoding-figures').textContent()) ?? '';
  const parameters = /Parameters[\d,]+ → ([\d,]+)/.exec(figures)?.[1];

  await page.notebook.createNew();
  await page.notebook.setCell(
    0,
    'code',
    'import paoding\nmodel = paoding.load_model("runs/mnist_mlp/model.keras")\n' +
      'print(f"{model.count_params():,}", model.predict(paoding.zoo.load("mnist-mlp")[1].x[:2], ' +
      'verbose=0).shape)',
  );
  await run(page, 0);
  await expectOutput(page, 0, `${parameters} (2, 10)`);
});

test('the kernel stays free while the studio is at work', async ({ page }) => {
  // A run of many steps, so that it is still going when the other cell has run.
  const slow = 'studio = PruningStudio(model, data=data, step=1/64)\nstudio';
  const studio = await openStudio(page, LOAD.replace('breast-cancer', 'mnist-mlp') + slow);
  await page.notebook.addCell('code', 'print("answer", 6 * 7, studio.state)');
  await studio.scrollIntoViewIfNeeded();
  await expectState(studio, 'ready');
  await button(studio, 'Start').click();
  await expectState(studio, 'running');
  await run(page, 1);
  await expectOutput(page, 1, 'answer 42 running');
  // A run that is stopped before its first step is done is as it was: ready.
  await expect.poll(() => shownStep(studio), SLOW).toBeGreaterThan(0);
  await button(studio, 'Stop').click();
  await expectState(studio, 'stopped');
});

test('a click on a unit tells its story, and the decisions can be filtered', async ({ page }) => {
  const studio = await openStudio(page, SMALL);
  await expectState(studio, 'ready');
  await button(studio, 'Step').click();
  await expectState(studio, 'paused');
  await studio.getByRole('tab', { name: 'Decisions' }).click();
  const rows = studio.locator('[role=tabpanel]:not([hidden]) tbody tr[aria-rowindex]');
  await expect(rows.first()).toContainText('removed');
  await studio.getByLabel('Verdict').selectOption('not reached');
  await expect(rows.first()).toContainText('not reached');
  await studio.getByRole('tab', { name: 'Layers' }).click();

  const canvas = studio.locator('.paoding-canvas');
  await canvas.focus();
  for (const key of ['ArrowRight', 'ArrowRight', 'Enter', 'Enter', 'ArrowDown', 'Enter']) {
    await page.keyboard.press(key);
  }
  await expect(studio.getByRole('tab', { name: 'Unit' })).toHaveAttribute('aria-selected', 'true');
  await expect(studio.locator('.paoding-story')).not.toBeEmpty();
  // The keys were the structure's: the notebook has not moved on to another cell.
  await expect(page.locator('.jp-Notebook .jp-Cell.jp-mod-active .paoding-studio')).toHaveCount(1);
});

test('the timeline goes back, and a branch begins there with other settings', async ({ page }) => {
  const studio = await openStudio(page, SMALL);
  await expectState(studio, 'ready');
  await button(studio, 'Start').click();
  await expectState(studio, 'finished');
  const slider = studio.locator('.paoding-slider');
  const latest = await picture(studio);
  await slider.fill('2');
  await expect.poll(() => picture(studio)).not.toBe(latest);
  await expect(studio.locator('.paoding-moment')).toContainText('Step 2 of 8');
  await button(studio, 'Explain').click();
  await expect(studio.locator('.paoding-explain')).toContainText('Step 2 removed');

  await studio.getByRole('button', { name: 'Start from here' }).click();
  await expectState(studio, 'paused');
  await studio.getByLabel('Strategy').selectOption('Magnitude');
  await button(studio, 'Go on').click();
  await expectState(studio, 'finished');
  await expect(studio.locator('.paoding-live')).toContainText('dashed: run 1');
  await studio.getByRole('tab', { name: 'Runs' }).click();
  await expect(studio.getByLabel('Name of run 1')).toBeVisible();
});

test('further settings count, and the end tells what is left and what was tuned', async ({
  page,
}) => {
  const code = `${LOAD}studio = PruningStudio(model, data=data, step=1/4)\nstudio`;
  const studio = await openStudio(page, code);
  await expectState(studio, 'ready');
  await button(studio, 'More settings').click();
  await studio.getByLabel('Distillation', { exact: true }).selectOption('100 steps');
  await button(studio, 'Start').click();
  await expectState(studio, 'finished');
  await expect(studio.locator('.paoding-estimate')).toContainText('which the model suggests', SLOW);
  await button(studio, 'Explain').click();
  await expect(studio.locator('.paoding-explain')).toContainText('distilled, 100 steps');
  await page.screenshot({ path: 'screenshots/studio-settings.png' });
});

test('a mistake is told in one sentence and can be put right', async ({ page }) => {
  const studio = await openStudio(page, SMALL.replace('step=1/16', 'step=1/16, target=1.5'));
  await expectState(studio, 'failed');
  await expect(studio.getByRole('alert')).toContainText('target=1.5');
  await studio.getByLabel('Target', { exact: true }).fill('0.25');
  await studio.getByLabel('Target', { exact: true }).press('Tab');
  await button(studio, 'Start').click();
  await expectState(studio, 'finished');
  await expect(studio.getByRole('alert')).toBeHidden();
});

test('it fits from 700 pixels on, in light and in dark', async ({ page }) => {
  const studio = await openStudio(page, SMALL);
  await expectState(studio, 'ready');
  await button(studio, 'Start').click();
  await expectState(studio, 'finished');
  await page.sidebar.close('left');
  for (const [theme, width] of [
    ['light', 1400],
    ['light', 880],
    ['dark', 1400],
    ['dark', 880],
  ] as const) {
    await (theme === 'dark' ? page.theme.setDarkTheme() : page.theme.setLightTheme());
    await page.setViewportSize({ width, height: 1500 });
    await studio.scrollIntoViewIfNeeded();
    await expect
      .poll(() => studio.evaluate((box) => box.scrollWidth - box.clientWidth))
      .toBeLessThanOrEqual(1);
    await expectFullCharts(studio);
    await studio.locator('.paoding-state').scrollIntoViewIfNeeded();
    await page.screenshot({ path: `screenshots/studio-${theme}-${width}.png` });
  }
});
