import path from 'node:path';

import { ONNXRUNTIME_VERSION } from '../../../runtime/ort/library.js';
import { compiledProviders, tryProvider, type Provider, type ProviderTrial } from '../../../runtime/ort/provider.js';
import { Runtime } from '../../../runtime/ort/runtime.js';
import type { Fact, Problem, Section } from '../report.js';

/**
 * Examines whether ONNX Runtime loads, and which of its providers work here, by opening a small session on each.
 * @param wanted the provider of PREAMBLE_PROVIDER; undefined when the settings cannot be read
 */
export async function examineLibrary(wanted: Provider | undefined): Promise<Section> {
  try {
    const runtime = new Runtime({ threads: 1, quiet: true });
    try {
      return await describe(runtime, wanted);
    } finally {
      runtime.dispose();
    }
  } catch (error) {
    const problem = `ONNX Runtime cannot be loaded: ${(error as Error).message}`;
    const fix = 'Install the packages again: npm ci.';
    return { name: 'library', facts: {}, problems: [{ problem, fix, fatal: true }] };
  }
}

async function describe(runtime: Runtime, wanted: Provider | undefined): Promise<Section> {
  const providers = new Set(compiledProviders(runtime));
  const trials: ProviderTrial[] = [];
  for (const provider of providers) trials.push(await tryProvider(runtime, provider));
  return {
    name: 'library',
    facts: {
      onnxruntime: { value: ONNXRUNTIME_VERSION },
      file: { value: path.basename(runtime.library) },
      providers: { value: runtime.providers().map(shorten).join(', '), why: 'compiled in' },
      ...Object.fromEntries(trials.map((trial) => [`${trial.provider}_works`, describeTrial(trial)])),
    },
    problems: wanted === undefined ? [] : checkWanted(wanted, trials),
  };
}

function shorten(provider: string): string {
  return provider.replace(/ExecutionProvider$/, '');
}

function describeTrial(trial: ProviderTrial): Fact {
  return trial.ok ? { value: true, why: 'a session was opened' } : { value: false, why: trial.problem };
}

function checkWanted(wanted: Provider, trials: readonly ProviderTrial[]): Problem[] {
  const trial = trials.find(({ provider }) => provider === wanted);
  if (trial?.ok) return [];
  const problem = trial?.problem ?? `ONNX Runtime was built without the provider ${wanted}.`;
  const fix = 'Install what is missing (docs/devices.md), or leave PREAMBLE_PROVIDER out to run on the CPU.';
  return [{ problem: `PREAMBLE_PROVIDER: ${problem}`, fix, fatal: true }];
}
