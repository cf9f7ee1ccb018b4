import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

import { beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';

import { type Haproxy, startHaproxy } from '../support/haproxy.js';
import { type Answer, type Call, encodeForm, send } from '../support/http.js';

/** A request that a replica got. */
interface Arrival {
  readonly replica: string;
  readonly path: string;
  readonly bytes: number;
}

const KEYS = Array.from({ length: 12 }, (_, i) => `key-${i}`);
/** More than HAProxy reads of a body before it chooses a replica. */
const LONG = 'x'.repeat(200_000);
const post = (path: string, body: string): Call => ({ method: 'POST', path, body });

describe.skipIf(inject('haproxy') === null)('HAProxy', () => {
  let haproxy: Haproxy;
  let arrivals: Arrival[];

  beforeEach(async () => {
    arrivals = [];
    haproxy = await startHaproxy([await startReplica('a', arrivals), await startReplica('b', arrivals)]);
  });

  /** Sends a request while there is no other, of which a replica could have its share. */
  async function ask(key: string, { headers, ...call }: Call): Promise<Answer> {
    const answer = await send(haproxy.url, { ...call, headers: { ...headers, authorization: `Bearer ${key}` } });
    await expect.poll(haproxy.serving, { interval: 5, timeout: 30_000 }).toBe(0);
    return answer;
  }

  /** The replicas that got a tenant's requests. */
  async function replicasOf(key: string, calls: readonly Call[]): Promise<string[]> {
    arrivals.length = 0;
    for (const call of calls) expect((await ask(key, call)).status).toBe(200);
    expect(arrivals).toHaveLength(calls.length);
    return [...new Set(arrivals.map(({ replica }) => replica))];
  }

  it("sends a tenant's requests for one model to one replica, however JSON writes the name", async () => {
    const bodies = (name: string): string[] => [
      `{"model":"users/${name}"}`,
      String.raw`{"model":"users\/${name}"}`,
      String.raw`{"prompt":"\/ \\/ \"\/ \\","model":"users\/${name}"}`,
      String.raw`{"model":"users\u002f${name}"}`,
      `{"model":"users/${name}","prompt":"${LONG}"}`,
    ];
    const chosen: string[] = [];
    for (const key of KEYS) {
      for (const name of ['alice', 'bob']) {
        const replicas = await replicasOf(key, bodies(name).map((body) => post('/v1/completions', body))); // prettier-ignore
        expect(replicas, `${key}, ${name}`).toHaveLength(1);
        chosen.push(...replicas);
      }
    }
    expect(new Set(chosen)).toEqual(new Set(['a', 'b']));
  });

  it("sends a tenant's requests without a model to one replica", async () => {
    const form = await encodeForm({ name: 'users/alice', adapter_model: [new Uint8Array(300_000), 'model'] });
    const calls: Call[] = [
      post('/v1/completions', '{"prompt":"x"}'),
      post('/v1/completions', '{"model":null}'),
      post('/v1/completions', '{'),
      post('/v1/completions', `{"prompt":"${LONG}","model":"users/alice"}`),
      post('/v1/batch/completions', '{"requests":[{"custom_id":"1","body":{"model":"users/alice"}}]}'),
      post('/v1/prefixes', String.raw`{"name":"users\/alice","text":"x"}`),
      { method: 'POST', path: '/v1/prefixes', ...form },
      { path: '/v1/models' },
      { method: 'DELETE', path: '/v1/prefixes/users%2Falice' },
    ];
    const chosen: string[] = [];
    for (const key of KEYS) {
      const replicas = await replicasOf(key, calls);
      expect(replicas, key).toHaveLength(1);
      chosen.push(...replicas);
    }
    expect(new Set(chosen)).toEqual(new Set(['a', 'b']));
  });

  it('hands on paths and large bodies as they are', async () => {
    await ask('key', post('/v1/prefixes/users%2falice/x+y%20z?a=%2F&b', 'x'.repeat(5_000_000)));
    expect(arrivals).toMatchObject([{ path: '/v1/prefixes/users%2falice/x+y%20z?a=%2F&b', bytes: 5_000_000 }]);
  });

  it('sends only what may be done twice again when a replica dies', async () => {
    const tries = async (method: string, path: string): Promise<[status: number, arrivals: number]> => {
      arrivals.length = 0;
      const { status } = await ask('key', { method, path, headers: { 'x-die': 'first' } });
      return [status, arrivals.length];
    };
    for (const path of ['/v1/completions', '/v1/batch/completions', '/v1/prefixes']) {
      expect(await tries('POST', path), path).toEqual([200, 2]);
    }
    expect(await tries('GET', '/v1/models')).toEqual([200, 2]);
    for (const path of ['/v1/fine_tuning/jobs', '/v1/files', '/v1/admin/keys']) {
      expect(await tries('POST', path), path).toEqual([502, 1]);
    }
    expect(await tries('DELETE', '/v1/prefixes/x')).toEqual([502, 1]);
  });
});

/** Address of a replica that notes what arrives, and hangs up on the first request of `arrivals` if that has a header `x-die`. */
async function startReplica(replica: string, arrivals: Arrival[]): Promise<string> {
  const server = createServer((request, response) => {
    const { url: path = '', headers } = request;
    if (path === '/readyz') return response.end();
    void buffer(request).then(({ length: bytes }) => {
      arrivals.push({ replica, path, bytes });
      if (headers['x-die'] !== undefined && arrivals.length === 1) request.socket.destroy();
      else response.end();
    });
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
