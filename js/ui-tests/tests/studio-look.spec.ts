/** One screen at every width, in the theme that the page has from the start. */
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 180_000 };
const CODE = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("mnist-mlp")
studio = PruningStudio(model, data=data, step=1/8, speed="full")
studio`;

test.use({ viewport: { width: 1400, height: 900 } });
test.setTimeout(420_000);

async function open(page: IJupyterLabPageFixture): Promise<Locator> {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const studio = page.locator('.paoding-studio').first();
  await expect(studio).toBeVisible(SLOW);
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', 'ready', SLOW);
  await expect(studio.locator('.paoding-figures')).toContainText('Accuracy', SLOW);
  await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
  return studio;
}

/** How light the canvas is at its edge, where nothing is drawn: 0 to 255. */
async function lightness(studio: Locator): Promise<number> {
  return studio.locator('.paoding-canvas').evaluate((canvas) => {
    const context = (canvas as HTMLCanvasElement).getContext('2d');
    const [red, green, blue] = context?.getImageData(2, 2, 1, 1).data ?? [0, 0, 0];
    return ((red ?? 0) + (green ?? 0) + (blue ?? 0)) / 3;
  });
}

for (const theme of ['light', 'dark'] as const) {
  test(`everything is on one screen, in a page that is ${theme} from the start`, async ({
    page,
  }) => {
    await (theme === 'dark' ? page.theme.setDarkTheme() : page.theme.setLightTheme());
    const studio = await open(page);
    const light = async () => (await lightness(studio)) > 128;
    await expect.poll(light).toBe(theme === 'light');
    await page.screenshot({ path: `screenshots/look-${theme}-ready.png` });

    const start = studio.locator('.paoding-row button').first();
    const before = await start.boundingBox();
    await start.focus();
    await page.keyboard.press('Enter');
    await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', 'finished', SLOW);
    // Nothing has moved, and the keyboard is still in the row of buttons.
    expect((await start.boundingBox())?.y).toBe(before?.y);
    expect(
      await page.evaluate(() => document.activeElement?.closest('.paoding-row') !== null),
    ).toBe(true);
    const canvas = studio.locator('.paoding-canvas');
    await canvas.focus();
    for (const key of ['ArrowRight', 'ArrowRight', 'Enter', 'Enter', 'ArrowDown', 'Enter']) {
      await page.keyboard.press(key);
    }
    await expect(studio.locator('.paoding-story')).not.toBeEmpty();
    await page.sidebar.close('left');
    for (const width of [1400, 1000, 700]) {
      await page.setViewportSize({ width, height: width === 1400 ? 900 : 1300 });
      await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
      await expect
        .poll(() => studio.evaluate((box) => box.scrollWidth - box.clientWidth))
        .toBeLessThanOrEqual(1);
      await page.screenshot({ path: `screenshots/look-${theme}-${width}.png` });
      if (width === 1400) {
        for (const part of [
          '.paoding-header',
          '.paoding-panel',
          '.paoding-live',
          '.paoding-tabs',
        ]) {
          await expect(studio.locator(part)).toBeInViewport({ ratio: 0.95 });
        }
      }
    }
    await studio.getByRole('tab', { name: 'Decisions' }).click();
    await page.screenshot({ path: `screenshots/look-${theme}-decisions.png` });
  });
}

test('a unit tells why, is removed and taken back by hand; a lost kernel leaves its run', async ({
  page,
}) => {
  await page.theme.setDarkTheme();
  const studio = await open(page);
  await page.sidebar.close('left');
  const canvas = studio.locator('.paoding-canvas');
  await canvas.focus();
  for (const key of ['ArrowRight', 'ArrowRight', 'Enter', 'Enter', 'ArrowDown', 'Enter']) {
    await page.keyboard.press(key);
  }
  const acts = studio.locator('.paoding-acts');
  await expect(acts.getByText('Merge into').first()).toBeEnabled(SLOW);
  await expect(studio.locator('.paoding-pictures canvas')).toHaveCount(3);
  await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
  await page.screenshot({ path: 'screenshots/look-unit.png' });
  await acts.getByText('Merge into').first().click();
  await expect(studio.locator('.paoding-story')).toContainText('It went in step 1', SLOW);
  await page.screenshot({ path: 'screenshots/look-unit-gone.png' });
  await acts.getByText('Take back').click();
  await expect(studio.locator('.paoding-story')).toContainText('It is here', SLOW);
  await acts.getByText('Keep for good').click();
  await expect(studio.locator('.paoding-story')).toContainText('kept for good', SLOW);
  await expect(acts.getByText('Remove')).toBeDisabled();
  await acts.getByText('Release').click();
  await expect(acts.getByText('Keep for good')).toBeEnabled(SLOW);

  await studio.locator('.paoding-row button').filter({ hasText: 'Step' }).click();
  await expect(studio.locator('.paoding-moment')).toContainText('Step 1', SLOW);
  await studio.getByText('Explain').click();
  await expect(studio.locator('.paoding-explain')).toContainText('Step 1 removed');
  // The kernel dies, as when it runs out of memory; JupyterLab starts another.
  await page.notebook.addCell('code', 'import os\nos._exit(1)');
  await page.notebook.runCell(1, { inplace: true, wait: false });
  const told = page.locator('.jp-Dialog button.jp-mod-accept');
  await told.click({ timeout: 120_000 });
  const lost = studio.locator('.paoding-lost');
  await expect(lost).toContainText('PruningStudio.load("runs/mnist_mlp-autosave")', SLOW);
  await expect(studio.locator('.paoding-row button').first()).toBeDisabled();
  await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
  await page.screenshot({ path: 'screenshots/look-lost.png' });
  const line = (await lost.locator('code').textContent()) ?? '';
  await page.notebook.setCell(1, 'code', line.replace('; ', '\n'));
  await page.notebook.runCell(1, { inplace: true, wait: false });
  await expect(page.locator('.paoding-studio')).toHaveCount(2, SLOW);
  const again = page.locator('.paoding-studio').last();
  await expect(again.locator('.paoding-moment')).toContainText('Step 1', SLOW);
});

test('a saved notebook without its kernel shows the run as it stood, and no error', async ({
  page,
}) => {
  const name = await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE.replace('mnist-mlp', 'breast-cancer'));
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const studio = page.locator('.paoding-studio').first();
  await expect(studio.locator('.paoding-figures')).toContainText('Accuracy', SLOW);
  await studio.locator('.paoding-row button').filter({ hasText: 'Step' }).click();
  const still = page.locator('.paoding-still');
  await expect(still).toContainText('paused', SLOW);
  await expect(still).toBeHidden();
  await page.notebook.save();
  await page.notebook.close(true);
  await page.kernel.shutdownAll();
  await page.notebook.open(String(name));
  await expect(still).toBeVisible(SLOW);
  await expect(still).toContainText('paused');
  await expect(page.getByText('Error displaying widget')).toBeHidden();
  await page.screenshot({ path: 'screenshots/look-no-kernel.png' });
});
