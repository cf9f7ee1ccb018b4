import fs from 'node:fs/promises';
import path from 'node:path';

import { ifExists } from '../../disk/durable.js';
import { curveSvg } from './curve-svg.js';
import type { CurvePoint } from '../training/trainer.js';

/** The points of a run, a line of `curve.jsonl` each. */
export class Curve {
  private constructor(
    private readonly directory: string,
    readonly points: CurvePoint[],
  ) {}

  /** Opens the curve of a run that goes on after `step`: what was written beyond it will come again. */
  static async open(directory: string, step: number): Promise<Curve> {
    const text = step === 0 ? '' : ((await ifExists(fs.readFile(path.join(directory, JSONL), 'utf8'))) ?? '');
    const lines = text.split('\n').slice(0, -1); // the last one is empty, or broken off
    const points = lines.map((line) => JSON.parse(line) as CurvePoint).filter((point) => point.step <= step);
    const curve = new Curve(directory, points);
    await fs.writeFile(path.join(directory, JSONL), points.map(line).join(''));
    return curve;
  }

  async add(point: CurvePoint): Promise<void> {
    this.points.push(point);
    await fs.appendFile(path.join(this.directory, JSONL), line(point));
  }

  /** Mean loss per learned token over the last `steps` steps, in nats; null before the first. */
  trainLoss(steps: number): number | null {
    let sum = 0;
    let count = 0;
    for (const point of this.points.filter((p) => 'train_loss' in p).slice(-steps)) {
      sum += point.train_loss * point.learned_tokens;
      count += point.learned_tokens;
    }
    return count === 0 ? null : sum / count;
  }

  /** Draws `curve.svg`. */
  async draw(): Promise<void> {
    await fs.writeFile(path.join(this.directory, 'curve.svg'), curveSvg(this.points));
  }
}

const JSONL = 'curve.jsonl';

function line(point: CurvePoint): string {
  return `${JSON.stringify(point)}\n`;
}
