import { type ChartPoint, lineChart } from '../../charts/line-chart.js';
import type { CurvePoint } from '../training/trainer.js';

/** Training and validation loss over the steps, as a picture. */
export function curveSvg(points: readonly CurvePoint[]): string {
  const train: ChartPoint[] = points.flatMap((p) => ('train_loss' in p ? [{ x: p.step, y: p.train_loss }] : []));
  const valid: ChartPoint[] = points.flatMap((p) => ('valid_loss' in p ? [{ x: p.step, y: p.valid_loss }] : []));
  const steps = points.at(-1)?.step ?? 1;
  return lineChart({
    xLabel: 'steps',
    yLabel: 'nats per learned token',
    xTicks: [0, steps].map((at) => ({ at, label: String(at) })),
    series: [
      { name: 'training loss', points: train },
      ...(valid.length > 0 ? [{ name: 'validation loss', points: valid }] : []),
    ],
    style: 'line',
  });
}
