import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import type { GraphBuilder } from '../../src/onnx/graph.js';
import type { Runtime } from '../../src/runtime/ort/runtime.js';
import { ScratchTensors } from '../../src/runtime/ort/scratch-tensors.js';
import { Session } from '../../src/runtime/ort/session.js';
import { elementCount } from '../../src/runtime/ort/tensor.js';

/** A float32 tensor, or int64 where the data say so. */
export interface Data {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** A graph in ONNX Runtime, without rewriting. */
export class TestGraph {
  private constructor(
    private readonly runtime: Runtime,
    private readonly session: Session,
  ) {}

  static async open(runtime: Runtime, graph: GraphBuilder): Promise<TestGraph> {
    const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-graph-'));
    const file = path.join(directory, 'graph.onnx');
    try {
      await fs.writeFile(file, graph.toBytes());
      return new TestGraph(runtime, await Session.open(runtime, file, { optimization: 'none' }));
    } finally {
      await fs.rm(directory, { recursive: true });
    }
  }

  /** Runs the graph; `outputs` are the shapes of its float32 outputs. */
  async run(
    inputs: Record<string, Data>,
    outputs: Record<string, readonly number[]>,
  ): Promise<Record<string, Float32Array>> {
    const tensors = new ScratchTensors(this.runtime);
    const binding = this.session.bind();
    try {
      for (const [name, { shape, data }] of Object.entries(inputs)) {
        const type = data instanceof Float32Array ? 'float32' : 'int64';
        const tensor = tensors.make(type, shape, (memory) => {
          if (data instanceof Float32Array) memory.float32(0, data.length).set(data);
          else memory.int64(0, data.length).set(data);
        });
        binding.input(name, tensor);
      }
      const bound = Object.entries(outputs).map(([name, shape]) => {
        const tensor = tensors.make('float32', shape);
        binding.output(name, tensor);
        return [name, tensor.memory, elementCount(shape)] as const;
      });
      await this.session.run(binding);
      return Object.fromEntries(bound.map(([name, memory, count]) => [name, memory.float32(0, count).slice()]));
    } finally {
      binding.dispose();
      tensors.dispose();
    }
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }
}
