import type { SettingInEffect } from '../../../config/config.js';
import { physicalCores, type Cores } from '../../../config/cores.js';
import type { ExaminedModel } from './model.js';
import { showBytes, type Fact, type Problem, type Section } from '../report.js';

/** Reports the settings that were chosen for this machine, and why. */
export function examineChoices(
  settings: readonly SettingInEffect[],
  cores: Cores,
  model: ExaminedModel | undefined,
): Section {
  const chosen = (key: string): Fact & { readonly isSet: boolean } => {
    const { value, variable, isSet } = settings.find((one) => one.key === key) as SettingInEffect;
    return { value: value as number | string, isSet, why: isSet ? variable : 'the default' };
  };
  const [threads, slots] = [chosen('threads'), chosen('slots')];
  const memory = memoryAtFullLoad(Number(slots.value), settings, model);
  return {
    name: 'chosen',
    facts: {
      provider: pick(chosen('provider')),
      threads: { value: threads.value, why: threads.isSet ? (threads.why ?? '') : whyThreads(cores) },
      spinning: pick(chosen('spin')),
      chunk_tokens: pick(chosen('maxChunkTokens')),
      slots: pick(slots),
      ...memory?.facts,
    },
    problems: [...tooManyThreads(Number(threads.value), cores), ...(memory?.problems ?? [])],
  };
}

function pick({ value, why = '' }: Fact): Fact {
  return { value, why };
}

/** The reason for the default number of threads: the limit in `physicalCores` that decides. */
export function whyThreads(cores: Cores): string {
  const { logical, physical, allowed, quota } = cores;
  const threads = physicalCores(cores);
  if (physical !== undefined && threads === physical) {
    if (logical > physical) return 'physical cores: hyper-threads share a multiplier';
    return 'physical cores; there are no hyper-threads';
  }
  if (quota < allowed) return `the control group's quota of ${quota} CPUs`;
  if (allowed < logical) return 'the affinity of this process';
  return 'usable cores; this system does not tell which are hyper-threads';
}

function tooManyThreads(threads: number, { allowed, quota }: Cores): Problem[] {
  const granted = Math.ceil(Math.min(allowed, quota));
  if (threads <= granted) return [];
  return [
    {
      problem: `PREAMBLE_THREADS is ${threads}, but this process may use ${granted} CPUs: threads that wait for a core hold up every step`,
      fix: `Set PREAMBLE_THREADS to ${granted} or leave it out, or give the process more CPUs.`,
      fatal: false,
    },
  ];
}

function memoryAtFullLoad(
  slots: number,
  settings: readonly SettingInEffect[],
  model: ExaminedModel | undefined,
): Pick<Section, 'facts' | 'problems'> | undefined {
  if (model === undefined) return undefined;
  const kv = slots * model.slotBytes;
  const caches = settings
    .filter(({ key }) => key === 'prefixCacheBytes' || key === 'promptCacheBytes')
    .reduce((sum, { value }) => sum + Number(value), 0);
  const full = kv + model.weightBytes + caches;
  const available = process.availableMemory();
  return {
    facts: {
      kv_memory_bytes: { value: kv, why: `${slots} slots of ${showBytes(model.slotBytes)}, taken when first written` },
      memory_at_full_load_bytes: { value: full, why: 'weights, keys and values of full slots, caches' },
      shared_memory_bytes: {
        value: model.sharedBytes,
        why: 'of it packed weights, pages of a file that all servers of this machine map',
      },
    },
    problems:
      full <= available
        ? []
        : [
            {
              problem: `at full load the server needs about ${showBytes(full)}, but ${showBytes(available)} are available`,
              fix: 'Set PREAMBLE_SLOTS or the caches lower, or give the process more memory.',
              fatal: false,
            },
          ],
  };
}
