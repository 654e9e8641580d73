// What Netron shows of model files, for the table in docs/jupyterlab.md: cards, and the first texts.
// Usage: pip install netron; netron --port 8377 &   node netron.mjs http://127.0.0.1:8377 FILE...
import { basename } from 'node:path';
import { chromium } from '@playwright/test';

/** Netron tells nobody when it is done; the largest of the ten files takes less. */
const PATIENCE_MS = 15_000;

const [address, ...files] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage();
page.on('dialog', (dialog) => dialog.dismiss());
// Netron takes `eval` away, which Playwright needs to look at the page.
await page.addInitScript(() => {
  // biome-ignore lint/security/noGlobalEval: it is only given back.
  const own = window.eval;
  Object.defineProperty(window, 'eval', { get: () => own, set: () => undefined });
});
for (const file of files) {
  await page.goto(address);
  const accept = page.getByRole('button', { name: /accept/i });
  await accept.click({ timeout: 3000 }).catch(() => undefined);
  await page.locator('#open-file-dialog').setInputFiles(file);
  await page.waitForTimeout(PATIENCE_MS);
  const cards = await page.locator('g.node').count();
  const texts = await page.locator('#target text').allTextContents();
  const [message = ''] = await page.locator('#message').allInnerTexts();
  console.log(basename(file), cards, texts.slice(0, 8).join(' | '), message.split('\n')[0]);
}
await browser.close();
