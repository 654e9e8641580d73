/** Each lesson in a real JupyterLab: its picture is there, and answers to what a student does. */
import path from 'node:path';
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const FOLDER = path.resolve(__dirname, '../../../notebooks/lessons');
/** A kernel that imports TensorFlow on a busy machine. */
const SLOW = { timeout: 120_000 };

interface Lesson {
  name: string;
  /** Cells of code up to the one that shows the picture. */
  cells: number[];
  /** What a student does. */
  act: (output: Locator) => Promise<void>;
}

const clickPicture = async (output: Locator): Promise<void> =>
  output.locator('.paoding-picture').nth(1).click();
/** Moves a slider by keyboard, as somebody without a mouse does. */
const slide = async (output: Locator, key = 'ArrowRight'): Promise<void> => {
  const handle = output.locator('.noUi-handle').first();
  await handle.focus();
  for (let i = 0; i < 3; i++) await handle.press(key);
};

const LESSONS: Lesson[] = [
  { name: '1-what-is-a-unit', cells: [1, 5], act: clickPicture },
  { name: '2-which-unit', cells: [1, 3], act: clickPicture },
  { name: '3-merge-fold-fit', cells: [1], act: slide },
  { name: '4-the-walk', cells: [1], act: slide },
  {
    name: '5-without-data',
    cells: [1],
    act: (output) => output.getByRole('button', { name: 'real inputs' }).first().click(),
  },
  { name: '6-robustness', cells: [1], act: slide },
  { name: '7-certificates', cells: [1], act: slide },
  {
    name: '8-structure',
    cells: [1, 2, 4],
    act: async (output) => {
      await output.getByRole('checkbox').first().check();
      await output.getByRole('button', { name: 'Cut channel 0' }).click();
    },
  },
  { name: '9-to-the-device', cells: [1], act: (output) => slide(output, 'ArrowLeft') },
];

async function run(page: IJupyterLabPageFixture, cell: number): Promise<void> {
  await page.notebook.runCell(cell, { inplace: true, wait: false });
  await expect
    .poll(() => page.evaluate((index) => window.galata.haveBeenExecuted(index), cell), SLOW)
    .toBe(true);
}

test.use({ viewport: { width: 1280, height: 1100 } });
test.setTimeout(300_000);

for (const lesson of LESSONS) {
  test(`lesson ${lesson.name}: its picture answers, in light and in dark`, async ({
    page,
    tmpPath,
  }) => {
    const file = `${lesson.name}.ipynb`;
    await page.contents.uploadFile(path.join(FOLDER, file), `${tmpPath}/${file}`);
    await page.notebook.openByPath(`${tmpPath}/${file}`);
    await page.notebook.activate(file);
    for (const cell of lesson.cells) await run(page, cell);
    const output = page
      .locator('.jp-OutputArea-output')
      .filter({ has: page.locator('[role=status]') })
      .last();
    const line = output.locator('[role=status]');
    await expect(line).toBeVisible(SLOW);
    await line.scrollIntoViewIfNeeded();
    const before = await line.textContent();
    await lesson.act(output);
    await expect(line).not.toHaveText(before ?? '', SLOW);
    for (const theme of ['light', 'dark'] as const) {
      if (theme === 'dark') await page.theme.setDarkTheme();
      else await page.theme.setLightTheme();
      await output.scrollIntoViewIfNeeded();
      await page.waitForTimeout(600); // bqplot lays charts out anew 300 ms after a change
      await page.screenshot({ path: `screenshots/lesson-${lesson.name}-${theme}.png` });
    }
  });
}
