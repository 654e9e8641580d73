/** Where a run ends: by a line that is dragged in the chart, or by milliseconds. */
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 180_000 };
const CODE = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
studio = PruningStudio(model, data=data, target=0.75, step=1/8, strategy="saliency", compensation="merge", speed="full", runtime="keras", autosave=False)
studio`;

test.use({ viewport: { width: 1400, height: 1000 } });
test.setTimeout(420_000);

async function open(page: IJupyterLabPageFixture): Promise<Locator> {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const studio = page.locator('.paoding-studio').first();
  await expect(studio).toBeVisible(SLOW);
  await expectState(studio, 'ready');
  await page.sidebar.close('left');
  return studio;
}

async function expectState(studio: Locator, state: string): Promise<void> {
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', state, SLOW);
}

test('keep is dragged in the chart and ends the run; milliseconds are a target too', async ({
  page,
}) => {
  const studio = await open(page);
  const chart = studio.locator('.paoding-live');
  await expect(chart).toContainText('keep: off, drag up', SLOW);
  const start = studio.locator('.paoding-row button').filter({ hasText: 'Start' });
  const handle = await chart.locator('.bqplot .dot').last().boundingBox();
  if (!handle) throw new Error('there is no handle to drag');
  const [x, y] = [handle.x + handle.width / 2, handle.y + handle.height / 2];
  await page.screenshot({ path: 'screenshots/goal-off.png' });
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let up = 10; up <= 60; up += 10) await page.mouse.move(x, y - up);
  await page.mouse.up();
  const keep = studio.getByLabel('Keep', { exact: true });
  await expect.poll(async () => Number(await keep.inputValue()), SLOW).toBeGreaterThan(0.5);
  const shown = (100 * Number(await keep.inputValue())).toFixed(1);
  await expect(chart).toContainText(`keep ${shown}%`);
  await page.screenshot({ path: 'screenshots/goal-keep.png' });
  await keep.fill('0.99');
  await keep.press('Tab');
  await start.click();
  await expectState(studio, 'finished');
  await expect(studio.locator('.paoding-message')).toContainText('It stopped at keep=0.99', SLOW);
  await page.screenshot({ path: 'screenshots/goal-kept.png' });

  await keep.fill('0');
  await keep.press('Tab');
  await studio.getByRole('button', { name: 'Reset' }).click();
  await expectState(studio, 'ready');
  await studio.getByLabel('Counted in').selectOption('milliseconds');
  await studio.getByLabel('Target', { exact: true }).fill('0.25');
  await studio.getByLabel('Target', { exact: true }).press('Tab');
  await start.click();
  // What is measured on a busy machine may say that nothing gets quicker: it says so, in a sentence.
  const told = studio.locator('.paoding-figures, [role=alert]:visible');
  await expect(told.filter({ hasText: /Milliseconds, predicted| ms/ }).first()).toBeVisible(SLOW);
  await page.screenshot({ path: 'screenshots/goal-milliseconds.png' });
});
