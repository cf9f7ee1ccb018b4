import type { StoreLocation } from '../../../config/parsers.js';
import { connect } from '../../../app/open/redis.js';
import { describeStore } from '../../../app/open/store.js';
import type { StoreTls } from '../../../app/open/store-tls.js';
import type { RedisConnection } from '../../../redis/connection.js';
import { serverFacts, type RedisFacts } from '../../../redis/server-facts.js';
import { writeFailure } from '../../../redis/write-check.js';
import type { StoreErrorReason } from '../../../lib/store-error.js';
import type { Fact, Problem, Section } from '../report.js';
import { findWritable } from './writable.js';

/** Examines whether the store can be used and whether it keeps what it accepts. Writes nothing. */
export async function examineStore(store: StoreLocation, tls: StoreTls): Promise<Section> {
  const place: Fact = { value: describeStore(store) };
  const found = store.kind === 'file' ? await examineDirectory(store.directory) : await examineRedis(store.url, tls);
  return { name: 'store', facts: { place, ...found.facts }, problems: found.problems };
}

type Found = Pick<Section, 'facts' | 'problems'>;

async function examineDirectory(directory: string): Promise<Found> {
  const isWritable = (await findWritable(directory)) !== undefined;
  const problem: Problem = {
    problem: `the store ${directory} cannot be written to`,
    fix: 'Set PREAMBLE_STORE to a directory that this process may write to.',
    fatal: true,
  };
  return { facts: { writable: { value: isWritable } }, problems: isWritable ? [] : [problem] };
}

async function examineRedis(url: string, tls: StoreTls): Promise<Found> {
  try {
    const connection = await connect(url, tls);
    try {
      const facts = await serverFacts(connection);
      return { facts: describeRedis(facts), problems: [...(await failingRedis(connection)), ...riskyRedis(facts)] };
    } finally {
      connection.close();
    }
  } catch (error) {
    const fix = 'Start Redis, or change what the message names; docs/operations.md, "Redis", says what is needed.';
    return {
      facts: { answers: { value: false } },
      problems: [{ problem: (error as Error).message, fix, fatal: true }],
    };
  }
}

function describeRedis({ version, appendOnly, evictionPolicy, usedMemory, maxMemory }: RedisFacts): Found['facts'] {
  return {
    answers: { value: true },
    redis: { value: version ?? null },
    appendonly: { value: appendOnly ?? null },
    maxmemory_policy: { value: evictionPolicy ?? null },
    used_memory_bytes: { value: usedMemory ?? null },
    maxmemory_bytes: { value: maxMemory ?? null },
  };
}

const FIXES: Readonly<Partial<Record<StoreErrorReason, string>>> = {
  read_only: 'Let PREAMBLE_STORE lead to the primary. If it does, its log says why it takes no writes.',
  full: 'Raise its maxmemory, or delete prefixes and files.',
};

/** The problem of a Redis that answers, and refuses what a server needs. */
async function failingRedis({ client }: RedisConnection): Promise<Problem[]> {
  const failure = await writeFailure(client);
  if (failure === undefined) return [];
  const fix = FIXES[failure.reason] ?? 'Wait until it is ready, or look into its log.';
  return [{ problem: `Redis refuses to write, with the error ${failure.cause}`, fix, fatal: true }];
}

/** Warnings about a Redis that would lose data at a restart or when its memory is full. */
function riskyRedis({ appendOnly, evictionPolicy }: RedisFacts): Problem[] {
  const problems: Problem[] = [];
  if (appendOnly === false) {
    const problem =
      'Redis has `appendonly no`: prefixes, keys and limits of the last seconds or minutes are lost when it ends';
    problems.push({ problem, fix: 'Set `appendonly yes` in its configuration.', fatal: false });
  }
  if (evictionPolicy !== undefined && evictionPolicy !== 'noeviction') {
    const problem = `Redis has \`maxmemory-policy ${evictionPolicy}\`: it drops prefixes and keys when its memory is full`;
    problems.push({ problem, fix: 'Set `maxmemory-policy noeviction` in its configuration.', fatal: false });
  }
  return problems;
}
