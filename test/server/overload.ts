import { send } from '../support/http.js';
import type { RealServer } from '../support/real-server.js';

export interface Overload {
  /** Clients at the same time, each of which sends one request after the other. */
  readonly clients: number;
  /** Milliseconds after which no client sends another request. */
  readonly duration: number;
  /** Most requests in all. */
  readonly requests: number;
}

/** What became of all requests. */
export interface Outcome {
  readonly accepted: number;
  /** Refused with 429 or 503 and a `retry-after`. */
  readonly refused: number;
  /** Left by their clients before the end. */
  readonly left: number;
  /** What was wrong, in words; empty when all is well. */
  readonly faults: readonly string[];
  /** The process's resident memory in MiB: after the first tenth of the time, and at its highest from then on. */
  readonly memory: { readonly early: number; readonly highest: number };
}

interface Tally {
  accepted: number;
  refused: number;
  left: number;
  readonly faults: string[];
}

const MiB = 2 ** 20;
/** Every so many-th request is left by its client, half of them in the middle of a stream. */
const LEAVE_EVERY = 5;

/** Keeps a server far beyond what it can take, and checks each answer. */
export async function overload(server: RealServer, { clients, duration, requests }: Overload): Promise<Outcome> {
  const tally: Tally = { accepted: 0, refused: 0, left: 0, faults: [] };
  const start = Date.now();
  const memory = { early: 0, highest: 0 };
  const watch = setInterval(() => {
    const resident = Math.round(process.memoryUsage.rss() / MiB);
    if (Date.now() - start < duration / 10) memory.early = resident;
    memory.highest = Math.max(memory.highest, resident);
  }, 50);
  let sent = 0;
  const client = async (): Promise<void> => {
    while (Date.now() - start < duration && sent < requests) await ask(server, sent++, tally);
  };
  await Promise.all(Array.from({ length: clients }, client));
  clearInterval(watch);
  return { ...tally, memory };
}

/** One request: its kind follows from its number. */
async function ask(server: RealServer, number: number, tally: Tally): Promise<void> {
  const tokens = 8 + (number % 5) * 10;
  const stream = number % 2 === 0;
  const body = {
    model: 'preamble-demo',
    prompt: [Array.from({ length: 1 + (number % 40) }, (_, i) => 300 + i)],
    max_tokens: tokens,
    ignore_eos: true,
    return_token_ids: true,
    stream,
  };
  if (number % LEAVE_EVERY === 0) return leave(server.url, { ...body, max_tokens: 400 }, tally);
  const { status, headers, text } = await send(server.url, { method: 'POST', path: '/v1/completions', body });
  if (status === 200) {
    tally.accepted++;
    const generated = countTokens(text, stream);
    if (generated !== tokens) tally.faults.push(`${generated} tokens of ${tokens}`);
  } else if ((status === 429 || status === 503) && Number(headers['retry-after']) > 0) {
    tally.refused++;
    // A tenth of what the header asks for: this client has no manners.
    await new Promise((resolve) => setTimeout(resolve, 100));
  } else tally.faults.push(`status ${status} ${text.slice(0, 200)}`);
}

/** Goes away after the first bytes of a stream, or while it waits for the whole. */
async function leave(url: string, body: { stream: boolean; max_tokens: number }, tally: Tally): Promise<void> {
  const abort = new AbortController();
  const request = fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: abort.signal,
  });
  const timer = setTimeout(() => abort.abort(), 50);
  try {
    const response = await request;
    if (response.ok && body.stream) await response.body?.getReader().read();
    else await response.text();
  } catch {
    // It is this client that left.
  }
  clearTimeout(timer);
  abort.abort();
  tally.left++;
}

function countTokens(text: string, stream: boolean): number {
  const bodies = stream ? text.split('\n\n').filter((event) => event.startsWith('data: {')) : [text];
  const answers = bodies.map(
    (body) => JSON.parse(body.replace(/^data: /, '')) as { choices?: { token_ids?: number[] }[] },
  );
  return answers.flatMap(({ choices }) => choices?.[0]?.token_ids ?? []).length;
}
