import { GraphBuilder, type Value } from '../onnx/graph.js';
import { rowWidth } from '../prefix/kv.js';
import { writeAppend } from './append-graph.js';
import type { Architecture, GraphSource, GraphTarget } from './architecture.js';
import { attendedWidth, attentionAttributes, CachedAttention, ChainedAttention, convert } from './cached-attention.js';
import type { SlotAttention } from './cached-attention.js';
import { writeLogits } from './logits-head.js';
import type { LayerInputs, Transformer } from './transformer.js';

/** The parts of a decoder-only model that its steps are written of. */
export interface StepTransformer extends Transformer, SlotAttention {
  /** Width of the residual stream. */
  readonly width: number;
  readonly vocabularySize: number;
  /** Hidden states `[rows, width]` to float32 logits `[rows, vocabulary]`, under the name `output`. */
  head(hidden: Value, output: Value): void;
}

/** Opens a model's parts in a graph. */
type Open<Config> = (graph: GraphBuilder, source: GraphSource<Config>) => StepTransformer;

/** What an architecture says of its graphs. */
type DecoderGraphs<Config> = Required<Pick<Architecture<Config>, 'graphs' | 'writeGraph' | 'writeSpansGraph'>>;

/** The graphs of a decoder-only model, which are the same but for its parts. */
export function decoderGraphs<Config>(open: Open<Config>): DecoderGraphs<Config> {
  const opening =
    (source: GraphSource<Config>): OpenGraph =>
    (name) => ({ model: open(new GraphBuilder(name), source), source });
  return {
    graphs: () => Object.keys(GRAPHS),
    writeGraph: (name, source) => GRAPHS[name as keyof typeof GRAPHS](opening(source)),
    writeSpansGraph: (source, nodes, hasChunk) => spansGraph(opening(source), nodes, hasChunk),
  };
}

/** A model's parts in a graph that is being written, and what it is written from. */
interface Written {
  readonly model: StepTransformer;
  readonly source: Pick<GraphSource, 'kv' | 'target'>;
}

/** Begins a graph of that name. */
type OpenGraph = (name: string) => Written;

/** The graphs that a model is compiled to, by file name. */
const GRAPHS = {
  /** One forward pass over rows of equal length: one token each of many sequences, or a chunk of one. */
  'uniform.onnx': uniformGraph,
  /** One forward pass over one token each of many sequences and a chunk of another one. */
  'mixed.onnx': mixedGraph,
  /** Keys and values of virtual tokens, written into a slot. */
  'append.onnx': appendGraph,
  /** Input embeddings to the keys and values that the model computes from them. */
  'encode.onnx': encodeGraph,
} as const satisfies Record<string, (open: OpenGraph) => GraphBuilder>;

/**
 * Rows of equal length. Inputs: `ids`, `positions` [tokens]; `shape` = [rows, tokens per row, -1];
 * `rows_lengths` [rows], length of each row after this step, minus 1; `rows_longest` [1], the longest, not minus 1;
 * `keep` [kept], the tokens whose logits are wanted; and the head's.
 * More than one token per row is for one row only: a limit of the operator when there is a past.
 */
function uniformGraph(open: OpenGraph): GraphBuilder {
  const { model, source } = open('uniform');
  const { graph } = model;
  const shape = graph.input('shape', 'int64', [3]);
  const attention = new CachedAttention(model, 'rows', source.kv);
  const keep = graph.input('keep', 'int64', ['kept']);
  const hidden = model.layers({ ...embedTokens(model), keep }, (layer, qkv) =>
    attention.attend(layer, { query: graph.node('Reshape', [qkv, shape]) }),
  );
  writeHead(model, hidden, source.target);
  return graph;
}

/**
 * Rows of one token, and one chunk: all tokens packed, rows first, split only around attention.
 * Inputs as `uniformGraph`'s, but `split` = [rows, tokens of the chunk] for `shape`; `chunk_lengths`, `chunk_longest` [1].
 */
function mixedGraph(open: OpenGraph): GraphBuilder {
  const written = open('mixed');
  const { model, source } = written;
  const { graph } = model;
  const split = graph.input('split', 'int64', [2]);
  const rows = new CachedAttention(model, 'rows', source.kv);
  const query = (qkv: Value): Value => graph.node('Unsqueeze', [qkv, graph.int64([1])]);
  writeSplit(written, split, (layer, qkv) => rows.attend(layer, { query: query(qkv) }));
  return graph;
}

