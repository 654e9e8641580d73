/** Models within a model on the canvas, what layers are set to, and the weights of the first. */
import { expect, test } from '@jupyterlab/galata';

const SLOW = { timeout: 180_000 };
/** An encoder that both images go through, and a head with a model within it. */
const CODE = `import paoding, keras
from paoding_widgets import ModelStructure
L = keras.layers
keras.utils.set_random_seed(1)
enc = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(16, 5, strides=2, activation="relu", name="edges"), L.Conv2D(12, 3, name="parts"), L.GlobalAveragePooling2D(name="mean")], name="encoder")
a, b = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
deep = keras.Sequential([keras.Input((24,)), L.Dense(20, name="one"), L.Dense(16, name="two")], name="deep")
head = keras.Sequential([keras.Input((24,)), deep, L.Dense(8, name="three")], name="head")
x = head(L.Concatenate(name="join")([enc(a), enc(b)]))
model = keras.Model([a, b], L.Dense(1, name="score")(x), name="twins")
ModelStructure(model)`;

test.use({ viewport: { width: 1280, height: 700 } });
test.setTimeout(300_000);

test('nested models fold and open, a layer tells its kernel, and zoomed in shows its weights', async ({
  page,
}) => {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const view = page.locator('.paoding-view').first();
  const canvas = view.locator('.paoding-canvas');
  await expect(canvas).toBeVisible(SLOW);
  await page.sidebar.close('left');
  const spoken = view.locator('.paoding-spoken');
  await expect(view.getByRole('button', { name: 'Fold' })).toBeVisible();
  for (const theme of ['light', 'dark'] as const) {
    await (theme === 'dark' ? page.theme.setDarkTheme() : page.theme.setLightTheme());
    await page.screenshot({ path: `screenshots/nested-${theme}.png` });
  }
  await view.getByLabel('Find a layer by name or type').fill('edges');
  await expect(view.locator('.paoding-search-count')).toHaveText('2 found');
  await canvas.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await expect(spoken).toContainText('encoder/edges, Conv2D');
  await expect(spoken).toContainText('kernel 5 × 5, stride 2, activation relu');
  // Escape folds the model around the layer, Enter opens it again.
  await page.keyboard.press('Escape');
  await expect(spoken).toContainText('encoder: 3 layers');
  await page.screenshot({ path: 'screenshots/nested-folded.png' });
  await page.keyboard.press('Enter');
  await expect(spoken).toContainText('encoder/edges');
  await view.getByRole('searchbox').press('Enter');
  for (let press = 0; press < 4; press++)
    await view.getByRole('button', { name: 'Zoom in' }).click();
  await view.getByRole('searchbox').press('Enter');
  // Weights are blue and red on white: no other part of the picture is.
  const reddish = () =>
    canvas.evaluate((element) => {
      const { width, height } = element as HTMLCanvasElement;
      const context = (element as HTMLCanvasElement).getContext('2d');
      const { data } = context?.getImageData(0, 0, width, height) ?? { data: [] };
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (data[at] === 255 && data[at + 1] === data[at + 2] && (data[at + 1] ?? 255) < 250)
          count++;
      }
      return count;
    });
  await expect.poll(reddish).toBeGreaterThan(500);
  await page.screenshot({ path: 'screenshots/nested-weights.png' });
});
