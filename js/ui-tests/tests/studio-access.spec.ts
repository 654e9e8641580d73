/** Nobody is left out: axe finds nothing in either theme, and every part is reached by keyboard. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 180_000 };
const AXE = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf-8');
const CODE = `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("breast-cancer")
studio = PruningStudio(model, data=data, step=1/8, speed="full")
studio`;

interface Finding {
  id: string;
  nodes: { html: string; failureSummary?: string }[];
}

test.use({ viewport: { width: 1400, height: 1600 } });
test.setTimeout(420_000);

async function open(page: IJupyterLabPageFixture): Promise<Locator> {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', CODE);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const studio = page.locator('.paoding-studio').first();
  await expect(studio).toBeVisible(SLOW);
  await expectState(studio, 'ready');
  return studio;
}

async function expectState(studio: Locator, state: string): Promise<void> {
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', state, SLOW);
}

/** What axe finds in the studio, one line for each element. */
async function findings(page: IJupyterLabPageFixture): Promise<string[]> {
  const found = await page.evaluate(async () => {
    const axe = (globalThis as unknown as { axe: { run(where: string): Promise<unknown> } }).axe;
    return (await axe.run('.paoding-studio')) as { violations: Finding[] };
  });
  return found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 140)} ${node.failureSummary ?? ''}`),
  );
}

test('axe finds no violation in light or dark, on any page of the inspector', async ({ page }) => {
  const studio = await open(page);
  await page.evaluate(AXE);
  await studio.locator('.paoding-row button').filter({ hasText: 'Start' }).click();
  await expectState(studio, 'finished');
  for (const panel of ['More settings', 'Explain', 'Show code', 'Tables']) {
    await studio.getByRole('button', { name: panel }).click();
  }
  const canvas = studio.locator('.paoding-canvas');
  await canvas.focus();
  for (const key of ['ArrowRight', 'ArrowRight', 'Enter', 'Enter', 'ArrowDown', 'Enter']) {
    await page.keyboard.press(key);
  }
  await expect(studio.locator('.paoding-story')).not.toBeEmpty();
  const all: string[] = [];
  for (const theme of ['light', 'dark'] as const) {
    await (theme === 'dark' ? page.theme.setDarkTheme() : page.theme.setLightTheme());
    for (const tab of ['Layers', 'Layer', 'Unit', 'Decisions', 'Runs']) {
      await studio.getByRole('tab', { name: tab, exact: true }).click();
      all.push(...(await findings(page)).map((one) => `${theme}, ${tab}: ${one}`));
    }
  }
  expect(all).toEqual([]);
});

test('a run is made, looked back at and taken up again without a mouse', async ({ page }) => {
  const studio = await open(page);
  await studio.locator('.paoding-row button').filter({ hasText: 'Step' }).focus();
  await page.keyboard.press('Enter');
  await expectState(studio, 'paused');
  // A button that was pressed has the focus again once it can be pressed.
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim());
  await expect.poll(focused).toBe('Step');
  await page.keyboard.press('Enter');
  await expect(studio.locator('.paoding-moment')).toContainText('Step 2', SLOW);
  await studio.locator('.paoding-slider').focus();
  await page.keyboard.press('ArrowLeft');
  await expect(studio.locator('.paoding-moment')).toContainText('Step 1', SLOW);
  await tabTo(page, 'Start from here');
  await page.keyboard.press('Enter');
  await expect
    .poll(() => studio.locator('.paoding-moment').textContent(), SLOW)
    .toContain('Step 1');
  const tabs = studio.getByRole('tab');
  await tabs.first().focus();
  for (let at = 1; at < (await tabs.count()); at++) {
    await page.keyboard.press('ArrowRight');
    await expect(tabs.nth(at)).toBeFocused();
    await expect(tabs.nth(at)).toHaveAttribute('aria-selected', 'true');
  }
});

/** Tab by tab to what carries a text; it has to come within one studio's controls. */
async function tabTo(page: IJupyterLabPageFixture, text: string): Promise<void> {
  for (let press = 0; press < 20; press++) {
    await page.keyboard.press('Tab');
    const here = await page.evaluate(() => document.activeElement?.textContent ?? '');
    if (here.trim() === text) return;
  }
  throw new Error(`${text} is not reached with the Tab key`);
}