/**
 * Rows of up to `nodes` tokens each, and one chunk if `hasChunk`: all tokens packed, rows first. It is written when a step needs it.
 * Inputs as `uniformGraph`'s without `shape` and `rows_...`, those of `ChainedAttention`, and with a chunk those of `mixedGraph`
 * but `split` = [tokens of the rows, tokens of the chunk].
 */
function spansGraph(open: OpenGraph, nodes: number, hasChunk: boolean): GraphBuilder {
  const written = open('spans');
  const { model, source } = written;
  const { graph } = model;
  const split = hasChunk ? graph.input('split', 'int64', [2]) : undefined;
  const rows = new ChainedAttention(model, source.kv, nodes);
  const attend: AttentionWriter = (layer, qkv) => rows.attend(layer, qkv);
  if (split !== undefined) {
    writeSplit(written, split, attend);
    return graph;
  }
  const tokens = embedTokens(model);
  const keep = graph.input('keep', 'int64', ['kept']);
  writeHead(model, model.layers({ ...tokens, keep }, attend), source.target);
  return graph;
}

/** Writes the attention of one layer: packed queries, keys and values of `[tokens, ...]` to what they attend to, packed too. */
type AttentionWriter = (layer: number, qkv: Value) => Value;

/** Writes a model whose first tokens attend as rows, and whose last ones as a chunk; `split` is the number of each. */
function writeSplit({ model, source: { kv, target } }: Written, split: Value, attendRows: AttentionWriter): void {
  const { graph } = model;
  const chunk = new CachedAttention(model, 'chunk', kv);
  const keep = graph.input('keep', 'int64', ['kept']);
  const hidden = model.layers({ ...embedTokens(model), keep }, (layer, qkv) => {
    const [rowsQkv, chunkQkv] = graph.nodes('Split', [qkv, split], 2, { axis: 0 }) as [Value, Value];
    const ofRows = attendRows(layer, rowsQkv);
    const ofChunk = chunk.attend(layer, { query: graph.node('Unsqueeze', [chunkQkv, graph.int64([0])]) });
    return graph.node('Concat', [ofRows, ofChunk], { axis: 0 });
  });
  writeHead(model, hidden, target);
}

function appendGraph(open: OpenGraph): GraphBuilder {
  const { model, source } = open('append');
  writeAppend(model, source.kv);
  return model.graph;
}

/** Inputs: `embeddings` [virtual tokens, width], `positions`. Output: `prefix` [virtual tokens, rowWidth(site)]. */
function encodeGraph(open: OpenGraph): GraphBuilder {
  const { model, source } = open('encode');
  const { graph, width, site } = model;
  const { kv } = source;
  const embeddings = graph.input('embeddings', 'float32', ['virtual', width]);
  const positions = graph.input('positions', 'int64', ['virtual']);
  const lengths = graph.input('rows_lengths', 'int32', [1]);
  const longest = graph.input('rows_longest', 'int32', [1]);
  const blocks: Value[] = [];
  const anyToken = graph.int64([0]);
  const activations = model.activationType;
  const embedded = model.addPositions(convert(graph, embeddings, 'float32', activations), positions);
  const queries = attendedWidth(site);
  const packed = queries + 2 * site.kvHeads * site.headDim;
  model.layers({ embedded, positions, keep: anyToken }, (layer, qkv) => {
    blocks.push(graph.node('Slice', [qkv, graph.int64([queries]), graph.int64([packed]), graph.int64([1])]));
    const batch = graph.node('Unsqueeze', [convert(graph, qkv, activations, kv), graph.int64([0])]);
    const inputs = [batch, undefined, undefined, undefined, undefined, lengths, longest];
    const [attended] = graph.nodes('com.microsoft:GroupQueryAttention', inputs, 3, attentionAttributes(model, layer));
    return graph.node('Reshape', [convert(graph, attended as Value, kv, activations), graph.int64([-1, queries])]);
  });
  graph.cast(graph.node('Concat', blocks, { axis: 1 }), 'float32', 'prefix');
  graph.output('prefix', 'float32', ['virtual', rowWidth(site)]);
  return graph;
}

function embedTokens(model: StepTransformer): Omit<LayerInputs, 'keep'> {
  const ids = model.graph.input('ids', 'int64', ['tokens']);
  const positions = model.graph.input('positions', 'int64', ['tokens']);
  return { embedded: model.embed(ids, positions), positions };
}

function writeHead(model: StepTransformer, hidden: Value, target: GraphTarget | undefined): void {
  const { graph, vocabularySize } = model;
  const head = (x: Value, output: Value): void => model.head(x, output);
  writeLogits({ graph, vocabularySize, head }, hidden, target);
}
