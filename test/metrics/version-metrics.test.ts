import { readFile } from 'node:fs/promises';

import { expect, it } from 'vitest';

import { testMetrics } from '../server/harness.js';
import { parseSamples } from '../support/samples.js';

const end = { promptTokens: 1, generatedTokens: 1 };

it('counts ends and times of a version, and keeps the series of the last hundred only', async () => {
  const metrics = testMetrics();
  const idOf = (n: number): string => n.toString(16).padStart(16, '0');
  for (let n = 0; n < 150; n++) {
    const sequence = metrics.versionSequence(idOf(n));
    sequence.firstToken(1);
    sequence.ended({ ...end, reason: n % 2 ? 'stop' : 'length', seconds: 2 });
    metrics.versionSequence(idOf(0)).ended({ ...end, reason: 'stop', seconds: 0.5 });
  }
  const samples = parseSamples(await metrics.text()).filter(({ labels }) => 'version_id' in labels);
  const ids = new Set(samples.map(({ labels }) => labels['version_id']));
  expect(ids).toEqual(new Set([0, ...Array.from({ length: 99 }, (_, i) => 51 + i)].map(idOf)));
  const value = (name: string, id: string, labels = {}): number | undefined =>
    samples.find(
      (one) =>
        one.name === `preamble_prefix_version_${name}` &&
        Object.entries({ version_id: id, ...labels }).every(([key, text]) => one.labels[key] === text),
    )?.value;
  expect(value('success_total', idOf(0), { finished_reason: 'stop' })).toBe(150);
  expect(value('success_total', idOf(0), { finished_reason: 'length' })).toBe(1);
  expect(value('e2e_latency_seconds_sum', idOf(149))).toBe(2);
  expect(value('e2e_latency_seconds_bucket', idOf(0), { le: '1' })).toBe(150);
  expect(value('time_to_first_token_seconds_count', idOf(149))).toBe(1);
});

it('docs/versions.md names all of its series, and no other', async () => {
  const text = await readFile(new URL('../../docs/versions.md', import.meta.url), 'utf8');
  const known = [...(await testMetrics().text()).matchAll(/# TYPE (preamble_prefix_version_\w+)/g)].map(
    ([, name]) => name,
  );
  const documented = [...text.matchAll(/^\| `(preamble_\w+)`/gm)].map(([, name]) => name);
  expect(documented.sort()).toEqual(known.sort());
});
