import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/build.ts', 'test/setup/models-unchanged.ts', 'test/setup/programs.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: files that each start native sessions would only fight over them.
    maxWorkers: 2,
  },
});
