import fs from 'node:fs/promises';
import path from 'node:path';

import { packageRoot } from '#src/config/paths.js';
import { panelChart, type LinePanel } from './panel-chart.js';
import { ServerProcess } from '../process/server-process.js';
import { type Prometheus, startPrometheus } from './prometheus.js';
import { soak, uploadTexts } from '../load/soak-load.js';

// Draws the panels of Grafana's dashboard from a real load: docs/dashboard.svg. A panel without data is an error.

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}
interface DashboardPanel {
  readonly title: string;
  readonly fieldConfig: { readonly defaults: { readonly unit: string } };
  readonly targets: readonly Target[];
}

const SECONDS = 60;
/** Four scrapes, as in Grafana. */
const RATE_INTERVAL = '4s';
const PREFIXES = 64;
const TOKENS = 64;
const MiB = 2 ** 20;
const cache = path.join(packageRoot, 'bench/.cache');

const server = await ServerProcess.start({ PREAMBLE_CACHE: path.join(cache, 'compiled') });
const prometheus = await startPrometheus(server.url, cache);
try {
  const start = Date.now() / 1000;
  await load(server.url);
  const panels = await readPanels(prometheus, start, start + SECONDS);
  const heading = `Preamble's dashboard over ${SECONDS} s: 20 streams at the same time, and 200 for the middle third`;
  await fs.writeFile(path.join(packageRoot, 'docs/dashboard.svg'), panelChart(heading, panels, SECONDS));
  console.log('Written: docs/dashboard.svg');
} finally {
  await prometheus.stop();
  await server.stop();
}

/** Runs few streams all the time, many in the middle third, and new users with a prefix each, who also request a prefix that is missing. */
async function load(url: string): Promise<void> {
  const prefixes = await uploadTexts(url, PREFIXES);
  const begin = performance.now();
  const at = (part: number): number => begin + SECONDS * 1000 * part;
  const crowd = async (): Promise<void> => {
    await until(at(1 / 3));
    await soak(url, { clients: 180, until: at(2 / 3), models: prefixes, tokens: TOKENS });
  };
  const newcomers = async (): Promise<void> => {
    for (let next = begin, i = 0; next < at(1); next += 500, i++) {
      await until(next);
      const names = await uploadTexts(url, 1, `new/${i}`);
      await soak(url, { clients: 1, until: 0, models: names, tokens: TOKENS });
      await fetch(`${url}/v1/prefixes/nobody`);
    }
  };
  await Promise.all([soak(url, { clients: 20, until: at(1), models: prefixes, tokens: TOKENS }), crowd(), newcomers()]);
}

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time - performance.now()));
}

async function readPanels(from: Prometheus, start: number, end: number): Promise<LinePanel[]> {
  const file = path.join(packageRoot, 'docker/grafana/dashboards/preamble.json');
  const { panels } = JSON.parse(await fs.readFile(file, 'utf8')) as { panels: DashboardPanel[] };
  return Promise.all(
    panels.map(async ({ title, fieldConfig, targets }): Promise<LinePanel> => {
      const lines = await Promise.all(
        targets.map(async ({ expr, legendFormat }) => {
          const series = await from.range(expr.replaceAll('$__rate_interval', RATE_INTERVAL), start, end);
          if (series.every(({ points }) => points.length === 0)) throw new Error(`${title}: no data for ${expr}`);
          return series.map(({ labels, points }) => ({
            label: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] ?? ''),
            points: points.map(([time, value]) => [time - start, value] as const),
          }));
        }),
      );
      const drawn = lines.flat().filter(({ points }) => points.length > 0);
      return { title, lines: drawn, format: formatAs(fieldConfig.defaults.unit) };
    }),
  );
}

function formatAs(unit: string): (value: number) => string {
  switch (unit) {
    case 'bytes':
      return (value) => `${(value / MiB).toPrecision(3)} MiB`;
    case 's':
      return (value) => (value < 1 ? `${(1000 * value).toPrecision(3)} ms` : `${value.toPrecision(3)} s`);
    case 'percentunit':
      return (value) => `${(100 * value).toPrecision(3)}%`;
    case 'ops':
      return (value) => `${value.toPrecision(3)}/s`;
    default:
      return (value) => String(Number(value.toPrecision(3)));
  }
}
