/** Pictures of a run in the browser, one after the other; docs/animation.py makes a film of them. */
import { mkdirSync, rmSync } from 'node:fs';
import { expect, test } from '@jupyterlab/galata';

const SLOW = { timeout: 300_000 };
const FOLDER = process.env.PAODING_FRAMES ?? 'frames';
const CODE = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("mnist-mlp")
studio = PruningStudio(model, data=data, step=1/16, speed="slow", compensation="merge", strategy="impact")
studio`;

test.use({ viewport: { width: 1240, height: 900 } });

test('a run from Start to its end', async ({ page }) => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const studio = page.locator('.paoding-studio').first();
  const state = studio.locator('.paoding-state');
  await expect(state).toHaveAttribute('data-state', 'ready', SLOW);
  await page.sidebar.close('left');
  await studio.evaluate((box) => box.scrollIntoView({ block: 'start' }));
  const box = await studio.boundingBox();
  if (!box) throw new Error('the studio is not there');
  const end = await studio.locator('.paoding-timeline').boundingBox();
  const height = (end?.y ?? box.y + 640) + (end?.height ?? 0) + 8 - box.y;
  const clip = { x: box.x, y: box.y, width: box.width, height };
  let frame = 0;
  const shoot = (): Promise<Buffer> =>
    page.screenshot({ path: `${FOLDER}/${String(frame++).padStart(3, '0')}.png`, clip });
  await shoot();
  await studio.locator('.paoding-row button').filter({ hasText: 'Start' }).click();
  await shoot();
  // What is studied before the first step is no film.
  await expect(studio.locator('.paoding-moment')).toContainText('Step 1', SLOW);
  while ((await state.getAttribute('data-state')) !== 'finished' && frame < 200) await shoot();
  await expect(studio.locator('.paoding-estimate')).toBeVisible(SLOW);
  for (let last = 0; last < 3; last++) await shoot();
});
