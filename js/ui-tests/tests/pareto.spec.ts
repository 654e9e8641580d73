/** The front of a sweep in a real JupyterLab: a click on a point opens its run, which goes on. */
import { expect, test } from '@jupyterlab/galata';

/** A kernel that imports TensorFlow on a busy machine. */
const SLOW = { timeout: 180_000 };
const CODE = `import paoding
from paoding_widgets import ParetoView
model, data = paoding.zoo.load("breast-cancer")
front = paoding.sweep(model, [0.25, 0.5], data=data, step=1/8, strategy="saliency",
                      compensation="merge", distil=0)
ParetoView(front, data)`;

test.use({ viewport: { width: 1400, height: 1100 } });
test.setTimeout(420_000);

test('a click on a point of the front opens its run, and pruning goes on from there', async ({
  page,
}) => {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const view = page.locator('.paoding-pareto').first();
  await expect(view).toBeVisible(SLOW);
  const line = view.locator('.paoding-pareto-line [role=status]');
  await expect(line).toContainText('on the front');
  const points = view.locator('.bqplot').first().locator('path.dot');
  await expect(points).toHaveCount(2);
  await page.screenshot({ path: 'screenshots/pareto.png' });

  await points.first().click();
  await expect(line).toContainText('Opened target-', SLOW);
  const studio = view.locator('.paoding-studio');
  await expect(studio).toBeVisible(SLOW);
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', 'finished', SLOW);

  const target = studio.getByLabel('Target', { exact: true });
  await target.fill('0.75');
  await target.press('Tab');
  await studio
    .locator('button.jupyter-button')
    .filter({ hasText: /Start|Go on/ })
    .first()
    .click();
  await expect(studio.locator('.paoding-moment')).toContainText(/Step \d+ of/, SLOW);
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', 'finished', SLOW);
  await studio.scrollIntoViewIfNeeded();
  await page.screenshot({ path: 'screenshots/pareto-studio.png' });
});
