import type { Redis } from 'ioredis';

import type { RedisConnection } from './connection.js';
import { RedisRefusedError } from './errors.js';
import { withLinkAside } from './link.js';
import { CHANGES_CHANNEL } from './prefixes/keys.js';
import { CHANNEL as TENANCY_CHANNEL } from './tenancy/scripts.js';

/** Patterns of all keys that a server and its workers use. */
export const KEY_PATTERNS = [
  'preamble:1:tenants',
  'preamble:1:seeded:*',
  'preamble:1:{*:*}:*', // prefixes: base model and tenant
  'preamble:1:{files:*}:*',
  'preamble:1:{tuning}:*', // jobs, BullMQ's keys among them
  'preamble:1:{batches}:*', // the same of batches
  'preamble:{tenancy}:*',
  'preamble:rate:*',
] as const;

/** All channels that a server listens and publishes to. */
export const CHANNELS = [CHANGES_CHANNEL, TENANCY_CHANNEL] as const;

/** A key of ours that holds nothing. */
const KEY = 'preamble:1:{tuning}:trial';

/**
 * All commands that a server and its workers send, in scripts and through BullMQ too, with arguments that Redis could carry out. Beside
 * them are MULTI and DISCARD, by which the others are tried, SUBSCRIBE, and SELECT where the URL has a database.
 */
export const COMMANDS = [
  `BZPOPMIN ${KEY} 1`,
  `DECRBY ${KEY} 1`,
  `DEL ${KEY}`,
  'EVAL return 0',
  `EVALSHA ${'0'.repeat(40)} 0`,
  `EXISTS ${KEY}`,
  `EXPIRE ${KEY} 1`,
  `GET ${KEY}`,
  `HDEL ${KEY} field`,
  `HEXISTS ${KEY} field`,
  `HGET ${KEY} field`,
  `HGETALL ${KEY}`,
  `HINCRBY ${KEY} field 1`,
  `HKEYS ${KEY}`,
  `HMGET ${KEY} field`,
  `HMSET ${KEY} field value`,
  `HSET ${KEY} field value`,
  `HSETNX ${KEY} field value`,
  `INCR ${KEY}`,
  `INCRBY ${KEY} 1`,
  'INFO',
  `LINDEX ${KEY} 0`,
  `LLEN ${KEY}`,
  `LPOP ${KEY}`,
  `LPOS ${KEY} value`,
  `LPUSH ${KEY} value`,
  `LRANGE ${KEY} 0 0`,
  `LREM ${KEY} 0 value`,
  `LTRIM ${KEY} 0 0`,
  `PERSIST ${KEY}`,
  `PEXPIRE ${KEY} 1`,
  'PING',
  `PTTL ${KEY}`,
  `PUBLISH ${CHANGES_CHANNEL} trial`,
  `RPOPLPUSH ${KEY} ${KEY}`,
  `RPUSH ${KEY} value`,
  `SADD ${KEY} member`,
  `SCARD ${KEY}`,
  `SET ${KEY} value`,
  `SISMEMBER ${KEY} member`,
  `SMEMBERS ${KEY}`,
  `SREM ${KEY} member`,
  `SSCAN ${KEY} 0`,
  'TIME',
  `UNLINK ${KEY}`,
  `XADD ${KEY} * field value`,
  `XTRIM ${KEY} MAXLEN 0`,
  `ZADD ${KEY} 0 member`,
  `ZCARD ${KEY}`,
  `ZPOPMIN ${KEY}`,
  `ZRANGE ${KEY} 0 0`,
  `ZRANGEBYLEX ${KEY} - +`,
  `ZRANGEBYSCORE ${KEY} 0 0`,
  `ZREM ${KEY} member`,
  `ZREMRANGEBYRANK ${KEY} 0 0`,
  `ZREMRANGEBYSCORE ${KEY} 0 0`,
  `ZREVRANGE ${KEY} 0 0`,
  `ZREVRANGEBYSCORE ${KEY} 0 0`,
  `ZREVRANK ${KEY} member`,
  `ZSCORE ${KEY} member`,
];

