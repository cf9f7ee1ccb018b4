import type { PrefixKv } from '#src/prefix/kv.js';
import type { Contender, ServerMeasurement } from './contender.js';
import { openEngine } from './open-engine.js';
import { startServer } from '../process/server-process.js';
import type { BenchContext } from '../suite.js';
import { generate, serverTarget, uploadPrefix } from '../load/targets.js';
import { randomPrefix, userName, type UserRequest, workload } from '../load/workload.js';

/** Contender that is a server in a process of its own. */
export interface ServerContender extends Contender {
  readonly url: string;
  measure(rows: number): Promise<ServerMeasurement>;
}

/** Starts the server of the context's build; each user has a prefix. */
export async function openServer(context: BenchContext): Promise<ServerContender> {
  const { options } = context;
  const server = await startServer(context, {
    PREAMBLE_SLOTS: String(Math.max(...options.rows)),
    PREAMBLE_LOG_LEVEL: 'error',
  });
  await server.prepare(async (url) => {
    for (const [user, prefix] of userPrefixes(context)) await uploadPrefix(url, user, prefix);
  });
  const target = serverTarget(server.url);
  return {
    name: 'server',
    url: server.url,
    async measure(rows) {
      const requests = workload(rows, options.context, options.tokens);
      await server.eventLoopDelay(); // from here on
      const cpuBefore = await server.cpuSeconds();
      const { decode, firstToken } = await target(requests);
      const cpu = (await server.cpuSeconds()) - cpuBefore;
      const tokens = requests.reduce((sum, { maxTokens }) => sum + maxTokens, 0);
      return { decode, firstToken, cpuPerToken: (1000 * cpu) / tokens, eventLoopDelay: await server.eventLoopDelay() };
    },
    close: () => server.stop(),
  };
}

/** The engine without HTTP, in this process. */
export interface EngineContenders {
  /** With a prefix for each row. */
  readonly engine: Contender;
  /** With the first row's prefix for all rows. Closing `engine` closes this one too. */
  readonly onePrefix: Contender;
  /** Greedy continuation of a user's prompt; without a prefix if `user` is undefined. */
  readonly continueGreedily: (user: string | undefined, prompt: readonly number[], count: number) => Promise<number[]>;
}

/** Opens the engine with a prefix for each of as many users as there are rows. */
export async function openContenders(context: BenchContext): Promise<EngineContenders> {
  const { options } = context;
  const prefixes = userPrefixes(context);
  const open = await openEngine(context, Math.max(...options.rows));
  const target = open.target(prefixes);
  const requests = (rows: number): UserRequest[] => workload(rows, options.context, options.tokens);
  const everyone = userName(0);
  return {
    engine: { name: 'engine', measure: (rows) => target(requests(rows)), close: () => open.close() },
    onePrefix: {
      name: 'engine, one prefix',
      measure: (rows) => target(requests(rows).map((request) => ({ ...request, user: everyone }))),
      close: () => Promise.resolve(),
    },
    continueGreedily: async (user, prompt, maxTokens) => {
      const { ids } = await generate(open.engine, user === undefined ? undefined : prefixes.get(user), {
        prompt,
        maxTokens,
      });
      return ids;
    },
  };
}

function userPrefixes({ options, prefixColumns }: BenchContext): Map<string, PrefixKv> {
  const users = Array.from({ length: Math.max(...options.rows) }, (_, row) => userName(row));
  return new Map(users.map((user) => [user, randomPrefix(user, prefixColumns)]));
}
