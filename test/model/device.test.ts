import { describe, it } from 'vitest';

import { describeGoldens } from './golden-suite.js';
import { describeOnnxRunner } from './runner-suite.js';

/** `cuda` or `webgpu`: asked for, it must be there. docs/devices.md says how. */
const provider = process.env['TEST_PROVIDER'];

if (provider === 'cuda' || provider === 'webgpu') {
  describe(`on ${provider}`, { timeout: 120_000 }, () => {
    describeGoldens(provider, { model: { provider } });
    describeOnnxRunner(`on ${provider}`, { provider });
  });
} else {
  it.skip('on a device: set TEST_PROVIDER to cuda or webgpu', () => undefined);
}
