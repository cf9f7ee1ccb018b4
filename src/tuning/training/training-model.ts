import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { type Manifest } from '../../model/compile/compiled-model.js';
import { DisposableStack } from '../../model/backend/disposable-stack.js';
import { type MappedWeights, mapWeights } from '../../model/backend/mapped-weights.js';
import { OnnxPrefixEncoder } from '../../model/prefix-encoder.js';
import { selfRows } from '../../prefix/kv.js';
import type { GraphBuilder } from '../../onnx/graph.js';
import { Runtime } from '../../runtime/ort/runtime.js';
import { ScratchTensors } from '../../runtime/ort/scratch-tensors.js';
import { type Binding, PackedWeights, Session } from '../../runtime/ort/session.js';
import type { Tensor } from '../../runtime/ort/tensor.js';
import type { Batch } from './batch.js';
import { EXTERNAL_WEIGHTS, rowsGraph, trainingGraph } from '../graph/training-graph.js';
import { type ParameterName, parameterShapes, exportedColumns, type TunedShape } from '../method.js';
import type { Values } from './values.js';

export interface TrainingModelOptions {
  /** A compiled model. */
  readonly directory: string;
  readonly manifest: Manifest;
  readonly threads: number;
  /** Whether threads that wait spin: faster, but it takes the cores from other processes. True unless given. */
  readonly spin?: boolean;
}

/** A frozen compiled model that prefixes are trained on; its weights are mapped read-only. */
export class TrainingModel {
  readonly #resources: DisposableStack;

  private constructor(
    readonly options: TrainingModelOptions,
    private readonly runtime: Runtime,
    private readonly weights: MappedWeights,
    private readonly packedWeights: PackedWeights,
    resources: DisposableStack,
  ) {
    this.#resources = resources;
  }

  static async open(options: TrainingModelOptions): Promise<TrainingModel> {
    const resources = new DisposableStack();
    try {
      const runtime = resources.use(new Runtime({ threads: options.threads, spin: options.spin ?? true }));
      const weights = mapWeights(runtime, options.directory, options.manifest, resources);
      return new TrainingModel(options, runtime, weights, resources.use(new PackedWeights(runtime)), resources);
    } catch (error) {
      await resources.dispose();
      throw error;
    }
  }

  /** The token embeddings `[vocabulary, width]`. */
  get tokenEmbeddings(): Float32Array {
    return this.weights.allEmbeddings();
  }

  /** Opens the graph that computes losses and gradients; it belongs to the caller. */
  async openLoss(shape: TunedShape, gradients: boolean): Promise<LossGraph> {
    const { manifest } = this.options;
    const session = await this.#open(trainingGraph({ manifest, shape, gradients }));
    return new LossGraph(this.runtime, session, parameterShapes(manifest.shape, shape), gradients);
  }

  /** The rows that are exported: the MLP, if there is one, is applied and dropped. */
  async exportRows(shape: TunedShape, values: Values): Promise<Float32Array> {
    const frozen = this.options.manifest.shape;
    const session = await this.#open(rowsGraph(frozen, shape));
    const tensors = new ScratchTensors(this.runtime);
    const binding = session.bind();
    try {
      bindValues(binding, tensors, values, parameterShapes(frozen, shape));
      const dims = [shape.length, exportedColumns(frozen, shape.method)] as const;
      const rows = tensors.make('float32', dims);
      binding.output('exported', rows);
      await session.run(binding);
      return rows.memory.float32(0, dims[0] * dims[1]).slice();
    } finally {
      binding.dispose();
      tensors.dispose();
      await session.dispose();
    }
  }

  /** Keys and values `[tokens, rowWidth(site)]` that the frozen model computes for a text. */
  async activations(tokens: readonly number[]): Promise<Float32Array> {
    const file = path.join(this.options.directory, 'encode.onnx');
    const { tensors: initializers } = this.weights;
    const session = await Session.open(this.runtime, file, { initializers, packWeights: false, planMemory: false });
    try {
      const encoder = new OnnxPrefixEncoder(this.runtime, this.options.manifest.shape, session, this.weights.embedding);
      return selfRows(await encoder.encodeTokens(tokens));
    } finally {
      await session.dispose();
    }
  }

