import { createServer } from 'node:net';
import { once } from 'node:events';

import type { Config } from '../../../config/variables.js';
import type { Problem, Section } from '../report.js';

/** Examines whether the server can listen on the configured address. */
export async function examineAddress({ host, port }: Config): Promise<Section> {
  const code = await tryToListen(host, port);
  const address = { value: `${host}:${port}`, ...(port === 0 && { why: 'a free port is picked' }) };
  return {
    name: 'address',
    facts: { address, free: { value: code === undefined } },
    problems: explain(host, port, code),
  };
}

/** The system's error code when the address cannot be listened on; undefined when it can. */
async function tryToListen(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen({ host, port });
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    server.close();
  }
}

function explain(host: string, port: number, code: string | undefined): Problem[] {
  if (code === undefined) return [];
  const problem = code === 'EADDRINUSE' ? 'something listens there already, perhaps a Preamble' : code;
  const fix = 'Set HOST and PORT to an address of this machine that is free, or stop what listens there.';
  return [{ problem: `cannot listen on ${host}:${port}: ${problem}`, fix, fatal: true }];
}
