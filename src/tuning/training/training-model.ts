import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { GenerationConfig } from '../../engine/generation-config.js';
import { HEAD_WEIGHT } from '../../model/architecture.js';
import { architectureNamed } from '../../model/architectures.js';
import { type Manifest } from '../../model/compile/compiled-model.js';
import { DisposableStack } from '../../model/backend/disposable-stack.js';
import { type MappedWeights, mapWeights } from '../../model/backend/mapped-weights.js';
import { OnnxPrefixEncoder } from '../../model/prefix-encoder.js';
import { rowWidth } from '../../prefix/kv.js';
import type { GraphBuilder } from '../../onnx/graph.js';
import { Runtime } from '../../runtime/ort/runtime.js';
import { ScratchTensors } from '../../runtime/ort/scratch-tensors.js';
import { type Binding, PackedWeights, Session } from '../../runtime/ort/session.js';
import type { Tensor } from '../../runtime/ort/tensor.js';
import { type Batch, type FloatInput, indexInput, type IndexInput } from './batch-inputs.js';
import { exportedName, rowsGraph } from '../graph/parameters.js';
import { HEAD_INPUT } from '../graph/source-graph.js';
import { EXTERNAL_WEIGHTS, trainingGraph, wordsGraph } from '../graph/training-graph.js';
import { type ParameterName, parameterShapes, rowSets, type TunedShape } from '../method.js';
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

  /** What the checkpoint asks of generation; undefined for a decoder-only model. */
  get generation(): GenerationConfig | undefined {
    const { architecture, config } = this.options.manifest;
    return architectureNamed(architecture).generation?.(config);
  }

  /** Opens the graph that computes losses and gradients; it belongs to the caller. */
  async openLoss(shape: TunedShape, gradients: boolean): Promise<LossGraph> {
    const { manifest } = this.options;
    const session = await this.#open(trainingGraph({ manifest, shape, gradients }));
    return new LossGraph(this.runtime, session, parameterShapes(manifest.shape, shape), gradients, this.#headMatrix());
  }

  /** The rows of each site that are exported: MLPs, if there are any, are applied and dropped. */
  async exportRows(shape: TunedShape, values: Values): Promise<SiteRows> {
    const frozen = this.options.manifest.shape;
    const session = await this.#open(rowsGraph(frozen, shape));
    const sets = rowSets(frozen, shape);
    const outputs = sets.map((set) => ({ name: exportedName(set), dims: [set.length, set.columns] as const }));
    const rows = await this.#run(session, outputs, (binding, tensors) =>
      bindValues(binding, tensors, values, parameterShapes(frozen, shape)),
    );
    return new Map(sets.map((set) => [set.site, rows.get(exportedName(set)) as Float32Array]));
  }

  /** Keys and values `[tokens, rowWidth(site)]` of each site that the frozen model computes for a text. */
  async activations(tokens: readonly number[]): Promise<SiteRows> {
    const { manifest, directory } = this.options;
    if (manifest.shape.sourceLength !== undefined) return this.#sourceActivations(tokens);
    const file = path.join(directory, 'encode.onnx');
    const { tensors: initializers } = this.weights;
    const session = await Session.open(this.runtime, file, { initializers, packWeights: false, planMemory: false });
    try {
      const encoder = new OnnxPrefixEncoder(this.runtime, manifest.shape, session, this.weights.embedding);
      return (await encoder.encodeTokens(tokens)).rows;
    } finally {
      await session.dispose();
    }
  }

  #headMatrix(): Tensor {
    const { tensors } = this.weights;
    const embeddings = architectureNamed(this.options.manifest.architecture).tokenEmbeddings;
    return (tensors.get(HEAD_WEIGHT) ?? tensors.get(embeddings)) as Tensor;
  }

  async #sourceActivations(tokens: readonly number[]): Promise<SiteRows> {
    const { manifest } = this.options;
    const session = await this.#open(wordsGraph(manifest, tokens.length));
    const outputs = manifest.shape.sites.map((site) => ({
      name: site.name,
      dims: [tokens.length, rowWidth(site)] as const,
    }));
    return this.#run(session, outputs, (binding, scratch) => {
      const ids = indexInput(Int32Array.from(tokens));
      const positions = indexInput(Int32Array.from(tokens.keys()));
      for (const [name, input] of Object.entries({ ids, positions })) binding.input(name, tensorOf(scratch, input));
    });
  }

  /** Runs a session once, and disposes of it. */
  async #run(
    session: Session,
    outputs: readonly { readonly name: string; readonly dims: readonly [number, number] }[],
    bind: (binding: Binding, tensors: ScratchTensors) => void,
  ): Promise<Map<string, Float32Array>> {
    const tensors = new ScratchTensors(this.runtime);
    const binding = session.bind();
    try {
      bind(binding, tensors);
      const made = outputs.map(({ name, dims }) => ({ name, tensor: tensors.make('float32', dims) }));
      for (const { name, tensor } of made) binding.output(name, tensor);
      await session.run(binding);
      return new Map(made.map(({ name, tensor }) => [name, valuesOf(tensor)]));
    } finally {
      binding.dispose();
      tensors.dispose();
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

/** Rows of keys and values `[P, rowWidth(site)]` by the name of their site; of embeddings, `[P, width]` under `self`. */
export type SiteRows = ReadonlyMap<string, Float32Array>;

/** Losses and gradients of one batch. */
export interface LossResult {
  /** Loss of each learned token, in nats. */
  readonly losses: Float32Array;
  /** Gradients of the batch's mean loss; empty when the graph computes none. */
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
    private readonly headMatrix: Tensor,
  ) {}

  async run(values: Values, batch: Batch): Promise<LossResult> {
    const tensors = new ScratchTensors(this.runtime);
    const binding = this.session.bind();
    try {
      bindValues(binding, tensors, values, this.shapes);
      for (const [name, input] of Object.entries(batch.inputs)) {
        if (this.session.inputs.has(name)) binding.input(name, tensorOf(tensors, input));
      }
      if (this.session.inputs.has(HEAD_INPUT)) binding.input(HEAD_INPUT, this.headMatrix);
      const losses = tensors.make('float32', [batch.kept, 1]);
      binding.output('losses', losses);
      const gradients = this.gradients ? bindGradients(binding, tensors, values, this.shapes) : new Map<never, never>();
      await this.session.run(binding);
      return {
        losses: losses.memory.float32(0, batch.learned).slice(),
        gradients: new Map([...gradients].map(([name, tensor]) => [name, valuesOf(tensor)])),
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
  for (const [name, data] of values) binding.input(name, tensorOf(tensors, { data, shape: shapes.get(name) ?? [] }));
}

function bindGradients(
  binding: Binding,
  tensors: ScratchTensors,
  values: Values,
  shapes: Shapes,
): Map<ParameterName, Tensor> {
  return new Map(
    [...values.keys()].map((name) => {
      const tensor = tensors.make('float32', shapes.get(name) ?? []);
      binding.output(`grad_${name}`, tensor);
      return [name, tensor];
    }),
  );
}

function tensorOf(tensors: ScratchTensors, { data, shape }: IndexInput | FloatInput): Tensor {
  if (data instanceof Int32Array) {
    return tensors.make('int32', shape, (memory) => memory.int32(0, data.length).set(data));
  }
  return tensors.make('float32', shape, (memory) => memory.float32(0, data.length).set(data));
}

/** A copy of a float32 tensor's values. */
function valuesOf({ memory }: Tensor): Float32Array {
  return memory.float32(0, memory.bytes / Float32Array.BYTES_PER_ELEMENT).slice();
}
