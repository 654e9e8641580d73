/** The models panel, the commands and the status bar, with a real kernel behind them. */
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 180_000 };
const MODEL = `import keras
keras.utils.set_random_seed(0)
net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
later = keras.Sequential([keras.layers.Dense(2)])
list = len = repr = None  # what a notebook may do to built-ins`;

test.setTimeout(240_000);

async function run(page: IJupyterLabPageFixture, index: number, code: string): Promise<void> {
  if (index > 0) await page.notebook.addCell('code', code);
  else await page.notebook.setCell(index, 'code', code);
  await page.notebook.runCell(index, { inplace: true, wait: false });
  await expect
    .poll(() => page.evaluate((cell) => window.galata.haveBeenExecuted(cell), index), SLOW)
    .toBe(true);
}

async function panelOf(page: IJupyterLabPageFixture): Promise<Locator> {
  await page.sidebar.openTab('paoding-models');
  return page.locator('#paoding-models');
}

test('the panel finds a model that a cell has made, and the studio opens on it', async ({
  page,
}) => {
  const asked: string[] = [];
  page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      const text = payload.toString();
      if (text.includes('execute_request') && text.includes('user_expressions')) asked.push(text);
    }),
  );
  await page.notebook.createNew();
  const panel = await panelOf(page);
  await expect(panel).toContainText('Keras is not loaded in this kernel');

  await run(page, 0, MODEL);
  const card = panel.getByRole('article', { name: 'net' });
  await expect(card).toContainText('163 parameters · 652 B');
  await expect(card).toContainText('Sequential');
  await expect(panel.getByRole('article', { name: 'later' })).toContainText('not built');
  await page.screenshot({ path: 'screenshots/models-panel.png' });

  // The question is asked once, is not its own answer's echo, and leaves nothing behind.
  const silent = () => asked.filter((text) => text.includes('"silent":true')).length;
  const before = silent();
  await page.waitForTimeout(1500);
  expect(silent()).toBe(before);
  await run(page, 1, 'print(sorted(n for n in globals() if n[0] != "_"), In)');
  const [printed] = (await page.notebook.getCellTextOutput(1)) ?? [];
  expect(printed).toContain("'In', 'Out', 'exit', 'get_ipython', 'keras', 'later', 'len', 'list'");
  expect(printed).not.toContain('hex()');

  await card.getByRole('button', { name: 'Open Studio' }).click();
  const studio = page.locator('.jp-Notebook .paoding-studio').first();
  await expect(studio).toBeVisible(SLOW);
  await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', 'ready', SLOW);

  await test.step('the studio moves beside its notebook and keeps its layout', async () => {
    await page.evaluate(() => window.jupyterapp.commands.execute('paoding:move-beside'));
    const beside = page.locator('[id^=LinkedOutputView] .paoding-studio');
    await expect(beside).toBeVisible(SLOW);
    const notebook = await page.locator('.jp-NotebookPanel').boundingBox();
    const place = await beside.boundingBox();
    expect(place?.x ?? 0).toBeGreaterThanOrEqual((notebook?.x ?? 0) + (notebook?.width ?? 0) - 1);
    await expect(beside.locator('.paoding-main')).toBeVisible();
    await page.sidebar.close('left');
    await page.screenshot({ path: 'screenshots/studio-beside.png' });
  });

  await test.step('the status bar shows the run, pauses it and says when it ends', async () => {
    const bar = page.locator('.paoding-status');
    await expect(bar).toBeHidden();
    await studio.getByRole('button', { name: 'Start' }).first().click();
    await expect(bar).toContainText('Pruning sequential', SLOW);
    await bar.getByRole('button', { name: 'Pause' }).click();
    await expect(bar).toContainText('paused at', SLOW);
    await page.screenshot({ path: 'screenshots/status-bar.png' });
    await bar.getByRole('button', { name: 'Go on' }).click();
    await expect(studio.locator('.paoding-state')).toHaveAttribute('data-state', 'finished', SLOW);
    await expect(page.locator('.Toastify__toast')).toContainText('has finished');
    await expect(bar).toBeHidden();
  });
});

test('a model is saved beside the notebook and shown, without a cell', async ({
  page,
  tmpPath,
}) => {
  await page.contents.uploadContent('taken', 'text', `${tmpPath}/net.keras`);
  await page.filebrowser.openDirectory(tmpPath);
  await page.notebook.createNew();
  const panel = await panelOf(page);
  await run(page, 0, MODEL);
  await panel
    .getByRole('article', { name: 'net' })
    .getByRole('button', { name: 'Save and View' })
    .click();
  await expect(page.locator('.paoding-viewer h2')).toContainText('sequential');
  expect(await page.contents.fileExists(`${tmpPath}/net-1.keras`)).toBe(true);
});

test('a kernel of another language is told so, and nothing breaks', async ({ page }) => {
  const kernels = path.join(process.env.PAODING_TEST_SHARE ?? '', 'kernels');
  cpSync(path.resolve(__dirname, '../kernels'), kernels, { recursive: true });
  try {
    const panel = await panelOf(page);
    await expect(panel).toContainText('No notebook is open');
    await page.evaluate(async () => {
      const { commands, serviceManager } = window.jupyterapp;
      await serviceManager.kernelspecs.refreshSpecs();
      await commands.execute('notebook:create-new', { kernelName: 'echo' });
    });
    await expect(panel).toContainText("This kernel's language is echo");
  } finally {
    // Another notebook would be asked which kernel it wants.
    rmSync(kernels, { recursive: true });
  }
});

test('menus, palette and settings have what they should', async ({ page }) => {
  await page.menu.openLocator('Run>Pruning');
  await expect(page.getByRole('menuitem', { name: 'New Pruning Notebook' })).toBeVisible();
  await page.menu.closeAll();
  await page.menu.openLocator('File>New');
  await expect(page.getByRole('menuitem', { name: 'Pruning Notebook' })).toBeVisible();
  await page.menu.closeAll();
  const known = await page.evaluate(() => {
    const { commands } = window.jupyterapp;
    return commands.listCommands().filter((id) => id.startsWith('paoding:'));
  });
  for (const name of ['new-notebook', 'prune-in-notebook', 'open-studio', 'move-beside']) {
    expect(known).toContain(`paoding:${name}`);
  }
  await page.evaluate(() =>
    window.jupyterapp.commands.execute('settingeditor:open', { query: 'Pruning' }),
  );
  await expect(page.locator('.jp-SettingsPanel')).toContainText('Direction of the structure');
});
