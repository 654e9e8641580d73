/** What a teacher, an auditor and a practitioner do with the studio. */
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 180_000 };
const TABLE = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
studio = PruningStudio(model, data=data, step=1/8, strategy="impact", compensation="merge")
studio`;
/** Blocks like those of a residual network, small enough for a test; the editor indents lines. */
const BLOCKS = `import keras, numpy as np
from paoding_widgets import PruningStudio
keras.utils.set_random_seed(0)
x = inputs = keras.Input((8, 8, 3))
x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(x)
conv = lambda units, size, name: keras.layers.Conv2D(units, size, padding="same", name=name)
block = lambda x, n: conv(8, 3, f"block{n}_c")(conv(6, 1, f"block{n}_b")(conv(12, 3, f"block{n}_a")(x)))
for n in range(1, 7): x = keras.layers.Add(name=f"block{n}_add")([x, block(x, n)])
x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
model = keras.Model(inputs, keras.layers.Dense(4, "softmax", name="scores")(x), name="residual")
rng = np.random.default_rng(0)
data = rng.random((60, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 60)
studio = PruningStudio(model, data=data, step=1/4, strategy="saliency", compensation="merge")
studio`;

test.use({ viewport: { width: 1400, height: 1200 } });
test.setTimeout(420_000);

async function open(page: IJupyterLabPageFixture, code: string): Promise<Locator> {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', code);
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

const button = (studio: Locator, text: string): Locator =>
  studio.locator('.paoding-row button').filter({ hasText: text });

test('a teacher runs slowly, asks why and replays; an auditor opens the report offline', async ({
  page,
}) => {
  const studio = await open(page, TABLE);
  await studio.getByLabel('Speed', { exact: true }).selectOption('slow');
  await button(studio, 'Start').click();
  await expect(studio.locator('.paoding-moment')).toContainText('Step 1', SLOW);
  await button(studio, 'Pause').click();
  await expectState(studio, 'paused');

  // Which one would you remove? The rivals say who goes first, and Explain follows the choice.
  await studio.getByRole('tab', { name: 'Decisions' }).click();
  await studio.locator('[role=tabpanel]:not([hidden]) tbody tr[aria-rowindex]').first().click();
  await studio.getByRole('tab', { name: 'Unit' }).click();
  await expect(studio.locator('.paoding-story')).toContainText('It went in step 1');
  const name = (await studio.locator('.paoding-details:visible h3').textContent()) ?? '';
  const unit = /unit (\d+)/.exec(name)?.[1] ?? '?';
  await button(studio, 'Explain').click();
  await expect(studio.locator('.paoding-explain')).toContainText(`unit ${unit}`);
  await expect(
    studio.locator('.paoding-explain mjx-container, .paoding-explain .MathJax').first(),
  ).toBeAttached(SLOW);

  await studio.getByLabel('Speed', { exact: true }).selectOption('as fast as it goes');
  await button(studio, 'Go on').click();
  await expectState(studio, 'finished');
  await studio.getByLabel('Speed of the replay').selectOption('fast');
  await studio.getByRole('button', { name: 'Replay' }).click();
  await expect(studio.locator('.paoding-moment')).toContainText('Step 4', SLOW);
  await expect(studio.getByRole('button', { name: '▶ Replay' })).toBeVisible(SLOW);

  await button(studio, 'Save').click();
  await expect(studio.locator('.paoding-message')).toContainText('saved to', SLOW);
  await page.notebook.addCell(
    'code',
    'print("PAGE" + open("runs/breast_cancer/report.html").read())',
  );
  await page.notebook.runCell(1, { inplace: true, wait: false });
  const printed = async () => ((await page.notebook.getCellTextOutput(1)) ?? []).join('');
  await expect.poll(printed, SLOW).toContain('</html>');
  const html = (await printed()).split('PAGE').slice(1).join('PAGE');
  const plain = await page.context().newPage();
  await plain.route('**', (route) => route.abort());
  await plain.setContent(html);
  for (const colorScheme of ['light', 'dark'] as const) {
    await plain.emulateMedia({ colorScheme });
    await expect(plain.getByRole('heading', { name: 'Structure' })).toBeVisible();
    await expect(plain.getByRole('img', { name: /Structure of/ })).toBeVisible();
    await plain.screenshot({ path: `screenshots/report-${colorScheme}.png`, fullPage: true });
  }
  await plain.getByText(/Step 1: \d+ removed/).click();
  await expect(plain.getByRole('cell', { name: 'removed', exact: true }).first()).toBeVisible();
  await plain.close();
});

test('a practitioner folds blocks, keeps a unit for good, and compares two runs', async ({
  page,
}) => {
  const studio = await open(page, BLOCKS);
  const canvas = studio.locator('.paoding-canvas');
  const spoken = studio.locator('.paoding-panel .paoding-spoken');
  await studio.getByRole('button', { name: 'Show the whole structure' }).click();
  await canvas.focus();
  for (let press = 0; press < 3; press++) await page.keyboard.press('ArrowRight');
  await expect(spoken).toContainText('block1 ×5: 20 layers');
  await page.screenshot({ path: 'screenshots/persona-folded.png' });
  await page.keyboard.press('Enter');
  await expect(studio.getByRole('button', { name: 'Fold' })).toBeVisible();
  // A layer that is found opens its block by itself.
  await studio.getByRole('button', { name: 'Fold' }).click();
  await studio.getByLabel('Find a layer by name or type').fill('block4_a');
  await studio.getByLabel('Find a layer by name or type').press('Enter');
  await expect(studio.locator('.paoding-details:visible h3')).toHaveText('block4_a');
  await page.screenshot({ path: 'screenshots/persona-open.png' });

  await button(studio, 'Start').click();
  await expectState(studio, 'finished');
  await studio.getByRole('tab', { name: 'Decisions' }).click();
  await studio.locator('[role=tabpanel]:not([hidden]) tbody tr[aria-rowindex]').first().click();
  await studio.getByRole('tab', { name: 'Unit' }).click();
  await studio.getByRole('button', { name: '… and keep for good' }).click();
  await expect(studio.locator('.paoding-story')).toContainText('kept for good', SLOW);
  await button(studio, 'Go on').click();
  await expectState(studio, 'finished');
  await expect(studio.locator('.paoding-story')).toContainText('kept for good');

  await studio.locator('.paoding-slider').fill('1');
  await studio.getByRole('button', { name: 'Start from here' }).click();
  await expectState(studio, 'paused');
  await studio.getByLabel('Strategy').selectOption('Magnitude');
  await button(studio, 'Go on').click();
  await expectState(studio, 'finished');
  await studio.getByRole('tab', { name: 'Runs' }).click();
  const runs = studio.locator('.paoding-runs');
  await expect(runs).toContainText('strategy Magnitude');
  await expect(runs).toContainText('ms', SLOW);
  await expect(studio.locator('.paoding-charts')).toContainText('violet: run');
  await page.screenshot({ path: 'screenshots/persona-runs.png' });
});
