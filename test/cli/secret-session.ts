import { request } from 'node:http';

import { send, type Answer, type Call } from '../support/http.js';

/** Of the two tenants. */
export const keys = { alice: 'xyzzyalicekey', bob: 'xyzzybobkey' };
/** In every request: headers that carry secrets in real life. */
const secretHeaders = {
  cookie: 'session=xyzzycookie',
  'x-forwarded-for': 'xyzzyaddress',
  'user-agent': 'xyzzyagent/1.0',
  referer: 'http://localhost/?token=xyzzyreferer',
  'x-xyzzyheader': 'xyzzyvalue',
  'proxy-authorization': 'Basic xyzzyproxy',
};
/** Has a secret in every field that is text. */
export const completion = {
  model: 'preamble-demo',
  prompt: 'The xyzzyprompt',
  stop: ['xyzzystop'],
  user: 'xyzzyuser',
  max_tokens: 8,
  ignore_eos: true,
};

/** Sends what it is given as one tenant, and remembers what the log must say of it. */
export class Session {
  readonly requests: { readonly id: string; readonly status: number; readonly tenant: string }[] = [];

  constructor(readonly url: string) {}

  async call(tenant: 'alice' | 'bob' | '', given: Call): Promise<Answer> {
    const authorization = tenant ? { authorization: `Bearer ${keys[tenant]}` } : {};
    const answer = await send(this.url, {
      ...given,
      headers: { ...secretHeaders, ...authorization, ...given.headers },
    });
    this.requests.push({ id: String(answer.headers['x-request-id']), status: answer.status, tenant });
    return answer;
  }

  post(path: string, body: Call['body'], headers: Record<string, string> = {}): Promise<Answer> {
    return this.call('alice', { method: 'POST', path, body, headers });
  }

  complete(changes: object = {}): Promise<Answer> {
    return this.post('/v1/completions', { ...completion, ...changes });
  }

  /** Reads one event of a stream and hangs up. */
  async leave(): Promise<void> {
    const headers = { ...secretHeaders, authorization: `Bearer ${keys.bob}`, 'content-type': 'application/json' };
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(`${this.url}/v1/completions`, { method: 'POST', headers, agent: false }, (response) => {
        this.requests.push({ id: String(response.headers['x-request-id']), status: 200, tenant: 'bob' });
        response
          .once('data', () => response.destroy())
          .once('close', resolve)
          .on('error', () => undefined);
      });
      outgoing.once('error', reject);
      outgoing.end(JSON.stringify({ ...completion, stream: true, max_tokens: 400, n: 2 }));
    });
  }
}
