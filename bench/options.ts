import { parseArgs } from 'node:util';

import { defaultConfig } from '#src/config/config.js';
import { PREFIX_LENGTH } from './load/workload.js';

/** Programs that Preamble is compared with. */
export const DECODER_PEERS = ['node-llama-cpp', 'transformers-peft', 'transformers-lora', 'onnxruntime-node'] as const;
export type DecoderPeerName = (typeof DECODER_PEERS)[number];
/** Programs that Preamble is compared with where the model is a BART. */
export const SUMMARY_PEERS = ['transformers-bart', 'ctranslate2'] as const;
export type SummaryPeerName = (typeof SUMMARY_PEERS)[number];
/** Programs that train prefixes of a BART. */
const SUMMARY_TRAINERS = ['adapters'] as const;
const PEERS = [...DECODER_PEERS, ...SUMMARY_PEERS, ...SUMMARY_TRAINERS] as const;
type PeerName = (typeof PEERS)[number];

export interface Options {
  /** Names of the suites to run, in order. */
  readonly suites: readonly string[];
  /** Users that generate together; one measurement each. */
  readonly rows: readonly number[];
  /** Mean positions of a row while it is measured, prefix included. */
  readonly context: number;
  /** Steps in which all rows decode together. */
  readonly tokens: number;
  /** Requests of a batch, in `batches`. */
  readonly lines: number;
  /** Rounds; with `beside` an even number, because one half of them follows each order of starting. */
  readonly repeats: number;
  /** Threads inside a step; undefined for those that the server chooses by itself (`threadsOf`). */
  readonly threads: number | undefined;
  readonly peers: readonly PeerName[];
  /** Parts of the names of those costly requests that `stalls` sends; none for all of them. */
  readonly kinds: readonly string[];
  /** Another commit whose build is measured in turns with this one. */
  readonly beside: string | undefined;
  /** Results to write into docs/performance.md instead of measuring; none to measure. */
  readonly writeDocs: readonly string[];
  readonly help: boolean;
}

/** A suite as the command line knows it. */
interface SuiteEntry {
  readonly name: string;
  /** Present if the suite can run with `--beside`. */
  readonly open?: unknown;
}

export function usage(suites: readonly SuiteEntry[]): string {
  return `Usage: npm run bench -- [suite ...] [options]
Measures Preamble and its peers on a random GPT-2 of 124M's shape; writes bench/results/DATE.json.
Suites: ${suites.map(({ name }) => name).join(', ')} (all unless named)
  --rows 1,8,32    users that generate together
  --context 130    mean positions of a row, its prefix of ${PREFIX_LENGTH} included
  --tokens 32      steps in which all rows decode together
  --lines 2000     requests of a batch, in batches
  --repeats 5      rounds; medians count, ratios are taken within a round
  --threads N      threads inside a step (physical cores)
  --peers LIST     ${PEERS.join(',')} or none (all)
  --kinds LIST     of suite stalls, the requests with one of these in their names, such as form,call (all)
  --beside COMMIT  measure this build and that commit's in turns, without peers: both figures and their ratio;
                     --repeats is rounded up to an even number.
                     Suites: ${comparable(suites).join(', ')}
  --write-docs FILE  measure nothing; write results into docs/performance.md and its chart
                     (several times: a later file's suites replace an earlier one's)`;
}

/** @throws Error for an unknown argument, a number that is not positive, and options that exclude each other */
export function readOptions(args: readonly string[], suites: readonly SuiteEntry[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rows: { type: 'string', default: '1,8,32' },
      context: { type: 'string', default: '130' },
      tokens: { type: 'string', default: '32' },
      lines: { type: 'string', default: '2000' },
      repeats: { type: 'string', default: '5' },
      threads: { type: 'string' },
      peers: { type: 'string' },
      kinds: { type: 'string' },
      beside: { type: 'string' },
      'write-docs': { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  });
  const { beside } = values;
  const repeats = positive('--repeats', values.repeats);
  return {
    suites: chooseSuites(positionals, suites, beside !== undefined),
    rows: values.rows.split(',').map((text) => positive('--rows', text)),
    context: positive('--context', values.context),
    tokens: positive('--tokens', values.tokens),
    lines: positive('--lines', values.lines),
    repeats: beside === undefined ? repeats : 2 * Math.ceil(repeats / 2),
    threads: values.threads === undefined ? undefined : positive('--threads', values.threads),
    peers: choosePeers(values.peers, beside !== undefined),
    kinds: values.kinds?.split(',') ?? [],
    beside,
    writeDocs: values['write-docs'],
    help: values.help,
  };
}

/** Threads inside a step: those of `--threads`, else those that the server chooses by itself. */
export function threadsOf({ threads }: Options): number {
  return threads ?? defaultConfig().threads;
}

function chooseSuites(named: readonly string[], suites: readonly SuiteEntry[], beside: boolean): readonly string[] {
  const all = suites.map(({ name }) => name);
  const possible = beside ? comparable(suites) : all;
  if (named.length === 0) return possible;
  for (const name of named) {
    if (possible.includes(oneOf('suite', name, all))) continue;
    throw new Error(
      `suite: '${name}' measures this checkout's modules and cannot run with --beside; these can: ${possible.join(', ')}`,
    );
  }
  return named;
}

/** Suites that can run with `--beside`. */
function comparable(suites: readonly SuiteEntry[]): string[] {
  return suites.filter(({ open }) => open !== undefined).map(({ name }) => name);
}

function choosePeers(list: string | undefined, beside: boolean): readonly PeerName[] {
  if (beside && list !== undefined) throw new Error('--peers: no peer runs with --beside');
  if (beside || list === 'none') return [];
  return list?.split(',').map((name) => oneOf('--peers', name, PEERS)) ?? PEERS;
}

function positive(name: string, text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Error(`${name}: '${text}' is not a positive number`);
}

function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === text);
  if (found === undefined) throw new Error(`${name}: '${text}' is none of ${known.join(', ')}`);
  return found;
}
