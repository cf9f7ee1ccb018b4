import { randomSource, threeSitePrefix } from '../load/summaries.js';
import { uploadAdapter } from '../load/targets.js';
import { TokenStream } from '../load/token-stream.js';
import { userName } from '../load/workload.js';
import { startServer } from '../process/server-process.js';
import type { BenchContext } from '../suite.js';
import { type Contender, rateOfLengths } from './contender.js';

/** Most new tokens of a stream: it is ended long before, when the others have been measured. */
const MOST_TOKENS = 1000;
const BEAMS = 4;
/** Searches decode together from the first of these on, though their sources are encoded one after another. */
const BEAM_TOKENS = { short: 160, long: 320 };

/** The server with a BART, as several contenders. */
export interface SummaryServer {
  readonly url: string;
  /** Each user's requests with the user's own prefix. Closing it closes all. */
  readonly ownPrefixes: Contender;
  /** All users' requests with the first user's prefix. */
  readonly onePrefix: Contender;
  /** Beam searches, each with its user's prefix. */
  readonly beams: Contender;
}

/** Starts the server of the context's build; each user has a prefix at three sites. */
export async function openSummaryServer(context: BenchContext): Promise<SummaryServer> {
  const { rows, tokens } = context.options;
  const slots = Math.max(32, ...rows);
  const server = await startServer(context, { PREAMBLE_SLOTS: String(slots), PREAMBLE_LOG_LEVEL: 'error' });
  await server.prepare(async (url) => {
    for (let row = 0; row < slots; row++) await uploadAdapter(url, userName(row), threeSitePrefix(userName(row)));
  });
  const { url } = server;
  const none = (): Promise<void> => Promise.resolve();
  return {
    url,
    ownPrefixes: {
      name: 'server',
      measure: async (count) => ({ decode: await streamRate(url, users(count), tokens) }),
      close: () => server.stop(),
    },
    onePrefix: {
      name: 'server, one prefix',
      measure: async (count) => ({ decode: await streamRate(url, users(count).fill(userName(0)), tokens) }),
      close: none,
    },
    beams: {
      name: `server, ${BEAMS} beams`,
      measure: async (count) => ({
        decode: await rateOfLengths(count * BEAMS, BEAM_TOKENS, (length) => search(url, users(count), length)),
      }),
      close: none,
    },
  };
}

function users(count: number): string[] {
  return Array.from({ length: count }, (_, row) => userName(row));
}

/** Tokens per second of streams while all of them decode: none is encoded any more, none has ended. */
async function streamRate(url: string, models: readonly string[], steps: number): Promise<number> {
  const streams = models.map(
    (model, row) => new TokenStream(url, { model, prompt: randomSource(row), maxTokens: MOST_TOKENS }),
  );
  await Promise.all(streams.map((stream) => stream.token(2)));
  const before = streams.map(({ arrivals }) => arrivals.length);
  const begin = performance.now();
  await Promise.all(streams.map((stream, row) => stream.token((before[row] ?? 0) + steps)));
  const seconds = (performance.now() - begin) / 1000;
  const generated = streams.reduce((sum, { arrivals }, row) => sum + arrivals.length - (before[row] ?? 0), 0);
  await Promise.all(streams.map((stream) => stream.cancel()));
  return generated / seconds;
}

/** Milliseconds of one beam search for each user, all at once. */
async function search(url: string, models: readonly string[], length: number): Promise<number> {
  const begin = performance.now();
  await Promise.all(
    models.map(async (model, row) => {
      const body = {
        model,
        prompt: randomSource(row),
        max_tokens: length,
        use_beam_search: true,
        best_of: BEAMS,
        n: 1,
        ignore_eos: true,
      };
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
    }),
  );
  return performance.now() - begin;
}