  dispose(): Promise<void> {
    return this.#resources.dispose();
  }

  async #open(graph: GraphBuilder): Promise<Session> {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-tune-'));
    try {
      const file = path.join(directory, 'training.onnx');
      await fs.writeFile(file, graph.toBytes());
      // ONNX Runtime insists that the file of external weights exists, and reads none of it: every weight comes as a tensor.
      await fs.writeFile(path.join(directory, EXTERNAL_WEIGHTS), '');
      const { packedWeights } = this;
      const { tensors: initializers } = this.weights;
      return await Session.open(this.runtime, file, { initializers, packedWeights, planMemory: false });
    } finally {
      this.weights.file.releasePages(); // the packed copies are what runs from now on
      await fs.rm(directory, { recursive: true });
    }
  }
}

/** Losses and gradients of one batch. */
export interface LossResult {
  /** Loss of each learned token, in nats. */
  readonly losses: Float32Array;
  /** Gradients of the mean over rows of the summed losses; empty when the graph computes none. */
  readonly gradients: Values;
}

type Shapes = ReturnType<typeof parameterShapes>;

/** The training graph, loaded. Runs one batch at a time. */
export class LossGraph {
  constructor(
    private readonly runtime: Runtime,
    private readonly session: Session,
    private readonly shapes: Shapes,
    private readonly gradients: boolean,
  ) {}

  async run(values: Values, batch: Batch): Promise<LossResult> {
    const tensors = new ScratchTensors(this.runtime);
    const binding = this.session.bind();
    try {
      bindValues(binding, tensors, values, this.shapes);
      bindBatch(binding, tensors, batch, this.session.inputs);
      const losses = tensors.make('float32', [batch.keep.length, 1]);
      binding.output('losses', losses);
      const gradients = this.gradients ? bindGradients(binding, tensors, values, this.shapes) : new Map<never, never>();
      await this.session.run(binding);
      return {
        losses: losses.memory.float32(0, batch.learned).slice(),
        gradients: new Map(
          [...gradients].map(([name, { memory }]) => [name, memory.float32(0, memory.bytes / 4).slice()]),
        ),
      };
    } finally {
      binding.dispose();
      tensors.dispose();
    }
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }
}

function bindValues(binding: Binding, tensors: ScratchTensors, values: Values, shapes: Shapes): void {
  for (const [name, value] of values) binding.input(name, floats(tensors, shapes[name] ?? [], value));
}

function bindGradients(
  binding: Binding,
  tensors: ScratchTensors,
  values: Values,
  shapes: Shapes,
): Map<ParameterName, Tensor> {
  return new Map(
    [...values.keys()].map((name) => {
      const tensor = tensors.make('float32', shapes[name] ?? []);
      binding.output(`grad_${name}`, tensor);
      return [name, tensor];
    }),
  );
}

function bindBatch(binding: Binding, tensors: ScratchTensors, batch: Batch, inputs: ReadonlySet<string>): void {
  const bind = (name: string, make: () => Tensor): void => {
    if (inputs.has(name)) binding.input(name, make());
  };
  const indices = (data: Int32Array, shape: readonly number[] = [data.length]): Tensor =>
    tensors.make('int32', shape, (memory) => memory.int32(0, data.length).set(data));
  const { ids, positions, keep, targets, keepBack: keep_back, virtualPositions: virtual_positions } = batch;
  for (const [name, data] of Object.entries({ ids, positions, keep, keep_back, targets, virtual_positions })) {
    bind(name, () => indices(data));
  }
  const { pad, unpad, padBack: pad_back, unpadBack: unpad_back } = batch.padding;
  for (const [name, { data, shape }] of Object.entries({ pad, unpad, pad_back, unpad_back })) {
    bind(name, () => indices(data, shape));
  }
  bind('mask', () => floats(tensors, batch.maskShape, batch.mask));
  bind('weights', () => floats(tensors, [batch.weights.length, 1], batch.weights));
}

function floats(tensors: ScratchTensors, shape: readonly number[], data: Float32Array): Tensor {
  return tensors.make('float32', shape, (memory) => memory.float32(0, data.length).set(data));
}
