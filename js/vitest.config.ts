import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // A busy machine is no failure.
    testTimeout: 60_000,
    include: ['packages/*/src/**/*.test.ts'],
    environment: 'happy-dom',
  },
});
