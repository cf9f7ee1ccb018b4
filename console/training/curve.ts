import type { JobEventObject } from '../api/types.js';

/** A loss at a step, in nats per learned token. */
interface CurvePoint {
  readonly step: number;
  readonly loss: number;
}

/** How the losses of a job went. */
export interface Curve {
  readonly training: readonly CurvePoint[];
  readonly validation: readonly CurvePoint[];
  /** Steps of the whole job; undefined before the first event. */
  readonly steps: number | undefined;
}

/** The curve that events tell, of which there is one every few seconds. @param events in any order */
export function curveOfEvents(events: readonly JobEventObject[]): Curve {
  const points = events.map(({ data }) => data).filter((data) => data !== null);
  return { ...curveOf(points), steps: points.find(({ total_steps }) => total_steps !== undefined)?.['total_steps'] };
}

/** The whole curve, of a job's result file: lines of a step and its losses. Lines that are something else are left out. */
export function curveOfFile(text: string): Curve {
  const points = text
    .split('\n')
    .map(parsePoint)
    .filter((point) => point !== undefined);
  return { ...curveOf(points), steps: points.at(-1)?.['step'] };
}

function curveOf(points: readonly Readonly<Record<string, number>>[]): Pick<Curve, 'training' | 'validation'> {
  const series = (name: string): CurvePoint[] =>
    points
      .flatMap(({ step, [name]: loss }) => (step !== undefined && loss !== undefined ? [{ step, loss }] : []))
      .sort((a, b) => a.step - b.step);
  return { training: series('train_loss'), validation: series('valid_loss') };
}

function parsePoint(line: string): Record<string, number> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return undefined;
    return Object.fromEntries(Object.entries(value).filter(([, number]) => typeof number === 'number'));
  } catch {
    return undefined;
  }
}
