import { defineConfig } from 'vitest/config';

/** Tests that start Redis, Valkey, HAProxy, promtool or Chromium, which are fetched when they are missing. */
const services = [
  'test/redis/**/*.test.ts',
  'test/cli/{doctor,image}.test.ts',
  'test/console/**/*.test.ts',
  'test/e2e/haproxy*.test.ts',
  'test/e2e/web-pages.test.ts',
  'test/house/charts.test.ts',
  'test/server/{rate-limits,replicas,store-errors}.test.ts',
];

/** Tests that run ONNX Runtime, or the built program in a process of its own. */
const native = [
  'test/{app,bench,cli,e2e,evaluation,examples,fine-tuning,metrics,model,onnx,runtime,tracing,tuning}/**/*.test.ts',
  'test/server/{admin,documented-examples,engine-events,hostile,leaving,openai-client,overload}.test.ts',
];

const modelsUnchanged = 'test/setup/models-unchanged.ts';
const build = 'test/setup/build.ts';

export default defineConfig({
  test: {
    // Two cores: files that each start native sessions would only fight over them.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        resolve: { alias: { koffi: new URL('test/setup/no-native-code.ts', import.meta.url).pathname } },
        test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [...native, ...services] },
      },
      {
        extends: true,
        test: { name: 'native', include: native, exclude: services, globalSetup: [build, modelsUnchanged] },
      },
      {
        extends: true,
        test: { name: 'services', include: services, globalSetup: [build, modelsUnchanged, 'test/setup/programs.ts'] },
      },
    ],
    testTimeout: 60_000,
    // A second, as it is by default, is short on a machine with a load.
    expect: { poll: { timeout: 30_000 } },
    hookTimeout: 120_000,
  },
});
