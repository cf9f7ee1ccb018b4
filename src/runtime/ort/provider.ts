import fs from 'node:fs';
import path from 'node:path';

import koffi from 'koffi';

import type { Pointer } from './api.js';
import { ProviderError } from '../errors.js';
import type { Runtime } from './runtime.js';

/** ONNX Runtime's execution providers in use: its name for each, what it calls the provider's memory, and what it needs. */
const PROVIDERS = {
  cpu: { name: 'CPUExecutionProvider', memory: 'Cpu', needs: 'nothing' },
  cuda: {
    name: 'CUDAExecutionProvider',
    memory: 'Cuda',
    needs:
      'an NVIDIA GPU with its driver, CUDA 13 and cuDNN 9 on the loader path, and the two libraries ' +
      'libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so beside libonnxruntime',
  },
  webgpu: {
    name: 'WebGpuExecutionProvider',
    memory: 'WebGPU_Buffer',
    needs: 'a GPU with a driver for Vulkan 1.1 or later (Linux), Metal (macOS) or Direct3D 12 (Windows)',
  },
} as const;

/** Where graphs run. */
export type Provider = keyof typeof PROVIDERS;

/** Whether a provider works here; `problem` is what is missing. */
export type ProviderTrial =
  | { readonly provider: Provider; readonly ok: true }
  | { readonly provider: Provider; readonly ok: false; readonly problem: string };

/** The providers that the library was built to run or to load. */
export function compiledProviders(runtime: Runtime): Provider[] {
  const names = runtime.providers();
  return (Object.keys(PROVIDERS) as Provider[]).filter((provider) => names.includes(PROVIDERS[provider].name));
}

/** Opens a session of one node on a provider: whether it works on this machine. */
export async function tryProvider(runtime: Runtime, provider: Provider): Promise<ProviderTrial> {
  try {
    await requireProvider(runtime, provider);
    return { provider, ok: true };
  } catch (error) {
    return { provider, ok: false, problem: (error as Error).message };
  }
}

/** Throws `ProviderError` unless a provider works on this machine. */
export async function requireProvider(runtime: Runtime, provider: Provider): Promise<void> {
  const { api } = runtime;
  const options = api.create('CreateSessionOptions');
  try {
    api.call('DisablePerSessionThreads', options);
    appendProvider(runtime, options, provider);
    const graph = Buffer.from(TRIVIAL_GRAPH, 'base64');
    const session = await api.createAsync('CreateSessionFromArray', runtime.env, graph, graph.length, options);
    api.release('ReleaseSession', session);
  } catch (error) {
    throw asProviderError(runtime, provider, error);
  } finally {
    api.release('ReleaseSessionOptions', options);
  }
}

/** Adds a provider to the options of a session. Throws `ProviderError` where it is not to be had. */
export function appendProvider(runtime: Runtime, options: Pointer, provider: Provider): void {
  const { api } = runtime;
  try {
    if (provider === 'webgpu') {
      api.call('SessionOptionsAppendExecutionProvider', options, 'WebGPU', null, null, 0);
    } else if (provider === 'cuda') {
      const cuda = api.create('CreateCUDAProviderOptions');
      try {
        api.call('SessionOptionsAppendExecutionProvider_CUDA_V2', options, cuda);
      } finally {
        api.release('ReleaseCUDAProviderOptions', cuda);
      }
    }
  } catch (error) {
    throw asProviderError(runtime, provider, error);
  }
}

/** Describes a provider's memory on its first device. The caller releases it. */
export function providerMemoryInfo(runtime: Runtime, provider: Provider): Pointer {
  return runtime.api.create('CreateMemoryInfo', PROVIDERS[provider].memory, 0, 0, 0);
}

/** An error about a provider as one that says what it needs, what of that is missing, and what ONNX Runtime said. */
export function asProviderError(runtime: Runtime, provider: Provider, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  const missing = provider === 'cuda' ? missingCuda(path.dirname(runtime.library)) : undefined;
  const said = (error as Error).message.trim().replace(/\s+/g, ' ');
  const needs = `It needs ${PROVIDERS[provider].needs}; see docs/devices.md.`;
  return new ProviderError(provider, [missing && `${missing}.`, needs, `ONNX Runtime says: ${said}`]);
}

/** ONNX Runtime says only in its log which library it could not load; this finds out. */
function missingCuda(directory: string): string | undefined {
  for (const name of ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so']) {
    const file = path.join(directory, name);
    if (!fs.existsSync(file)) return `${file} is missing`;
    try {
      koffi.load(file, { lazy: true, global: true });
    } catch (error) {
      return `${file}: ${(error as Error).message}`;
    }
  }
  return undefined;
}

/** A graph of one Identity node over one float, as `src/onnx` writes it; a test compares. */
export const TRIVIAL_GRAPH =
  'CAoSCHByZWFtYmxlOkkKHgoBeBIBeRoKSWRlbnRpdHk6MCIISWRlbnRpdHk6ABIFcHJvYmVaDwoBeBIKCggIARIECgIIAWIPCgF5EgoK' +
  'CAgBEgQKAggBQgQKABAVQhEKDWNvbS5taWNyb3NvZnQQAQ==';
