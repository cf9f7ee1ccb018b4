import { describe, expect, it } from 'vitest';

import { fillPage, pageParts, throughputChart } from '../../bench/report/performance-page.js';
import type { Report, SuiteReport } from '../../bench/report/report.js';

const facts: Report['facts'] = {
  date: '2026-11-25T10:00:00.000Z',
  commit: 'abc1234',
  node: 'v20.20.2',
  onnxruntime: '1.30.0',
  cpu: 'A CPU <fast>',
  cpus: 2,
  threads: 2,
  memoryGiB: 23,
  platform: 'linux x64',
  busy: 0.04,
  peers: { torch: '2.13.0' },
};
const options = { repeats: 3 } as Report['options'];
const suite = (name: string, findings: SuiteReport['findings']): SuiteReport => ({
  name,
  question: '?',
  findings,
  state: 'whole',
});
const decode = suite('decode', [
  { what: 'server', at: { rows: 1 }, unit: 'tok/s', values: [90, 100, 110] },
  { what: 'server', at: { rows: 32 }, unit: 'tok/s', values: [700, 720, 740] },
  { what: 'a & b', at: { rows: 32 }, unit: 'tok/s', values: [140, 150, 160] },
  { what: 'delay', at: { rows: 32 }, unit: 'ms', values: [6, 7, 8], goal: { id: 'P11', atMost: 5 } },
  { what: 'server over a & b', at: { rows: 32 }, unit: 'x', values: [4.8, 5, 4.6], goal: { id: 'P1', atLeast: 2.6 } },
]);
const report: Report = { facts, options, suites: [decode] };

describe('the generated parts', () => {
  const parts = pageParts([report]);

  it('have a row for each goal, in order', () => {
    expect(parts.get('goals')?.split('\n').slice(2)).toEqual([
      '| P1 | server over a & b | rows 32 | >= 2.6 | 4.80 (4.60-5.00) x | met |',
      '| P11 | delay | rows 32 | <= 5 | 7.00 (6.00-8.00) ms | missed by 40% |',
    ]);
  });

  it('have tokens per second by rows, and nothing where nothing was measured', () => {
    expect(parts.get('throughput')?.split('\n')).toEqual([
      '| Tokens per second | 1 rows | 32 rows |',
      '| --- | --- | --- |',
      '| server | 100 (90.0-110) | 720 (700-740) |',
      '| a & b |  | 150 (140-160) |',
    ]);
  });

  it('name machine, versions and commit', () => {
    const machine = parts.get('machine');
    for (const part of ['A CPU <fast>', 'abc1234', 'torch 2.13.0', '3 rounds', '4% busy'])
      expect(machine).toContain(part);
  });

  it('are of the last report that has the suite', () => {
    const later: Report = {
      facts: { ...facts, commit: 'def5678' },
      options,
      suites: [suite('roofline', [{ what: 'read', unit: 'GB/s', values: [50] }])],
    };
    const both = pageParts([report, later, { ...report, facts: { ...facts, commit: 'fff0000' } }]);
    expect(both.get('roofline')).toContain('| read |  | 50.0 (50.0-50.0) GB/s |');
    expect(both.get('machine')).toContain('decode: commit fff0000');
    expect(both.get('machine')).toContain('roofline: commit def5678');
    expect(both.get('machine')).not.toContain('abc1234');
  });
});

it('fills the page between its marks and leaves the rest', () => {
  const page =
    'Hand.\n<!-- bench roofline -->\nold\n<!-- /bench -->\nMore.\n<!-- bench memory -->\nkept\n<!-- /bench -->\n';
  const filled = fillPage(page, new Map([['roofline', 'NEW $& $1']]));
  expect(filled).toBe(
    'Hand.\n<!-- bench roofline -->\n\nNEW $& $1\n\n<!-- /bench -->\nMore.\n<!-- bench memory -->\nkept\n<!-- /bench -->\n',
  );
  expect(fillPage(filled, new Map([['roofline', 'NEW $& $1']]))).toBe(filled);
});

it('draws a bar for each figure, to scale', () => {
  const svg = throughputChart([report]);
  expect(svg.match(/<rect x=/g)).toHaveLength(3);
  expect(svg).toContain('a &amp; b');
  expect(svg).toContain('1 user<');
  expect(svg).toContain('>720 (700-740)<');
  // The longest bar of a panel fits its space; the others are to scale.
  const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map((match) => Number(match[1]));
  expect((widths[1] ?? 0) / (widths[2] ?? 0)).toBeCloseTo(720 / 150, 1);
});

it('keeps goals and machines of suites that were not measured again', () => {
  const page = '<!-- bench machine -->\n<!-- /bench -->\n<!-- bench goals -->\n<!-- /bench -->\n';
  const slow = suite('start', [{ what: 'start', unit: 'x', values: [3], goal: { id: 'P10', atMost: 2 } }]);
  const first = fillPage(page, pageParts([{ ...report, suites: [decode, slow] }]));
  const fast: Report = {
    facts: { ...facts, commit: 'def5678' },
    options,
    suites: [suite('start', [{ what: 'start', unit: 'x', values: [1], goal: { id: 'P10', atMost: 2 } }])],
  };
  const lines = fillPage(first, pageParts([fast])).split('\n');
  expect(lines.filter((line) => /^\| P|: commit/.test(line))).toEqual([
    '- decode: commit abc1234, 2026-11-25, medians of 3 rounds',
    '- start: commit def5678, 2026-11-25, medians of 3 rounds',
    '| P1 | server over a & b | rows 32 | >= 2.6 | 4.80 (4.60-5.00) x | met |',
    '| P10 | start |  | <= 2 | 1.00 (1.00-1.00) x | met |',
    '| P11 | delay | rows 32 | <= 5 | 7.00 (6.00-8.00) ms | missed by 40% |',
  ]);
  expect(lines.filter((line) => line.includes('torch'))).toHaveLength(2);
});
