import { describe, expect, it } from 'vitest';

import { featuresOf, int8Form } from '../../src/config/processor.js';

describe('the form of 8-bit weights', () => {
  it.each([
    ['x64', 'fpu avx2 avx512f avx512_vnni amx_int8', 'signed'],
    ['x64', 'fpu avx2 avx_vnni', 'signed'],
    ['x64', 'fpu avx2 avx512f', 'unsigned'],
    ['x64', '', 'unsigned'],
    ['arm64', 'fp asimd asimddp i8mm', 'blocks'],
  ] as const)('on %s with "%s" is %s', (arch, features, form) => {
    expect(int8Form({ arch, features: new Set(features.split(' ')) })).toBe(form);
  });

  it('is decided by the features that Linux tells', () => {
    const x64 =
      'processor\t: 0\nflags\t\t: fpu sse2 avx_vnni\nbugs\t\t: spectre_v1\n\nprocessor\t: 1\nflags\t\t: fpu\n';
    expect([...featuresOf(x64)]).toEqual(['fpu', 'sse2', 'avx_vnni']);
    expect([...featuresOf('processor\t: 0\nFeatures\t: fp asimd\n')]).toEqual(['fp', 'asimd']);
    expect(featuresOf('')).toEqual(new Set());
  });
});
