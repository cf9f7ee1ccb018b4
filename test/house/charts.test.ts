import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, inject, it } from 'vitest';
import { parse } from 'yaml';

import { packageRoot } from '../../src/config/paths.js';
import { testMetrics } from '../server/harness.js';
import { temporaryDirectory } from '../server/prefix-library.js';

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}
interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
}

const prometheus = join(packageRoot, 'docker/prometheus');
const read = (file: string): string => readFileSync(join(packageRoot, 'docker', file), 'utf8');
const dashboard = JSON.parse(read('grafana/dashboards/preamble.json')) as Dashboard;
const rules = parse(read('prometheus/alerts.yml')) as Rules;
const charted = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
const alerted = rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr));

function promtool(args: string[], input = ''): string {
  const found = inject('promtool');
  if (found === null) throw new Error('there is no promtool');
  const { program, libraries } = found;
  const env = { ...process.env, LD_LIBRARY_PATH: libraries };
  return execFileSync(program, args, { cwd: prometheus, env, input, encoding: 'utf8', stdio: 'pipe' });
}

describe('the charts and alerts', () => {
  it('name only metrics that are there', async () => {
    const text = await testMetrics().text();
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type]) => [name, type]));
    const names = [...types].flatMap(([name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    );
    const used = [...charted, ...alerted].flatMap((expr) => expr.match(/\b(?:preamble|process)_\w+/g) ?? []);
    expect(used.length).toBeGreaterThan(20);
    expect(used.filter((name) => !names.includes(name))).toEqual([]);
  });

  it.skipIf(inject('promtool') === null)('are good PromQL', async () => {
    const record = charted.map((expr, i) => ({
      record: `panel:${i}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }));
    const file = join(await temporaryDirectory(), 'panels.json');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: record }] }));
    expect(promtool(['check', 'rules', file])).toContain(`${charted.length} rules found`);
    expect(promtool(['check', 'config', 'prometheus.yml'])).toContain(`${alerted.length} rules found`);
  });

  it.skipIf(inject('promtool') === null)('alert when they should', () => {
    expect(promtool(['test', 'rules', 'alerts.test.yml'])).toContain('SUCCESS');
  });
});

it.skipIf(inject('promtool') === null)('/metrics is what promtool calls well formed', async () => {
  const text = await testMetrics().text();
  const ours = text.split('\n').filter((line) => / ?preamble_/.test(line));
  expect(promtool(['check', 'metrics'], `${ours.join('\n')}\n`)).toBe('');
});
