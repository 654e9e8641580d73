/** The launcher card and the command, in a real JupyterLab with a real kernel. */
import { expect, test } from '@jupyterlab/galata';

test('the launcher card opens a notebook that is ready to prune', async ({ page }) => {
  await page.screenshot({ path: 'screenshots/launcher.png' });
  await page.getByRole('button', { name: 'Pruning notebook' }).click();

  const first = page.locator('.jp-Notebook .jp-MarkdownCell').first();
  await expect(first).toContainText('Pruning a Keras network');
  expect(await page.notebook.getCellTextInput(1)).toContain('paoding.zoo.load');
  expect(await page.notebook.getCellTextInput(2)).toContain('PruningStudio(');
  await expect(page.locator('.jp-Toolbar-kernelName')).toContainText('Python 3');
  await page.screenshot({ path: 'screenshots/pruning-notebook.png' });
});

test('the command palette opens it too, and its kernel knows paoding', async ({ page }) => {
  await page.evaluate(() => window.jupyterapp.commands.execute('paoding:new-notebook'));

  await page.waitForSelector('.jp-Notebook .jp-CodeCell');
  await page.notebook.setCell(4, 'code', 'import paoding\nprint("version", paoding.__version__)');
  await page.notebook.runCell(4, true);
  const output = await page.notebook.getCellTextOutput(4);
  expect(output?.[0]).toMatch(/version \d+\.\d+/);
});

test('a lesson of the launcher opens a copy, and the same copy the next time', async ({ page }) => {
  await page.screenshot({ path: 'screenshots/launcher-lessons.png' });
  await page.locator('.jp-LauncherCard', { hasText: 'Which unit would you remove?' }).click();
  const notebook = page.locator('.jp-Notebook');
  await expect(notebook.locator('.jp-MarkdownCell').first()).toContainText('Which unit');
  await expect(page.locator('.jp-Toolbar-kernelName')).toContainText('Python 3');

  await page.notebook.setCell(0, 'markdown', '# My own notes');
  await page.notebook.save();
  await page.notebook.close();
  await page.evaluate(() =>
    window.jupyterapp.commands.execute('paoding:open-lesson', { lesson: '2-which-unit.ipynb' }),
  );
  await expect(notebook.locator('.jp-MarkdownCell').first()).toContainText('My own notes');
});
