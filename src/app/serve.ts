import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { createApp, type App } from './app.js';
import { systemError } from '../lib/system-error.js';
import { ConfigError } from '../config/error.js';
import { needsKey, precisions } from '../config/rules.js';
import type { Config } from '../config/variables.js';
import { limitHeapGrowth } from './heap.js';
import { describeSlots } from './open/context.js';
import { describeStore } from './open/store.js';
import { outliveOutputs } from './outputs.js';
import { compileProgress } from './compile-progress.js';
import { printModelWarnings } from './model-warnings.js';
import { firstSignal } from './signals.js';

interface Output {
  readonly stdout: Pick<Writable, 'write'>;
  readonly stderr: Pick<Writable, 'write'>;
}

/** Codes of errors that the port causes: in use, not allowed. The host causes all others. */
const PORT_ERRORS: ReadonlySet<string | undefined> = new Set(['EADDRINUSE', 'EACCES']);

/**
 * Serves until SIGTERM or SIGINT and for the lame-duck time after it, then finishes accepted requests. A second signal ends the process at
 * once.
 */
export async function serve(config: Config, { stdout, stderr }: Output): Promise<void> {
  limitHeapGrowth();
  outliveOutputs();
  const app = await createApp(config, { onProgress: compileProgress(stderr) });
  printModelWarnings(stderr, app.model.warnings);
  try {
    const signal = firstSignal(); // before the banner: its reader may send a signal at once
    await listen(app, config);
    stdout.write(banner(app, config));
    // What cannot be opened ends the server, as it would have before it was listening.
    await Promise.race([signal, app.model.openRest().then(() => signal)]);
    await lameDuck(app, config.lameDuckSeconds, stderr);
    stderr.write(`finishing accepted requests, for at most ${config.drainSeconds} s\n`);
    await Promise.all([drain(app, config.drainSeconds), app.stopJobs()]);
  } finally {
    await app.close();
  }
}

async function listen({ server }: App, { host, port }: Config): Promise<void> {
  try {
    await server.app.listen({ host, port });
  } catch (error) {
    const failed = systemError(error);
    if (failed === undefined) throw error;
    throw new ConfigError(PORT_ERRORS.has(failed.code) ? 'PORT' : 'HOST', failed.message);
  }
}

/**
 * Lets load balancers see that this server leaves before it refuses anything: for `seconds` it is not ready but accepts requests, then it
 * accepts no new connections.
 */
async function lameDuck({ server }: App, seconds: number, stderr: Output['stderr']): Promise<void> {
  if (seconds === 0) return;
  server.announceLeaving();
  stderr.write(`not ready any more; requests are accepted for ${seconds} s\n`);
  await delay(seconds * 1000);
  server.app.server.close();
}

/** Waits up to `seconds` for accepted requests, then cancels the others by closing their connections. */
async function drain({ server }: App, seconds: number): Promise<void> {
  const deadline = new AbortController();
  const late = delay(seconds * 1000, 'late' as const, { signal: deadline.signal }).catch(() => 'on time' as const);
  if ((await Promise.race([server.drain(), late])) === 'late') server.app.server.closeAllConnections();
  deadline.abort();
}

function banner({ model, tokenizer, server }: App, config: Config): string {
  const url = addressOf(server.app.server.address() as AddressInfo);
  const { textProblem } = tokenizer;
  const prompt = textProblem === undefined ? { prompt: 'The' } : { prompt: [0], return_token_ids: true };
  const body = JSON.stringify({ model: model.base.id, ...prompt, max_tokens: 24 });
  const key = needsKey(config) ? ` -H "Authorization: Bearer $KEY"` : '';
  return [
    `Preamble listens on ${url} (${pages(url, config)})`,
    `  model  ${model.base.id}${describePrecision(config)}`,
    ...(textProblem === undefined ? [] : [`         ${textProblem}`]),
    `  slots  ${describeSlots(model.base, config)}`,
    `  store  ${describeStore(config.store)}`,
    `  try    curl -s ${url}/v1/completions -H 'content-type: application/json'${key} -d '${body}'`,
    ...(key ? [`         with KEY set to ${whichKey(config)}`] : []),
    '',
  ].join('\n');
}

/** What there is to see in a browser. */
function pages(url: string, config: Config): string {
  return config.console === 'on'
    ? `open it in a browser; ${url}/docs has the routes`
    : `try it in a browser: ${url}/docs`;
}

/** The precisions in parentheses; empty for float32. */
function describePrecision(config: Config): string {
  const { weights, kv } = precisions(config);
  const parts = [
    ...(weights === 'float32' ? [] : [`${weights} weights`]),
    ...(kv === 'float32' ? [] : [`${kv} keys and values`]),
  ];
  return parts.length > 0 ? ` (${parts.join(', ')})` : '';
}

function whichKey({ apiKeys }: Config): string {
  if (apiKeys.length > 0) return 'one of the keys in PREAMBLE_API_KEYS';
  return 'what `npx preamble key create --tenant NAME` prints';
}

function addressOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
