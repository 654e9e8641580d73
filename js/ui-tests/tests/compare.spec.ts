/** Two models side by side, and a run folder: with a real run of the pruner. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const ZOO = path.resolve(__dirname, '../../../paoding/zoo');
const FILES = ['model.keras', 'original.keras', 'plan.json', 'report.json', 'decisions.parquet'];

/** Nothing sticks out at 700 pixels; a picture of it is kept. */
async function narrow(page: IJupyterLabPageFixture, view: Locator, name: string): Promise<void> {
  await page.sidebar.close('left');
  await page.setViewportSize({ width: 700, height: 900 });
  await expect
    .poll(() => view.evaluate((box) => box.scrollWidth - box.clientWidth))
    .toBeLessThanOrEqual(1);
  await page.screenshot({ path: `screenshots/${name}-narrow.png` });
  await page.setViewportSize({ width: 1280, height: 900 });
}

test.use({ viewport: { width: 1280, height: 900 } });
test.setTimeout(240_000);

let folder = '';

test.beforeAll(() => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'paoding-run-')), 'run');
  const log = { TF_CPP_MIN_LOG_LEVEL: '3', CUDA_VISIBLE_DEVICES: '-1' };
  const options = { env: { ...process.env, ...log }, stdio: 'pipe' as const };
  execFileSync('python', [path.join(__dirname, 'make_run.py'), folder], options);
});

async function upload(page: IJupyterLabPageFixture, to: string): Promise<void> {
  for (const name of FILES) {
    const content = readFileSync(path.join(folder, name)).toString('base64');
    await page.contents.uploadContent(content, 'base64', `${to}/${name}`);
  }
}

for (const theme of ['light', 'dark'] as const) {
  test(`a run folder opens in ${theme}, and its models are compared by its plan`, async ({
    page,
    tmpPath,
  }) => {
    if (theme === 'dark') await page.theme.setDarkTheme();
    await upload(page, `${tmpPath}/run`);
    await page.filebrowser.openDirectory(`${tmpPath}/run`);
    await page.locator('.jp-DirListing-item', { hasText: 'plan.json' }).click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Open Pruning Run' }).click();
    const run = page.locator('.paoding-run');
    await expect(run.locator('h2')).toHaveText('breast_cancer');
    await expect(run).toContainText('6,209 → 2,081 (−66.5 %)');
    await expect(run.getByRole('region', { name: 'Removals' })).toContainText('dense_1');
    await expect(
      run.getByRole('img', { name: /Units removed in each step: 32 → 32/ }),
    ).toBeVisible();
    const log = run.locator('.paoding-run-decisions');
    await log.locator('summary').click();
    await expect(log).toContainText(/[\d,]+ candidates/);
    await log.getByLabel('Verdict').selectOption('removed');
    await log.getByLabel('Step').selectOption('2');
    const first = log.locator('tbody tr[aria-rowindex]').first();
    await expect(first).toContainText(/^2dense_[12]\d+removed/);
    await page.screenshot({ path: `screenshots/run-${theme}.png` });
    await narrow(page, run, `run-${theme}`);

    await run.getByRole('button', { name: 'Compare with the Original' }).click();
    const compare = page.locator('.paoding-compare');
    await expect(compare.locator('header')).toContainText('6,209 → 2,081 (−66.5 %)');
    await expect(compare.locator('header')).toContainText('Units removed64');
    const row = compare.locator('tbody tr', { hasText: 'dense_2' });
    await expect(row).toContainText('≠ changed');
    await expect(row).toContainText('64 → 32');
    await row.click();
    const details = compare.getByRole('region', { name: 'Difference', exact: true });
    await expect(details).toContainText('kernel: 64 × 64 → 32 × 32');
    await expect(details).toContainText(/\d+ into \d+ \(step \d\)/);
    await page.screenshot({ path: `screenshots/compare-${theme}.png` });
    await narrow(page, compare, `compare-${theme}`);
  });
}

test('a run goes on in a notebook; a log that is damaged says so', async ({ page, tmpPath }) => {
  await upload(page, `${tmpPath}/run`);
  await page.contents.uploadContent(
    'PAR1 but not really',
    'text',
    `${tmpPath}/run/decisions.parquet`,
  );
  await page.evaluate(
    (run) => window.jupyterapp.commands.execute('paoding:open-run', { path: run }),
    `${tmpPath}/run`,
  );
  const log = page.locator('.paoding-run-decisions');
  await log.locator('summary').click();
  await expect(log).toContainText('The log of the run is damaged.');
  await page.getByRole('button', { name: 'Continue in a Notebook' }).click();
  await expect(page.locator('.jp-Notebook')).toContainText('PruningStudio.load("run")');
});

test('two files that are selected are compared by name and shape', async ({ page, tmpPath }) => {
  await page.contents.uploadFile(`${ZOO}/breast-cancer.keras`, `${tmpPath}/a.keras`);
  await page.contents.uploadFile(`${ZOO}/mnist-mlp.keras`, `${tmpPath}/b.keras`);
  await page.filebrowser.openDirectory(tmpPath);
  await page.locator('.jp-DirListing-item', { hasText: 'a.keras' }).click();
  const second = page.locator('.jp-DirListing-item', { hasText: 'b.keras' });
  await second.click({ modifiers: ['ControlOrMeta'] });
  await second.click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Compare Models' }).click();
  const compare = page.locator('.paoding-compare');
  // The larger one is taken for the original.
  await expect(compare.locator('h2')).toContainText('→ breast_cancer');
  await expect(compare).toContainText('≠ changed');
});

test('a folder that holds no run says so', async ({ page, tmpPath }) => {
  await page.contents.uploadContent('{"steps": 1}', 'text', `${tmpPath}/plan.json`);
  await page.contents.uploadContent('{}', 'text', `${tmpPath}/report.json`);
  // The command ends when its message is closed.
  await page.evaluate((run) => {
    void window.jupyterapp.commands.execute('paoding:open-run', { path: run });
  }, tmpPath);
  await expect(page.locator('.jp-Dialog')).toContainText('This is no plan of a pruning run.');
});
