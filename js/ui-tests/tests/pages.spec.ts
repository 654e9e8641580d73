/** The extension in pages that are not JupyterLab: Voilà, and Jupyter Notebook 7. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type APIRequestContext, expect, type Page, test } from '@playwright/test';

const ZOO = path.resolve(__dirname, '../../../paoding/zoo');

async function save(request: APIRequestContext, name: string, data: object): Promise<void> {
  const answer = await request.put(`/api/contents/${name}`, { data });
  expect(answer.ok()).toBe(true);
}

function notebook(source: string): object {
  const cell = { cell_type: 'code', id: 'a', metadata: {}, source, outputs: [] };
  const kernelspec = { name: 'python3', display_name: 'Python 3', language: 'python' };
  const content = {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: { kernelspec },
    cells: [{ ...cell, execution_count: null }],
  };
  return { type: 'notebook', format: 'json', content };
}

function errorsOf(page: Page): string[] {
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  return errors;
}

const SLOW = { timeout: 180_000 };
const STUDIO = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
studio = PruningStudio(model, data=data, step=1/4, strategy="saliency", compensation="merge", speed="full", autosave=False)
studio`;

/** Presses Start, and waits until the run has ended and is charted. */
async function prune(page: Page): Promise<void> {
  const studio = page.locator('.paoding-studio').first();
  const state = studio.locator('.paoding-state');
  await expect(state).toHaveAttribute('data-state', 'ready', SLOW);
  await expect(studio.locator('.paoding-figures')).toContainText('Accuracy', SLOW);
  await studio.locator('.paoding-row button').filter({ hasText: 'Start' }).click();
  await expect(state).toHaveAttribute('data-state', 'finished', SLOW);
  await expect(studio.locator('.paoding-moment')).toContainText('Step 2 of 2');
  // The chart is drawn, and takes the width that it has.
  const plot = studio.locator('.paoding-live .bqplot .plotarea_background').first();
  await expect.poll(async () => (await plot.boundingBox())?.width ?? 0, SLOW).toBeGreaterThan(400);
  await expect(studio.locator('.paoding-live .bqplot .axislabel').first()).toBeVisible();
}

test.setTimeout(420_000);

test('Voilà runs the studio, and the extension puts no error into its console', async ({
  page,
  request,
}) => {
  await save(request, 'voila.ipynb', notebook(STUDIO));
  const errors = errorsOf(page);
  await page.goto('/voila/render/voila.ipynb', SLOW);
  await prune(page);
  await page.screenshot({ path: 'screenshots/voila.png' });
  const plugins = await page.evaluate(() =>
    (window as unknown as { jupyterapp: { listPlugins(): string[] } }).jupyterapp.listPlugins(),
  );
  expect(plugins).toContain('@paoding/labextension:viewer');
  // Without a network there is no MathJax, and Notebook's own extension fails here as ours once did.
  const others = /ERR_NAME_NOT_RESOLVED|@jupyter-notebook/;
  expect(errors.filter((text) => !others.test(text))).toEqual([]);
});

test('Notebook 7 runs the studio without an error of ours', async ({ page, request }) => {
  await save(request, 'studio.ipynb', notebook(STUDIO));
  const errors = errorsOf(page);
  await page.goto('/notebooks/studio.ipynb');
  // A cell that is run before its kernel is there is left alone without a word.
  const kernel = page.locator('.jp-Notebook-ExecutionIndicator');
  await expect(kernel).toHaveAttribute('data-status', 'idle', SLOW);
  await page.locator('.jp-Cell .cm-content').first().click();
  await page.keyboard.press('Shift+Enter');
  await prune(page);
  await page.screenshot({ path: 'screenshots/notebook7-studio.png' });
  expect(errors.filter((text) => /paoding/i.test(text))).toEqual([]);
});

test('Notebook 7 opens a model file, and sends it to a new notebook', async ({
  page,
  request,
  context,
}) => {
  const content = readFileSync(`${ZOO}/breast-cancer.keras`).toString('base64');
  await save(request, 'small.keras', { type: 'file', format: 'base64', content });
  const errors = errorsOf(page);
  await page.goto('/tree');
  const item = page.locator('.jp-DirListing-item', { hasText: 'small.keras' });
  const opened = context.waitForEvent('page');
  await item.dblclick();
  const viewer = await opened;
  await expect(viewer.locator('.paoding-viewer h2')).toContainText('breast_cancer');
  await viewer.screenshot({ path: 'screenshots/notebook7-viewer.png' });
  const started = context.waitForEvent('page');
  await viewer.getByRole('button', { name: 'Prune in a Notebook' }).click();
  const pruning = await started;
  await expect(pruning.locator('.jp-Notebook')).toContainText('load_model("small.keras")');
  // What needs no panels side by side is there; a studio cannot move beside its notebook.
  await pruning.getByRole('menuitem', { name: 'Run', exact: true }).click();
  const entry = (hasText: string) => pruning.locator('.lm-Menu-item', { hasText });
  await entry('Pruning').click();
  await expect(entry('Open Studio for a Model')).toBeVisible();
  await expect(entry('Move Studio')).toHaveCount(0);
  await pruning.screenshot({ path: 'screenshots/notebook7-pruning.png' });
  expect(errors.filter((text) => /paoding/i.test(text))).toEqual([]);
});
