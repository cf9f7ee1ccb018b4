import type { CurvePoint } from './trainer.js';

const WIDTH = 640;
const HEIGHT = 320;
const MARGIN = 48;
const COLOURS = { train: '#1f77b4', valid: '#d62728' };

/** Training and validation loss over the steps, as a picture. */
export function curveSvg(points: readonly CurvePoint[]): string {
  const train = points.flatMap((p) => ('train_loss' in p ? [[p.step, p.train_loss] as const] : []));
  const valid = points.flatMap((p) => ('valid_loss' in p ? [[p.step, p.valid_loss] as const] : []));
  const losses = [...train, ...valid].map(([, loss]) => loss);
  const range = { steps: points.at(-1)?.step ?? 1, low: least(losses), high: most(losses) };
  const path = (line: readonly (readonly [number, number])[], colour: string): string =>
    `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${line.map((p) => place(p, range)).join(' ')}"/>`;
  const [left, right, top, bottom] = [MARGIN, WIDTH - MARGIN, MARGIN / 2, HEIGHT - MARGIN];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="black"/>`,
    text(left - 6, top + 4, range.high.toFixed(3), 'end'),
    text(left - 6, bottom, range.low.toFixed(3), 'end'),
    text(left, bottom + 18, '0', 'middle'),
    text(right, bottom + 18, `${range.steps} steps`, 'middle'),
    path(train, COLOURS.train),
    path(valid, COLOURS.valid),
    text(right, top + 4, 'training loss', 'end', COLOURS.train),
    valid.length > 0 ? text(right, top + 20, 'validation loss', 'end', COLOURS.valid) : '',
    '</svg>\n',
  ].join('\n');
}

interface Range {
  readonly steps: number;
  readonly low: number;
  readonly high: number;
}

function place([step, loss]: readonly [number, number], { steps, low, high }: Range): string {
  const x = MARGIN + ((WIDTH - 2 * MARGIN) * step) / steps;
  const y = HEIGHT - MARGIN - ((HEIGHT - 1.5 * MARGIN) * (loss - low)) / (high - low || 1);
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

function text(x: number, y: number, content: string, anchor: string, fill = 'black'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${fill}">${content}</text>`;
}

function least(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => Math.min(a, b));
}

function most(values: readonly number[]): number {
  return values.length === 0 ? 1 : values.reduce((a, b) => Math.max(a, b));
}
