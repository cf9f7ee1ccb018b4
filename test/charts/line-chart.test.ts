import { DOMParser } from '@xmldom/xmldom';
import { describe, expect, it } from 'vitest';

import { lineChart } from '../../src/charts/line-chart.js';
import { ticks } from '../../src/charts/ticks.js';

const parse = (svg: string) =>
  new DOMParser({
    onError: (level, message) => {
      throw new Error(`${level}: ${message}`);
    },
  }).parseFromString(svg, 'image/svg+xml');
const xTicks = [0, 1].map((at) => ({ at, label: `<"at" & ${at}>` }));
const points = [
  { x: 0, y: 2, low: 1, high: 3 },
  { x: 1, y: 4, low: 4, high: 4 },
];

describe('a line chart', () => {
  it.each([
    ['line', 'polyline', 2],
    ['marked', 'circle', 4],
    ['marked', 'polygon', 2],
    ['marks', 'circle', 4],
    ['marks', 'polyline', 0],
  ] as const)('of style %s is XML with its <%s>', (style, element, count) => {
    const series = ['a & b', '<c>'].map((name) => ({ name, points }));
    const document = parse(lineChart({ xLabel: 'x < y', yLabel: 'loss', xTicks, series, style }));
    expect(document.getElementsByTagName(element)).toHaveLength(count);
    const texts = Array.from(document.getElementsByTagName('text'), ({ textContent }) => textContent);
    expect(texts).toEqual(expect.arrayContaining(['<"at" & 0>', 'x < y', 'a & b', '<c>', '1', '4']));
  });

  it('puts a higher value higher, and the spread around it', () => {
    const series = [{ name: 'a', points }];
    const document = parse(lineChart({ xLabel: '', yLabel: '', xTicks, series, style: 'marked' }));
    const [first, second] = Array.from(document.getElementsByTagName('circle'), (c) => Number(c.getAttribute('cy')));
    expect(second).toBeLessThan(first!);
    const band = document.getElementsByTagName('polygon')[0]!.getAttribute('points')!;
    const [low, , , high] = band.split(' ').map((pair) => Number(pair.split(',')[1]));
    expect([low! > first!, high! < first!]).toEqual([true, true]);
  });

  it('is drawn without any point', () => {
    const svg = lineChart({ xLabel: 'x', yLabel: 'y', xTicks: [], series: [{ name: 'a', points: [] }], style: 'line' });
    expect(svg).not.toMatch(/NaN|Infinity/);
    parse(svg);
  });
});

describe('ticks', () => {
  it.each([
    [0, 10, [0, 2, 4, 6, 8, 10]],
    [3.02, 3.13, [3, 3.05, 3.1, 3.15]],
    [5, 5, [5, 6]],
    [0, 0, [0, 0.2]],
    [-1, 1, [-1, -0.5, 0, 0.5, 1]],
  ])('from %d to %d are round and enclose it', (low, high, expected) => {
    expect(ticks(low, high)).toEqual(expected);
  });
});
