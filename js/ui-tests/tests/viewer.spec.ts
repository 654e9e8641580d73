/** Model files in a real JupyterLab: opened, searched, refused in a sentence, sent to a notebook. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
    await details.locator('summary', { hasText: 'kernel' }).click();
    await expect(details.locator('.paoding-histogram')).toBeVisible();
    await expect(details.locator('.paoding-filters canvas').first()).toBeVisible();
    await expect(details.locator('figcaption', { hasText: 'Heat map' })).toBeVisible();
    await page.screenshot({ path: `screenshots/viewer-${theme}.png` });
    await page.setViewportSize({ width: 700, height: 900 });
    await expect
      .poll(() => view.evaluate((box) => box.scrollWidth - box.clientWidth))
      .toBeLessThanOrEqual(1);
    await page.screenshot({ path: `screenshots/viewer-${theme}-narrow.png` });
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

test('a picture of the structure is saved as SVG and PNG, and the table is copied', async ({
  page,
  tmpPath,
}) => {
  await page.contents.uploadFile(`${ZOO}/mnist-cnn.keras`, `${tmpPath}/mnist-cnn.keras`);
  const view = await open(page, `${tmpPath}/mnist-cnn.keras`);
  await view.getByRole('button', { name: 'Turn' }).click();
  await page.screenshot({ path: 'screenshots/viewer-vertical.png' });
  const saved = async (name: string): Promise<Buffer> => {
    const download = page.waitForEvent('download');
    await view.getByRole('button', { name, exact: true }).click();
    return readFileSync(await (await download).path());
  };
  const svg = (await saved('Save the structure as SVG')).toString();
  expect(svg).toContain('</svg>');
  expect(svg).toContain('conv_1');
  expect((await saved('Save the structure as PNG')).subarray(1, 4).toString()).toBe('PNG');
});

test('a tab with a model comes back when the page is loaded again', async ({ page, tmpPath }) => {
  await page.contents.uploadFile(`${ZOO}/mnist-mlp.keras`, `${tmpPath}/net.keras`);
  await open(page, `${tmpPath}/net.keras`);
  // Galata's own reload waits for the launcher, which does not come.
  await page.evaluate(() => window.location.reload());
  await expect(page.locator('.paoding-viewer h2')).toContainText('mnist_mlp');
});

test('a link to a layer opens the model and chooses that layer', async ({ page, tmpPath }) => {
  await page.contents.uploadFile(`${ZOO}/mnist-mlp.keras`, `${tmpPath}/net.keras`);
  await page.contents.uploadContent('[here](net.keras#dense_1)', 'text', `${tmpPath}/notes.md`);
  await page.filebrowser.openDirectory(tmpPath);
  await page.evaluate(async (file) => {
    const factory = 'Markdown Preview';
    await window.jupyterapp.commands.execute('docmanager:open', { path: file, factory });
  }, `${tmpPath}/notes.md`);
  await page.locator('.jp-MarkdownViewer a', { hasText: 'here' }).click();
  await expect(page.locator('.paoding-viewer-details h3')).toHaveText('dense_1');
});

test.describe('HDF5', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'paoding-h5-'));

  test.beforeAll(() => {
    execFileSync('python', [path.join(__dirname, 'make_h5.py'), folder]);
  });

  test('a model that Keras 2 wrote opens with shapes, weights and training', async ({
    page,
    tmpPath,
  }) => {
    await page.contents.uploadFile(`${folder}/old.h5`, `${tmpPath}/old.h5`);
    const view = await open(page, `${tmpPath}/old.h5`);
    await expect(view.locator('h2')).toHaveText('old · Sequential');
    await expect(view.locator('header')).toContainText('SGD, mse');
    // 3 x 3 x 3 x 8 weights and 8 biases, and 12 x 12 x 8 x 2 weights.
    await expect(view.locator('header')).toContainText('2,528');
    const table = view.locator('.paoding-viewer-table');
    await expect(table).toContainText('<b>out</b>');
    await table.locator('tbody tr', { hasText: 'Conv2D' }).click();
    const details = view.getByRole('region', { name: 'Layer', exact: true });
    await details.locator('summary', { hasText: 'kernel' }).click();
    await expect(details).toContainText('Standard deviation');
    await page.screenshot({ path: 'screenshots/viewer-h5.png' });
  });

  test('of half a gigabyte only what is shown is read', async ({ page, tmpPath }) => {
    const root = process.env.PAODING_TEST_ROOT ?? '';
    execFileSync('python', [
      path.join(__dirname, 'make_h5.py'),
      folder,
      path.join(root, tmpPath, 'large.h5'),
    ]);
    let read = 0;
    page.on('response', (response) => {
      if (response.status() === 206) read += Number(response.headers()['content-length'] ?? 0);
    });
    const view = await open(page, `${tmpPath}/large.h5`);
    await expect(view.locator('header')).toContainText('121,000,000');
    await expect(view.locator('header')).toContainText('461.6 MB');
    expect(read).toBeLessThan(200_000);
    await view.locator('.paoding-viewer-table tbody tr', { hasText: 'wide' }).click();
    const details = view.getByRole('region', { name: 'Layer', exact: true });
    await details.locator('summary', { hasText: 'kernel' }).click();
    await expect(details).toContainText('From 4,194,304 of 121,000,000 values');
    await expect(details.locator('figcaption', { hasText: 'the first 256 × 256' })).toBeVisible();
    expect(read).toBeLessThan(32 << 20);
  });

  test('a file of weights alone opens as a tree', async ({ page, tmpPath }) => {
    await page.contents.uploadFile(`${folder}/only.weights.h5`, `${tmpPath}/only.weights.h5`);
    await page.filebrowser.open(`${tmpPath}/only.weights.h5`);
    const tree = page.locator('.paoding-weights-file');
    await expect(tree).toContainText('without a model');
    await tree.locator('summary', { hasText: '5 × 4 · float32' }).click();
    await expect(tree.locator('figcaption', { hasText: 'Heat map' })).toBeVisible();
    await tree.locator('summary', { hasText: '40 × 30 · float64' }).click();
    await expect(tree.getByText('Standard deviation').last()).toBeVisible();
    await page.screenshot({ path: 'screenshots/viewer-weights.png' });
  });

  test('a hostile file leaves the page responsive', async ({ page, tmpPath }) => {
    for (const name of ['endless.keras', 'bomb.keras']) {
      await page.contents.uploadFile(`${folder}/${name}`, `${tmpPath}/${name}`);
    }
    // The page is asked for frames from the double click on until the file is shown or refused.
    const framesUntil = (selector: string) =>
      page.evaluate(async (wanted) => {
        let frames = 0;
        while (!document.querySelector(wanted)) {
          await new Promise(requestAnimationFrame);
          frames++;
        }
        return frames;
      }, selector);
    await page.filebrowser.openDirectory(tmpPath);
    const counted = framesUntil('.paoding-viewer h2');
    await page.locator('.jp-DirListing-item', { hasText: 'endless.keras' }).dblclick();
    expect(await counted).toBeGreaterThan(2);
    const view = page.locator('.paoding-viewer');
    await expect(view).toContainText('19,000 layers are too many to be drawn');
    await view.getByRole('searchbox', { name: 'Filter layers' }).fill('layer_18999');
    await expect(view.locator('tbody tr[aria-rowindex]')).toHaveCount(1);
    await page.screenshot({ path: 'screenshots/viewer-endless.png' });
    const refused = framesUntil('.paoding-viewer-message:not(:empty)');
    await page.locator('.jp-DirListing-item', { hasText: 'bomb.keras' }).dblclick();
    await refused;
    await expect(page.locator('.paoding-viewer-message')).toContainText("'config.json' has 200 MB");
  });
});

test('an .h5 file can be pruned from its context menu; one that is no model says so', async ({
  page,
  tmpPath,
}) => {
  await page.contents.uploadContent('not read here', 'text', `${tmpPath}/old.h5`);
  await page.filebrowser.openDirectory(tmpPath);
  await page.filebrowser.refresh();
  const item = page.locator('.jp-DirListing-item[data-file-type="hdf5"]');
  await item.dblclick();
  await expect(page.locator('.paoding-viewer-message')).toContainText('This is no');
  await item.click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Prune in a Notebook' }).click();
  await expect(page.locator('.jp-Notebook')).toContainText('load_model("old.h5")');
});
