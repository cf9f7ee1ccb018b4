import { type Command, Redis, type RedisOptions } from 'ioredis';

/** Hears what happens on the links of a connection. */
export interface LinkObserver {
  /** The link was made, and opens later. */
  made(link: Redis): void;
  ready(link: Redis): void;
  /** The link was lost, or given up. */
  closed(link: Redis): void;
  /** The link could not be opened, or a command on it failed. */
  failed(error: Error): void;
}

/** Observes one link of a connection, and its duplicates too, such as the one that BullMQ makes to block on. Returns the link. */
export function observe(link: Redis, observer: LinkObserver): Redis {
  observer.made(link);
  link.on('ready', () => observer.ready(link));
  link.on('close', () => observer.closed(link));
  // Without a listener, an error of the link would end the process.
  link.on('error', (error: Error) => observer.failed(error));
  const send = link.sendCommand.bind(link);
  link.sendCommand = (command, stream) => {
    if (isNeeded(command)) command.promise.catch((error: Error) => observer.failed(error));
    return send(command, stream);
  };
  link.duplicate = (changes) => observe(unobservedCopy(link, changes ?? {}), observer);
  return link;
}

/** Makes a link as `link` is, but for `changes`, that nobody observes yet. */
export function unobservedCopy(link: Redis, changes: RedisOptions): Redis {
  return Redis.prototype.duplicate.call(link, changes) as Redis;
}

/** Opens one more link as `link` is, but for `changes`, on which only `use` sends commands. Closes it afterwards. */
export async function withLinkAside<T>(
  link: Redis,
  changes: RedisOptions,
  use: (aside: Redis) => Promise<T>,
): Promise<T> {
  const aside = unobservedCopy(link, { ...changes, retryStrategy: null });
  try {
    await connected(aside);
    return await use(aside);
  } finally {
    aside.disconnect();
  }
}

/** Connects, or throws the cause, which the client reports only as an event before `connect` fails. */
export async function connected(link: Redis): Promise<void> {
  const failed = new Promise<never>((_, reject) => link.on('error', reject));
  await Promise.race([link.connect(), failed]);
}

/** Whether a store needs the answer. Other commands the client sends by itself, and goes on without an answer. */
function isNeeded({ name }: Command): boolean {
  return name !== 'client' && name !== 'info';
}
