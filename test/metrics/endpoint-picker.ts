import { parseSamples, type Sample } from '../support/samples.js';

/** What the endpoint picker of the Gateway API Inference Extension keeps of a model server. */
export interface PodMetrics {
  readonly waitingQueueSize: number;
  readonly runningRequestsSize: number;
  /** 0 to 1. */
  readonly kvCacheUsage: number;
  readonly maxActiveModels: number;
  readonly activeModels: readonly string[];
  readonly waitingModels: readonly string[];
}

/**
 * How the picker's `lora-affinity-scorer` likes a model server for a request: 1 where the request's adapter runs, 0.8 where there is room for
 * one more, 0.6 where it waits, else 0.
 * @see https://github.com/kubernetes-sigs/gateway-api-inference-extension/blob/v1.3.0/pkg/epp/scheduling/framework/plugins/scorer/lora_affinity.go
 */
export function loraAffinity({ activeModels, waitingModels, maxActiveModels }: PodMetrics, model: string): number {
  if (activeModels.includes(model)) return 1;
  if (activeModels.length + waitingModels.length < maxActiveModels) return 0.8;
  return waitingModels.includes(model) ? 0.6 : 0;
}

/**
 * Reads a scrape as the picker's `extractor` does when it is told our names (docs/operations.md): of each gauge
 * one sample; of the adapters the sample with the greatest value, which is a time, with lists between commas.
 * @see https://github.com/kubernetes-sigs/gateway-api-inference-extension/tree/main/docs/proposals/003-model-server-protocol
 */
export function readAsEndpointPicker(text: string): PodMetrics {
  const samples = parseSamples(text);
  const family = (name: string): Sample => {
    const found = samples.filter((sample) => sample.name === name);
    const latest = found.sort((a, b) => b.value - a.value)[0];
    if (latest === undefined) throw new Error(`${name} is not there`);
    return latest;
  };
  const { labels } = family('preamble_lora_requests_info');
  const list = (name: string): string[] => (labels[name] ?? '').split(',').filter(Boolean);
  return {
    waitingQueueSize: family('preamble_num_requests_waiting').value,
    runningRequestsSize: family('preamble_num_requests_running').value,
    kvCacheUsage: family('preamble_kv_cache_usage_perc').value,
    maxActiveModels: Number(labels['max_lora']),
    activeModels: list('running_lora_adapters'),
    waitingModels: list('waiting_lora_adapters'),
  };
}
