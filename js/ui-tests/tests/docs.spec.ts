/** The documentation site, opened from a folder: nobody is left out, and its search works offline. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, type Page, test } from '@playwright/test';

const ROOT = path.resolve(__dirname, '../../..');
const SITE = path.join(ROOT, 'build/site');
const AXE = readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf-8');
const PAGES = [
  'index.html',
  'lessons/6-robustness.html',
  'how-to/own-model.html',
  'method.html',
  'quality.html',
  'tasks.html',
  'reference/prune.html',
];

interface Finding {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

test.beforeAll(() => {
  test.setTimeout(300_000);
  if (!existsSync(path.join(SITE, 'index.html'))) {
    execFileSync('python', ['docs/build.py', '--unexecuted'], { cwd: ROOT, stdio: 'inherit' });
  }
});

async function open(page: Page, name: string): Promise<void> {
  await page.goto(pathToFileURL(path.join(SITE, name)).href);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds no violation on a page of each kind, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    const found: string[] = [];
    for (const name of PAGES) {
      await open(page, name);
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => {
        const axe = (globalThis as unknown as { axe: { run(): Promise<unknown> } }).axe;
        return axe.run() as Promise<{ violations: Finding[] }>;
      });
      for (const { id, nodes } of violations) {
        found.push(`${name}: ${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
      }
    }
    expect(found).toEqual([]);
  });
}

test('search finds a lesson from a folder, without a server or a network', async ({ page }) => {
  await page.context().setOffline(true);
  await open(page, 'index.html');
  await page.getByRole('textbox', { name: 'Search' }).fill('annealing');
  await expect(page.locator('.md-search-result__item').first()).toBeVisible();
  await expect(page.locator('.md-search-result__list')).toContainText('The walk');
});
