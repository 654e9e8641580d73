/** What a teacher, an auditor and a practitioner do with the studio. */
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 300_000 };
const TABLE = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
studio = PruningStudio(model, data=data, step=1/8, strategy="impact", compensation="merge")
studio`;
/** A real network of blocks on small images; nobody has data for it, so nothing is measured. */
const NETWORK = `import paoding, keras
from paoding_widgets import PruningStudio
keras.utils.set_random_seed(0)
model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=10)
studio = PruningStudio(model, target=1/4, step=1/16, strategy="saliency", compensation="merge", distil=0)
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

for (const theme of ['light', 'dark'] as const) {
  test(`in ${theme} a teacher runs slowly, asks why and replays; an auditor opens the report offline`, async ({
    page,
  }) => {
    await (theme === 'dark' ? page.theme.setDarkTheme() : page.theme.setLightTheme());
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

    await page.screenshot({ path: `screenshots/teacher-${theme}.png` });
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
}

test('a practitioner sees stages, pauses, locks, goes on by hand, compares, saves and loads', async ({
  page,
}) => {
  // A limit, no measure: on a busy machine such a network takes its time.
  test.setTimeout(900_000);
  await page.theme.setDarkTheme();
  const studio = await open(page, NETWORK);
  const canvas = studio.locator('.paoding-canvas');
  const moment = studio.locator('.paoding-moment');
  await expect(studio.getByRole('button', { name: 'Unfold' })).toBeVisible();
  await expect(studio.locator('.paoding-message')).toContainText('press Start', SLOW);
  await page.screenshot({ path: 'screenshots/persona-folded.png' });
  await button(studio, 'Start').click();
  const stage = /getting ready|deciding|recording|drawing|fitting|step \d/;
  await expect(studio.locator('.paoding-message')).toContainText(stage);
  await button(studio, 'Pause').click();
  await expectState(studio, 'paused');
  await expect(moment).toContainText(/Step [12] /);

  const tab = (name: string) => studio.getByRole('tab', { name, exact: true });
  await tab('Layers').click();
  await studio.getByLabel('Filter layers').fill('block2a');
  await studio.getByLabel('Lock block2a_project_conv').check();
  // A layer that is found opens its block by itself; its units are walked by keys.
  const search = studio.getByLabel('Find a layer by name or type');
  await search.fill('block3a_expand_conv');
  await search.press('Enter');
  await expect(studio.locator('.paoding-details:visible h3')).toHaveText('block3a_expand_conv');
  await canvas.focus();
  for (const key of ['Enter', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
  await page.screenshot({ path: 'screenshots/persona-open.png' });
  const acts = studio.locator('.paoding-acts');
  const remove = acts.getByText(/Merge into|Remove/).first();
  await expect(remove).toBeEnabled(SLOW);
  await remove.click();
  await expect(studio.locator('.paoding-story')).toContainText('It went in step', SLOW);
  await acts.getByText('… and keep for good').click();
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
  await tab('Runs').click();
  const runs = studio.locator('.paoding-runs');
  await expect(runs).toContainText('strategy Magnitude');
  await expect(studio.locator('.paoding-charts')).toContainText('violet: run');
  await page.screenshot({ path: 'screenshots/persona-runs.png' });

  await button(studio, 'Save').click();
  await expect(studio.locator('.paoding-message')).toContainText('saved to', SLOW);
  // The kernel ends, and JupyterLab starts another.
  await page.notebook.addCell('code', 'import os\nos._exit(1)');
  await page.notebook.runCell(1, { inplace: true, wait: false });
  await page.locator('.jp-Dialog button.jp-mod-accept').click(SLOW);
  const lost = studio.locator('.paoding-lost');
  await expect(lost).toContainText('PruningStudio.load("runs/', SLOW);
  await expect(button(studio, 'Start').or(button(studio, 'Go on')).first()).toBeDisabled();
  const line = (await lost.locator('code').textContent()) ?? '';
  await page.notebook.setCell(1, 'code', line.replace('; ', '\n'));
  await page.notebook.runCell(1, { inplace: true, wait: false });
  await expect(page.locator('.paoding-studio')).toHaveCount(2, SLOW);
  const again = page.locator('.paoding-studio').last();
  await expect(again.locator('.paoding-moment')).toContainText(/Step [2-9]/, SLOW);
  await expect(again.locator('.paoding-more-settings')).toBeHidden();
  await again.getByRole('tab', { name: 'Runs' }).click();
  await expect(again.locator('.paoding-runs')).toContainText('strategy Magnitude', SLOW);
});