/** What Redis can refuse of a command. */
type Part = 'command' | 'key' | 'channel';

/** What is missing when a part of a command is refused. */
type Names = Readonly<Partial<Record<Part, string>>>;

/** A command that is tried. A part without a name has a trial of its own. */
interface Trial {
  readonly words: string;
  readonly names: Names;
}

const TRIALS: readonly Trial[] = [
  ...COMMANDS.map((words) => ({ words, names: { command: words.split(' ', 1)[0] ?? '' } })),
  ...KEY_PATTERNS.flatMap((key) =>
    ['GET *', 'PERSIST *'].map((words) => ({
      words: words.replace('*', key.replaceAll('*', 'trial')),
      names: { key },
    })),
  ),
  ...CHANNELS.map((channel) => ({ words: `PUBLISH ${channel} trial`, names: { channel } })),
];

const DISCARD: Trial = { words: 'DISCARD', names: { command: 'DISCARD' } };

/**
 * Tries all rights that a server needs, and changes nothing: within MULTI, Redis checks a command when it is queued, and DISCARD forgets
 * it. (ACL DRYRUN needs rights of an administrator.) Other faults, such as a full memory or a replica, are not refused here.
 * @throws RedisRefusedError naming commands that the user may not run or that Redis does not have, and keys and channels
 */
export async function requireRights(connection: RedisConnection): Promise<void> {
  const missing = await missingRights(connection);
  const named = (Object.keys(VERBS) as Part[]).flatMap((part) => {
    const names = new Set(missing.flatMap((right) => right[part] ?? []));
    return names.size === 0 ? [] : [`${VERBS[part]} ${[...names].join(', ')}`];
  });
  if (named.length === 0) return;
  const help = 'docs/operations.md, "Redis", has the line that grants what is needed';
  throw new RedisRefusedError(`Redis does not let its user ${named.join('; ')}: ${help}`);
}

const VERBS: Readonly<Record<Part, string>> = {
  command: 'run',
  key: 'read and write the keys',
  channel: 'publish to and listen on the channels',
};

async function missingRights(connection: RedisConnection): Promise<Names[]> {
  // Aside: a command of anybody else could end the transaction, and the rest would be carried out.
  return withLinkAside(connection.client, {}, (link) => missingOn(link, connection));
}

async function missingOn(link: Redis, connection: RedisConnection): Promise<Names[]> {
  const subscribed = CHANNELS.map(async (channel) => {
    const answer = connection.subscribe(channel, () => undefined);
    return ifRefused(answer, { command: 'SUBSCRIBE', channel });
  });
  // Awaited: without it, the others would be carried out.
  const begun = await link.call('MULTI').then(() => 'begun' as const, refusedPart);
  if (begun !== 'begun') return [begun === 'command' ? { command: 'MULTI' } : {}, ...(await Promise.all(subscribed))];
  const tried = [...TRIALS, DISCARD].map(async ({ words, names }) => {
    const [command = '', ...args] = words.split(' ');
    return ifRefused(link.call(command, ...args), names);
  });
  return Promise.all([...tried, ...subscribed]);
}

/** The one of `names` that stands for what Redis refuses to its user; none when it answers otherwise. @throws when Redis is away */
async function ifRefused(answer: Promise<unknown>, names: Names): Promise<Names> {
  const part = await answer.then(() => undefined, refusedPart);
  return part === undefined ? {} : { [part]: names[part] };
}

function refusedPart(error: Error): Part | undefined {
  const { name, message } = error;
  if (name !== 'ReplyError') throw error;
  if (/^NOPERM .*\brun the '|^ERR unknown command/i.test(message)) return 'command';
  if (!message.startsWith('NOPERM ')) return undefined;
  return message.includes('channel') ? 'channel' : 'key';
}
