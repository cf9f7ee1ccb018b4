import { InvalidArgumentError, type Command } from 'commander';

import type { CompletionResponse } from '../../completions/answer/schema.js';
import type { Model } from '../../server/models/schema.js';
import { Client, withClientOptions, type ClientOptions } from '../client.js';
import { print, table, type Io } from '../io.js';

interface BenchOptions extends ClientOptions {
  readonly model?: string;
  readonly rows: readonly number[];
  readonly tokens: number;
  readonly prompt: string;
  readonly json?: boolean;
}

interface Measurement {
  readonly rows: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly tokens_per_second: number;
}

/** `preamble bench`: tokens per second of a running server at several numbers of concurrent requests. */
export function addBench(program: Command, io: Io): void {
  withClientOptions(program.command('bench').description('Measure tokens per second of a running server.'))
    .option('--model <id>', 'model or prefix (default: the base model)')
    .option('--rows <list>', 'numbers of concurrent requests', parseRows, [1, 8, 32])
    .option('--tokens <n>', 'tokens that each request generates', parseCount, 64)
    .option('--prompt <text>', 'prompt of each request', 'The')
    .option('--json', 'print one line of JSON')
    .action(async (options: BenchOptions) => {
      const results = await bench(options);
      const rows = results.map((r) => [
        r.rows,
        r.tokens,
        Number(r.seconds.toFixed(2)),
        Math.round(r.tokens_per_second),
      ]);
      print(io, options.json ? JSON.stringify(results) : table(['ROWS', 'TOKENS', 'SECONDS', 'TOKENS/S'], rows));
    });
}

async function bench(options: BenchOptions): Promise<Measurement[]> {
  const client = new Client(options);
  const model = options.model ?? (await baseModel(client));
  // The first request pays for pages and caches that later ones find.
  await generate(client, model, options);
  const results: Measurement[] = [];
  for (const rows of options.rows) results.push(await measure(client, model, rows, options));
  return results;
}

async function measure(client: Client, model: string, rows: number, options: BenchOptions): Promise<Measurement> {
  const start = performance.now();
  const counts = await Promise.all(Array.from({ length: rows }, () => generate(client, model, options)));
  const seconds = (performance.now() - start) / 1000;
  const tokens = counts.reduce((sum, count) => sum + count, 0);
  return { rows, tokens, seconds, tokens_per_second: tokens / seconds };
}

async function generate(client: Client, model: string, { prompt, tokens }: BenchOptions): Promise<number> {
  const body = { model, prompt, max_tokens: tokens, ignore_eos: true, temperature: 0 };
  const { usage } = await client.json<CompletionResponse>('POST', '/v1/completions', body);
  return usage.completion_tokens;
}

async function baseModel(client: Client): Promise<string> {
  const { data } = await client.json<{ data: Model[] }>('GET', '/v1/models');
  const base = data.find(({ parent }) => parent === null);
  if (!base) throw new Error('the server has no base model');
  return base.id;
}

function parseRows(text: string): number[] {
  return text.split(',').map(parseCount);
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('not a positive number.');
}
