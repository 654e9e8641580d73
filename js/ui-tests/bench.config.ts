/** What is measured or recorded in the browser, and no test: see benchmarks/browser.py. */
import config from './playwright.config';

export default { ...config, testDir: 'bench', timeout: 1_800_000, retries: 0 };
