import type { GraphBuilder } from '../../onnx/graph.js';
import type { GraphSource } from '../architecture.js';
import type { BartConfig } from './config.js';

type GraphWriter = (source: GraphSource<BartConfig>) => GraphBuilder;

/** The graphs that a model is compiled to, by file name; their number depends on its layers. */
function graphsOf(_config: BartConfig): ReadonlyMap<string, GraphWriter> {
  return new Map();
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
