import { parseSamples } from '../../test/support/samples.js';
import { eventReader } from './stream-together.js';

/** Counts of requests and tokens, with the meanings of `/metrics`. */
export interface Counts {
  readonly requests: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Requests that got a first token. */
  readonly firstTokens: number;
  /** Requests that ended with a stop. */
  readonly stopped: number;
  readonly cutByLength: number;
  readonly errors: number;
}

export interface SoakOptions {
  /** Streams at the same time: each client sends its next request as soon as it is answered. */
  readonly clients: number;
  /** Time of the last new request, by `performance.now()`; each client sends one at least. */
  readonly until: number;
  /** Models that are requested in turn. */
  readonly models: readonly string[];
  /** Tokens of the longest answer; the others have one to seven eighths of it. */
  readonly tokens: number;
}

interface Event {
  readonly choices: readonly { readonly token_ids?: readonly number[]; readonly finish_reason: string | null }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly error?: unknown;
}

/** Keeps a number of streams running and returns their counts. @throws Error for a wrong answer */
export async function soak(url: string, { clients, until, models, tokens }: SoakOptions): Promise<Counts> {
  const total = { ...none };
  let sent = 0;
  const client = async (): Promise<void> => {
    do {
      const number = sent++;
      const maxTokens = Math.ceil((tokens * (1 + (number % 8))) / 8);
      const answer = await ask(url, models[number % models.length] as string, maxTokens, number);
      for (const key of keys) total[key] += answer[key];
    } while (performance.now() < until);
  };
  await Promise.all(Array.from({ length: clients }, client));
  return total;
}

/** Uploads `count` prefixes, each made of a text of its own, and returns their names. */
export async function uploadTexts(url: string, count: number, under = 'users'): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `${under}/${i}`);
  for (const name of names) {
    const body = JSON.stringify({ name, text: `You are ${name}, and you speak accordingly.` });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/v1/prefixes`, { method: 'POST', headers, body });
    if (answer.status !== 201) throw new Error(`uploading ${name}: ${answer.status} ${await answer.text()}`);
  }
  return names;
}

/** Counts of a server since its start, from `/metrics`. */
export async function readCounts(url: string): Promise<Counts> {
  const samples = parseSamples(await (await fetch(`${url}/metrics`)).text());
  const sum = (name: string, reason?: string): number =>
    samples
      .filter((sample) => sample.name === `preamble_${name}`)
      .filter(({ labels }) => reason === undefined || labels['finished_reason'] === reason)
      .reduce((total, { value }) => total + value, 0);
  return {
    requests: sum('request_success_total'),
    promptTokens: sum('prompt_tokens_total'),
    generatedTokens: sum('generation_tokens_total'),
    firstTokens: sum('time_to_first_token_seconds_count'),
    stopped: sum('request_success_total', 'stop'),
    cutByLength: sum('request_success_total', 'length'),
    errors: sum('request_errors_total'),
  };
}

const none = {
  requests: 0,
  promptTokens: 0,
  generatedTokens: 0,
  firstTokens: 0,
  stopped: 0,
  cutByLength: 0,
  errors: 0,
};
const keys = Object.keys(none) as (keyof Counts)[];

/** Sends one request and reads its stream; half of the requests may end before their last token. */
async function ask(url: string, model: string, maxTokens: number, number: number): Promise<Counts> {
  const prompt = Array.from({ length: 1 + (number % 40) }, (_, i) => 300 + i);
  const sampling = { temperature: 1, seed: number, ignore_eos: number % 2 === 0 };
  const stream = { stream: true, stream_options: { include_usage: true }, return_token_ids: true };
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: [prompt], max_tokens: maxTokens, ...sampling, ...stream }),
  });
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
  const events: Event[] = [];
  const read = eventReader((data) => events.push(JSON.parse(data) as Event));
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) read(piece);
  return count(events);
}

function count(events: readonly Event[]): Counts {
  const failed = events.find(({ error }) => error !== undefined);
  const usage = events.at(-1)?.usage;
  if (failed !== undefined || !usage) throw new Error(`a stream broke: ${JSON.stringify(failed ?? 'no usage')}`);
  const choices = events.flatMap((event) => event.choices);
  const generatedTokens = choices.reduce((sum, { token_ids: ids = [] }) => sum + ids.length, 0);
  if (generatedTokens !== usage.completion_tokens) {
    throw new Error(`${generatedTokens} tokens came, and the usage is ${usage.completion_tokens}`);
  }
  const reason = choices.find(({ finish_reason: given }) => given !== null)?.finish_reason;
  return {
    ...none,
    requests: 1,
    promptTokens: usage.prompt_tokens,
    generatedTokens,
    firstTokens: generatedTokens > 0 ? 1 : 0,
    stopped: reason === 'stop' ? 1 : 0,
    cutByLength: reason === 'length' ? 1 : 0,
  };
}
