import { connect, type Socket } from 'node:net';

import { describe, expect, it } from 'vitest';

import { MAX_FORMS } from '../../src/server/http/body/forms.js';
import { encodeForm, send } from '../support/http.js';
import { listen, testServer } from './harness.js';
import { adapterFiles, testLibrary } from './prefix-library.js';

const apiKeys = ['alice', 'bob'].map((tenant) => ({ tenant, key: `key-of-${tenant}` }));
const headersOf = (tenant: string) => ({ authorization: `Bearer key-of-${tenant}` });

/** A server, and the uploads of prefixes to it. */
async function openServer() {
  const { app, drain } = await testServer({ apiKeys }, { library: await testLibrary() });
  const url = await listen(app);
  const { config, model } = adapterFiles(3);
  const form = (name: string, content = model) =>
    encodeForm({ name, adapter_config: [config, 'c.json'], adapter_model: [content, 'm.safetensors'] });
  const connections: Socket[] = [];
  app.server.on('connection', (socket: Socket) => connections.push(socket));
  return {
    drain,
    /** As the server has them, in the order in which they came. */
    connections,
    /** When this is answered, the server has met what was sent before. */
    get: (tenant: string) => send(url, { path: '/v1/prefixes', headers: headersOf(tenant) }),
    upload: async (tenant: string, name: string) => {
      const { headers, body } = await form(name);
      return send(url, { method: 'POST', path: '/v1/prefixes', headers: { ...headers, ...headersOf(tenant) }, body });
    },
    /** Sends all of an upload but its end, which `finish` sends. */
    hold: async (tenant: string, name: string, model?: Uint8Array<ArrayBuffer>) => {
      const { headers, body } = await form(name, model);
      const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
      const all = { host: 'localhost', ...headers, ...headersOf(tenant), 'content-length': String(body.length) };
      const head = Object.entries({ ...all, connection: 'close' }).map(([field, value]) => `${field}: ${value}\r\n`);
      socket.write(`POST /v1/prefixes HTTP/1.1\r\n${head.join('')}\r\n`);
      socket.write(body.subarray(0, -10));
      return {
        leave: () => socket.destroy(),
        finish: async () => {
          socket.write(body.subarray(-10));
          return (await socket.toArray()).join('');
        },
      };
    },
  };
}

describe('forms of one tenant', () => {
  it('are read a few at a time, and the others in their order; other tenants do not wait', async () => {
    const server = await openServer();
    const held = [];
    for (let i = 0; i < MAX_FORMS; i++) {
      held.push(await server.hold('alice', `held-${i}`));
      await server.get('alice');
    }
    const finished: string[] = [];
    const waiting = [];
    for (const name of ['first', 'second', 'third']) {
      waiting.push(server.upload('alice', name).then(({ status }) => finished.push(`${name} ${status}`)));
      await server.get('alice');
    }
    expect((await server.upload('bob', 'other')).status).toBe(201);
    expect(finished).toEqual([]);
    expect(await held[0]!.finish()).toMatch(/^HTTP\/1\.1 201/);
    await Promise.all(waiting);
    expect(finished).toEqual(['first 201', 'second 201', 'third 201']);
    for (const upload of held.slice(1)) expect(await upload.finish()).toMatch(/^HTTP\/1\.1 201/);
    await server.drain();
  });

  it('are left with their sender while they wait', async () => {
    const server = await openServer();
    for (let i = 0; i < MAX_FORMS; i++) {
      await server.hold('alice', `held-${i}`);
      await server.get('alice');
    }
    const before = server.connections.length;
    const large = new Uint8Array(16 << 20);
    await server.hold('alice', 'large', large);
    for (let i = 0; i < 20; i++) await server.get('alice');
    expect(server.connections[before]?.bytesRead).toBeGreaterThan(0);
    expect(server.connections[before]?.bytesRead).toBeLessThan(large.length / 4);
  });

  it('give their turns away when their clients leave, whether they are read or wait', async () => {
    const server = await openServer();
    const held = [];
    for (let i = 0; i < 2 * MAX_FORMS; i++) {
      held.push(await server.hold('alice', `held-${i}`));
      await server.get('alice');
    }
    const waiting = server.upload('alice', 'patient');
    for (const upload of held.reverse()) upload.leave();
    expect((await waiting).status).toBe(201);
    await server.drain();
  });
});
