import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { GraphBuilder } from '../../src/onnx/graph.js';
import { libraryPath } from '../../src/runtime/ort/library.js';
import { compiledProviders, TRIVIAL_GRAPH, tryProvider } from '../../src/runtime/ort/provider.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';

const PROVIDER_LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

let runtime: Runtime;

beforeAll(() => {
  runtime = new Runtime({ threads: 1 });
});
afterAll(() => {
  runtime.dispose();
});

it('the trivial graph is one Identity', () => {
  const graph = new GraphBuilder('probe');
  graph.nodes('Identity', [graph.input('x', 'float32', [1])], ['y']);
  graph.output('y', 'float32', [1]);
  expect(Buffer.from(graph.toBytes()).toString('base64')).toBe(TRIVIAL_GRAPH);
});

it('the library knows the providers, and the CPU works', async () => {
  expect(compiledProviders(runtime)).toContain('cpu');
  expect(await tryProvider(runtime, 'cpu')).toEqual({ provider: 'cpu', ok: true });
});

describe.runIf(process.platform === 'linux')('on Linux', () => {
  it('the library was built for CUDA and WebGPU', () => {
    expect(compiledProviders(runtime)).toEqual(['cpu', 'cuda', 'webgpu']);
  });

  it('WebGPU works, or says that there is no adapter', async () => {
    const trial = await tryProvider(runtime, 'webgpu');
    if (!trial.ok) expect(trial.problem).toMatch(/Vulkan.*ONNX Runtime says: .*adapter/);
  });

  describe('with a library of its own', () => {
    let directory: string;
    let alone: Runtime;

    beforeAll(async () => {
      directory = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-provider-'));
      const library = path.join(directory, path.basename(libraryPath()));
      await fs.copyFile(libraryPath(), library); // the loader knows a link to what is loaded already
      alone = new Runtime({ threads: 1, library });
    });
    afterAll(async () => {
      alone.dispose();
      await fs.rm(directory, { recursive: true });
    });

    it('names the CUDA library that is missing or cannot be loaded', async () => {
      for (const name of PROVIDER_LIBRARIES) {
        const file = path.join(directory, name);
        const missing = await tryProvider(alone, 'cuda');
        expect(missing).toMatchObject({ ok: false, problem: expect.stringContaining(`${file} is missing. It needs`) });
        await fs.writeFile(file, 'no library');
        const broken = await tryProvider(alone, 'cuda');
        expect(broken).toMatchObject({ ok: false, problem: expect.stringContaining(`${file}: `) });
        expect(broken).toMatchObject({ problem: expect.stringMatching(/too short.*ONNX Runtime says: /) });
        await fs.copyFile(alone.library, file); // one that can be loaded
      }
    });
  });
});
