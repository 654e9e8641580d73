import { expect, test } from '@jupyterlab/galata';

const SLOW = { timeout: 240_000 };
test.use({ viewport: { width: 1400, height: 1000 } });
test.setTimeout(600_000);
test('look', async ({ page }) => {
  await page.notebook.createNew();
  await page.notebook.setCell(
    0,
    'code',
    `import keras
from paoding_widgets import PruningStudio
model = keras.applications.EfficientNetB0(weights=None, input_shape=(96, 96, 3))
PruningStudio(model, compensation="none", strategy="magnitude", step=0.25, distil=0)`,
  );
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const studio = page.locator('.paoding-studio').first();
  await expect(studio).toBeVisible(SLOW);
  await page.sidebar.close('left');
  await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
  await page.waitForTimeout(1500);
  for (const theme of ['light', 'dark'] as const) {
    await (theme === 'dark' ? page.theme.setDarkTheme() : page.theme.setLightTheme());
    for (const width of [1400, 1000, 700]) {
      await page.setViewportSize({ width, height: 1000 });
      await page.waitForTimeout(700);
      await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
      await page.waitForTimeout(500);
      await page.screenshot({ path: `screenshots/scratch-${theme}-${width}.png` });
    }
  }
  await page.setViewportSize({ width: 1400, height: 1000 });
  await studio.getByLabel('Find a layer by name or type').fill('block6c_se_reduce');
  await studio.getByLabel('Find a layer by name or type').press('Enter');
  await page.waitForTimeout(800);
  await page.screenshot({ path: `screenshots/scratch-found.png` });
});
