/** Galata in Debian's Chromium, against a JupyterLab that Playwright starts and stops. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { PlaywrightTestConfig } from '@playwright/test';

const port = process.env.PAODING_TEST_PORT ?? '8899';
const url = `http://127.0.0.1:${port}`;
// Galata reads the address from here.
process.env.TARGET_URL = url;
// Files that are too large to be uploaded are put where the server looks.
process.env.PAODING_TEST_ROOT ??= mkdtempSync(join(tmpdir(), 'paoding-ui-'));
// A test may put a kernel here for as long as it runs. Workers read this file again.
process.env.PAODING_TEST_SHARE ??= mkdtempSync(join(tmpdir(), 'paoding-share-'));

const config: PlaywrightTestConfig = {
  testDir: 'tests',
  outputDir: 'test-results',
  // A kernel that imports TensorFlow takes its time on two cores.
  timeout: 180_000,
  expect: { timeout: 20_000 },
  // Two browsers and two kernels would only wait for each other.
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: [['list']],
  use: {
    baseURL: url,
    // A click that finds nothing shall say so, and not use up the whole test's time.
    actionTimeout: 30_000,
    viewport: { width: 1280, height: 900 },
    screenshot: 'only-on-failure',
    trace: 'off',
    // Video needs a build of ffmpeg that Playwright would download.
    video: 'off',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    },
  },
  webServer: {
    command: 'python -m jupyterlab --config jupyter_server_test_config.py',
    url: `${url}/lab`,
    timeout: 120_000,
    reuseExistingServer: false,
    gracefulShutdown: { signal: 'SIGTERM', timeout: 10_000 },
    env: {
      JUPYTERLAB_GALATA_ROOT_DIR: process.env.PAODING_TEST_ROOT,
      JUPYTER_PATH: [process.env.PAODING_TEST_SHARE, process.env.JUPYTER_PATH]
        .filter(Boolean)
        .join(delimiter),
      TF_CPP_MIN_LOG_LEVEL: '3',
      CUDA_VISIBLE_DEVICES: '-1',
    },
  },
};

export default config;
