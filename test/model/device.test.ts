import { describe, it } from 'vitest';

import { describeGoldens } from './golden-suite.js';
import { describeOnnxRunner } from './runner-suite.js';

/** `cuda` or `webgpu`: asked for, it must be there. docs/devices.md says how. */
const provider = process.env['TEST_PROVIDER'];

if (provider === 'webgpu') {
  describe('on webgpu', { timeout: 300_000 }, () => {
    describeGoldens('webgpu', { model: { provider } });
    describeOnnxRunner('on webgpu', { provider });
  });
} else if (provider === 'cuda') {
  // Attention has float16 only there: precision.test.ts holds the goldens to what float16 makes of them.
  describe('on cuda', { timeout: 300_000 }, () => {
    describeOnnxRunner('on cuda', { provider, kv: 'float16' }, { tolerance: 1e-2, distinct: 0.1 });
    const float16 = { provider, weights: 'float16', kv: 'float16' } as const;
    describeOnnxRunner('on cuda, float16', float16, { tolerance: 1e-2, distinct: 0.1 });
  });
} else {
  it.skip('on a device: set TEST_PROVIDER to cuda or webgpu', () => undefined);
}
