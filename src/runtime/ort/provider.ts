import fs from 'node:fs';
import path from 'node:path';

import koffi from 'koffi';

import type { Pointer } from './api.js';
import { ProviderError } from '../errors.js';
import type { Runtime } from './runtime.js';

/**
 * Execution providers in use: ONNX Runtime's name, its name for the provider's memory, and the provider's
 * requirements.
 */
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

/** Execution provider: where graphs run. */
export type Provider = keyof typeof PROVIDERS;

/** Result of trying a provider; `problem` says what is missing. */
export type ProviderTrial =
  | { readonly provider: Provider; readonly ok: true }
  | { readonly provider: Provider; readonly ok: false; readonly problem: string };

/** Providers that the library was built with. Not all of them need work on this machine. */
export function compiledProviders(runtime: Runtime): Provider[] {
  const names = runtime.providers();
  return (Object.keys(PROVIDERS) as Provider[]).filter((provider) => names.includes(PROVIDERS[provider].name));
}

/** Tries a provider on this machine by opening a session of one node. */
export async function tryProvider(runtime: Runtime, provider: Provider): Promise<ProviderTrial> {
  try {
    await requireProvider(runtime, provider);
    return { provider, ok: true };
  } catch (error) {
    return { provider, ok: false, problem: (error as Error).message };
  }
}

/** Throws `ProviderError` unless the provider works on this machine. */
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

/** Adds a provider to a session's options. Throws `ProviderError` when it is not available. */
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

/** Native description of a provider's memory on its first device. The caller releases it. */
export function providerMemoryInfo(runtime: Runtime, provider: Provider): Pointer {
  return runtime.api.create('CreateMemoryInfo', PROVIDERS[provider].memory, 0, 0, 0);
}

/** Wraps an error as one that names the provider's requirements, what is missing, and ONNX Runtime's message. */
function asProviderError(runtime: Runtime, provider: Provider, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  const missing = provider === 'cuda' ? missingCuda(path.dirname(runtime.library)) : undefined;
  const said = (error as Error).message.trim().replace(/\s+/g, ' ');
  const needs = `It needs ${PROVIDERS[provider].needs}; see docs/devices.md.`;
  return new ProviderError(provider, [missing && `${missing}.`, needs, `ONNX Runtime says: ${said}`]);
}

/** The CUDA library that cannot be loaded, and why. ONNX Runtime tells this only in its own log. */
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

/** A graph of one Identity node over one float, base64, as `src/onnx` writes it; a test compares them. */
export const TRIVIAL_GRAPH =
  'CAoSCHByZWFtYmxlOkkKHgoBeBIBeRoKSWRlbnRpdHk6MCIISWRlbnRpdHk6ABIFcHJvYmVaDwoBeBIKCggIARIECgIIAWIPCgF5EgoK' +
  'CAgBEgQKAggBQgQKABAVQhEKDWNvbS5taWNyb3NvZnQQAQ==';
