import type { ModelShape } from '../../prefix/kv.js';
import { makeBatch } from './batch.js';
import type { TokenExample } from '../data/example.js';
import type { TunedShape } from '../method.js';
import type { LossGraph } from './training-model.js';
import type { Values } from './values.js';

export interface MeanLossOptions {
  readonly examples: readonly TokenExample[];
  readonly frozen: ModelShape;
  readonly shape: TunedShape;
  readonly batchSize: number;
  /** Called after each batch. */
  readonly onBatch?: ((done: number) => void) | undefined;
}

/** Mean loss per learned token, in nats, and the number of these. */
export interface MeanLoss {
  readonly loss: number;
  readonly tokens: number;
}

/** Runs examples through the graph, nothing learned. */
export async function meanLoss(graph: LossGraph, values: Values, options: MeanLossOptions): Promise<MeanLoss> {
  const { examples, frozen, shape, batchSize, onBatch } = options;
  let [sum, tokens] = [0, 0];
  for (let at = 0; at < examples.length; at += batchSize) {
    const batch = makeBatch(examples.slice(at, at + batchSize), frozen, shape);
    const { losses } = await graph.run(values, batch);
    sum += losses.reduce((total, value) => total + value, 0);
    tokens += losses.length;
    onBatch?.(Math.min(at + batchSize, examples.length));
  }
  return { loss: sum / tokens, tokens };
}
