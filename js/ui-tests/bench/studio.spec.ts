/** How quick the studio is in a browser; each number is printed as a line `name: value unit`. */
import { expect, type IJupyterLabPageFixture, test } from '@jupyterlab/galata';
import type { Locator } from '@playwright/test';

const SLOW = { timeout: 300_000 };
/** Minutes over which the page's memory is watched. */
const MINUTES = Number(process.env.PAODING_BENCH_MINUTES ?? '1');

test.use({ viewport: { width: 1400, height: 1000 } });

async function open(page: IJupyterLabPageFixture, code: string): Promise<Locator> {
  await page.notebook.createNew();
  await page.notebook.setCell(0, 'code', code);
  await page.notebook.runCell(0, { inplace: true, wait: false });
  const shown = page.locator('.paoding-view').first();
  await expect(shown).toBeVisible(SLOW);
  await page.sidebar.close('left');
  return page.locator('.paoding-studio, .paoding-view').first();
}

function tell(name: string, value: number, unit: string): void {
  console.log(`BENCH ${name}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`);
}

/** Milliseconds between the frames that the page draws while something is done. */
async function frames(
  page: IJupyterLabPageFixture,
  act: () => Promise<void>,
): Promise<{ median: number; slowest: number }> {
  await page.evaluate(() => {
    const store = globalThis as unknown as { times: number[]; watching: boolean };
    store.times = [];
    store.watching = true;
    const next = (now: number): void => {
      store.times.push(now);
      if (store.watching) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  await act();
  const times = await page.evaluate(() => {
    const store = globalThis as unknown as { times: number[]; watching: boolean };
    store.watching = false;
    return store.times;
  });
  const gaps = times.slice(1).map((time, at) => time - (times[at] as number));
  gaps.sort((a, b) => a - b);
  const at = (share: number): number => gaps[Math.floor(share * (gaps.length - 1))] ?? 0;
  return { median: at(0.5), slowest: at(0.99) };
}

test('start to first paint, and memory while a run is replayed', async ({ page }) => {
  const studio = await open(
    page,
    `import paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("mnist-mlp")
studio = PruningStudio(model, data=data, step=1/16, speed="full")
studio`,
  );
  const state = studio.locator('.paoding-state');
  await expect(state).toHaveAttribute('data-state', 'ready', SLOW);
  const paint = await page.evaluate(async () => {
    const shown = document.querySelector('.paoding-state') as HTMLElement;
    const start = [...document.querySelectorAll('.paoding-row button')].find((one) =>
      one.textContent?.includes('Start'),
    ) as HTMLButtonElement;
    const began = performance.now();
    start.click();
    return new Promise<number>((resolve) => {
      const look = (): void => {
        if (shown.dataset.state === 'running') resolve(performance.now() - began);
        else requestAnimationFrame(look);
      };
      look();
    });
  });
  tell('Start to first paint', paint, 'ms');
  await expect(state).toHaveAttribute('data-state', 'finished', SLOW);
  // Galata's page is a page with more to it; the browser wants the page itself.
  const session = await page.context().newCDPSession(page.context().pages()[0] as never);
  await session.send('Performance.enable');
  const heap = async (): Promise<number> => {
    await session.send('HeapProfiler.collectGarbage');
    const { metrics } = await session.send('Performance.getMetrics');
    return (metrics.find((one) => one.name === 'JSHeapUsedSize')?.value ?? 0) / 2 ** 20;
  };
  const replay = studio.locator('.paoding-replay');
  await studio.getByLabel('Speed of the replay').selectOption('fast');
  await replay.click();
  await expect(replay).toHaveText('▶ Replay', SLOW);
  const before = await heap();
  const end = Date.now() + MINUTES * 60_000;
  while (Date.now() < end) {
    await replay.click();
    await expect(replay).toHaveText('▶ Replay', SLOW);
  }
  tell('Page memory before', before, 'MB');
  tell(`Page memory after ${MINUTES} min of replays`, await heap(), 'MB');

  // Hidden, the page is told nothing of the charts: it has to stay as small as it is.
  const hide = (state: string) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'visibilityState', { value, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  await hide('hidden');
  await page.notebook.addCell(
    'code',
    `import time
until = time.time() + ${60 * MINUTES}
while time.time() < until: studio.reset(), studio.wait(), studio.start(), studio.wait()
print("done", len(studio.steps))`,
  );
  await page.notebook.runCell(1, { inplace: true, wait: false });
  const printed = async () => ((await page.notebook.getCellTextOutput(1)) ?? []).join('');
  await expect.poll(printed, { timeout: 900_000 }).toContain('done');
  tell(`Page memory after ${MINUTES} min of hidden runs`, await heap(), 'MB');
  await hide('visible');
});

test('what the studio costs over the bare run', async ({ page }) => {
  const options = 'step=1/16, seed=1';
  const studio = await open(
    page,
    `import time, paoding
from paoding_widgets import PruningStudio
model, data = paoding.zoo.load("mnist-mlp")
def bare():
    start = time.time()
    paoding.prune(model, target=0.5, ${options})
    return time.time() - start
seconds = min(bare() for _ in range(3))
studio = PruningStudio(model, target=0.5, ${options}, speed="full", autosave=False)
print("BARE", seconds)
studio`,
  );
  const state = studio.locator('.paoding-state');
  await expect(studio.locator('.paoding-message')).toContainText('press Start', SLOW);
  const took: number[] = [];
  for (let round = 0; round < 3; round++) {
    if (round > 0) {
      await studio.locator('.paoding-row button').filter({ hasText: 'Reset' }).click();
      await expect(studio.locator('.paoding-message')).toContainText('press Start', SLOW);
    }
    took.push(
      await page.evaluate(async () => {
        const shown = document.querySelector('.paoding-state') as HTMLElement;
        const start = [...document.querySelectorAll('.paoding-row button')].find((one) =>
          one.textContent?.includes('Start'),
        ) as HTMLButtonElement;
        const began = performance.now();
        start.click();
        while (shown.dataset.state !== 'finished') await new Promise(requestAnimationFrame);
        return performance.now() - began;
      }),
    );
    await expect(state).toHaveAttribute('data-state', 'finished', SLOW);
  }
  const text = ((await page.notebook.getCellTextOutput(0)) ?? []).join('');
  const bare = 1000 * Number(/BARE ([\d.]+)/.exec(text)?.[1]);
  tell('Bare run of mnist-mlp', bare, 'ms');
  tell('The same run in the studio', Math.min(...took), 'ms');
  tell('The studio costs', 100 * (Math.min(...took) / bare - 1), '%');
});

test('frames with 100,000 units', async ({ page }) => {
  const shown = await open(
    page,
    `import keras
from paoding_widgets import ModelStructure
sizes = [1000, 10] * 100
model = keras.Sequential([keras.Input((8,)), *[keras.layers.Dense(n) for n in sizes], keras.layers.Dense(2)])
ModelStructure(model)`,
  );
  const canvas = shown.locator('.paoding-canvas');
  await expect(canvas).toBeVisible(SLOW);
  await page.waitForTimeout(1000);
  const box = await canvas.boundingBox();
  if (!box) throw new Error('the structure is not there');
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const pan = async (): Promise<void> => {
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (let step = 0; step < 60; step++) await page.mouse.move(x - 5 * step, y - (step % 9));
    await page.mouse.up();
  };
  const one = await frames(page, pan);
  tell('Frame while panning, median', one.median, 'ms');
  tell('Frame while panning, 99 of 100 within', one.slowest, 'ms');
  await shown.getByRole('button', { name: 'Show the whole structure' }).click();
  const all = await frames(page, pan);
  tell('Frame over the whole network, median', all.median, 'ms');
  tell('Frame over the whole network, 99 of 100 within', all.slowest, 'ms');
});
