/** Model files in a real JupyterLab: opened, searched, refused in a sentence, sent to a notebook. */
import path from 'node:path';
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const ZOO = path.resolve(__dirname, '../../../paoding/zoo');

test.use({ viewport: { width: 1280, height: 900 } });

async function open(page: IJupyterLabPageFixture, file: string): Promise<Locator> {
  await page.filebrowser.open(file);
  const view = page.locator('.paoding-viewer');
  await expect(view).toBeVisible();
  return view;
}

for (const theme of ['light', 'dark'] as const) {
  test(`a .keras file opens in ${theme}, without a kernel: totals, structure, layers, one layer`, async ({
    page,
    tmpPath,
  }) => {
    if (theme === 'dark') await page.theme.setDarkTheme();
    await page.contents.uploadFile(`${ZOO}/mnist-cnn.keras`, `${tmpPath}/mnist-cnn.keras`);
    const parts: string[] = [];
    page.on('request', (request) => {
      const range = request.headers().range;
      if (range) parts.push(range);
    });
    const view = await open(page, `${tmpPath}/mnist-cnn.keras`);
    await expect(view.locator('h2')).toContainText('mnist_cnn');
    await expect(view.locator('header')).toContainText('Parameters');
    expect(parts.length).toBeGreaterThan(0);
    await view.getByRole('searchbox', { name: 'Filter layers' }).fill('conv');
    const rows = view.locator('tbody tr[aria-rowindex]');
    await expect(rows).toHaveCount(2);
    await rows.first().click();
    const details = view.getByRole('region', { name: 'Layer', exact: true });
    await expect(details).toContainText('"kernel_size"');
    await view.getByRole('searchbox', { name: 'Filter layers' }).fill('');
    await page.screenshot({ path: `screenshots/viewer-${theme}.png` });
  });
}

test('a file that is no model says so in one sentence, and nothing of it is read as HTML', async ({
  page,
  tmpPath,
}) => {
  await page.contents.uploadContent('<img src=x onerror=alert(1)>', 'text', `${tmpPath}/bad.keras`);
  await page.filebrowser.open(`${tmpPath}/bad.keras`);
  const message = page.locator('.paoding-viewer-message');
  await expect(message).toContainText('This is no .keras file');
});

test('Prune in a notebook writes a notebook that loads this very file', async ({
  page,
  tmpPath,
}) => {
  await page.contents.uploadFile(`${ZOO}/breast-cancer.keras`, `${tmpPath}/my net.keras`);
  const view = await open(page, `${tmpPath}/my net.keras`);
  await view.getByRole('button', { name: 'Prune in a Notebook' }).click();
  await expect(page.locator('.jp-Notebook')).toContainText('load_model');
  const text = (await page.notebook.getCellTextInput(1)) ?? '';
  expect(text).toContain('load_model("my net.keras")');
});

test('an .h5 file can be pruned from its context menu', async ({ page, tmpPath }) => {
  await page.contents.uploadContent('not read here', 'text', `${tmpPath}/old.h5`);
  await page.filebrowser.openDirectory(tmpPath);
  await page.filebrowser.refresh();
  await page.locator('.jp-DirListing-item[data-file-type="hdf5"]').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Prune in a Notebook' }).click();
  await expect(page.locator('.jp-Notebook')).toContainText('load_model("old.h5")');
});
