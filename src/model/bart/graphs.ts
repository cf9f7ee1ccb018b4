import type { GraphBuilder } from '../../onnx/graph.js';
import type { GraphSource } from '../architecture.js';
import { APPEND_CROSS, encodeName, stepGraph } from '../graph-names.js';
import type { BartConfig } from './config.js';
import { appendGraph, mixedGraph, uniformGraph } from './decoder-graphs.js';
import { appendCrossGraph, encodeGraph } from './encoder-graphs.js';

type GraphWriter = (source: GraphSource<BartConfig>) => GraphBuilder;

/** The graphs that a model is compiled to, by file name; their number depends on its layers. */
function graphsOf({ encoder }: BartConfig): ReadonlyMap<string, GraphWriter> {
  const stages = Array.from({ length: encoder.layers + 1 }, (_, stage): [string, GraphWriter] => [
    encodeName(stage),
    (source) => encodeGraph(source, stage),
  ]);
  const steps = (['fused', 'plain'] as const).flatMap((form): [string, GraphWriter][] => [
    [stepGraph('uniform', form), (source) => uniformGraph(source, form)],
    [stepGraph('mixed', form), (source) => mixedGraph(source, form)],
  ]);
  return new Map([...steps, ['append.onnx', appendGraph], ...stages, [APPEND_CROSS, appendCrossGraph]]);
}

export function graphNames(config: BartConfig): string[] {
  return [...graphsOf(config).keys()];
}

/** Writes one of them. Throws for a name that is none. */
export function writeGraph(name: string, source: GraphSource<BartConfig>): GraphBuilder {
  const write = graphsOf(source.config).get(name);
  if (write === undefined) throw new Error(`no graph ${name}`);
  return write(source);
}
