/** How quick the viewer is: from the double click on a large model to its painted structure. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jupyterlab/galata';

const SLOW = { timeout: 300_000 };
const ROOT = process.env.PAODING_TEST_ROOT ?? '';

test.use({ viewport: { width: 1400, height: 1000 } });

test.beforeAll(() => {
  test.setTimeout(900_000);
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', CUDA_VISIBLE_DEVICES: '-1' };
  execFileSync('python', [path.join(__dirname, 'make_large.py'), ROOT], { env, stdio: 'pipe' });
});

for (const name of ['EfficientNetB7', 'NASNetLarge']) {
  test(`double click to painted structure: ${name}`, async ({ page }) => {
    await page.filebrowser.openDirectory('/');
    await page.filebrowser.refresh();
    const item = page.locator('.jp-DirListing-item', { hasText: `${name}.keras` });
    await expect(item).toBeVisible();
    const open = async (): Promise<number> => {
      const painted = page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            let began = 0;
            const start = (): void => {
              began = performance.now();
            };
            document.addEventListener('dblclick', start, { capture: true, once: true });
            /** More than one colour along the canvas's middle: cards are there. */
            const look = (): void => {
              const canvas = document.querySelector<HTMLCanvasElement>(
                '.paoding-viewer .paoding-canvas',
              );
              const context = canvas && canvas.width > 0 ? canvas.getContext('2d') : null;
              const row = context?.getImageData(
                0,
                (canvas?.height ?? 0) >> 1,
                canvas?.width ?? 0,
                1,
              );
              const pixels = new Set(row ? new Uint32Array(row.data.buffer) : []);
              if (began > 0 && pixels.size > 2) resolve(performance.now() - began);
              else requestAnimationFrame(look);
            };
            look();
          }),
      );
      await item.dblclick();
      return painted;
    };
    // The first opening also loads the part of the extension that shows models.
    const first = await open();
    await expect(page.locator('.paoding-viewer h2')).toContainText(
      name.toLowerCase().slice(0, 6),
      SLOW,
    );
    await page.activity.closeAll();
    const again = await open();
    for (const [what, value] of [
      ['first', first],
      ['again', again],
    ] as const) {
      console.log(`BENCH Double click to structure, ${name}, ${what}: ${value.toFixed(0)} ms`);
    }
  });
}
