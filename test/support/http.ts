import { request, type IncomingHttpHeaders } from 'node:http';
import { text as readAll } from 'node:stream/consumers';

export interface Call {
  readonly method?: string;
  /** Sent as it is, whatever is in it. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: object | string | Uint8Array | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends one request on a connection of its own, with headers that `fetch` would not send, and reads the whole answer. */
export async function send(address: string, { method = 'GET', path, headers = {}, body }: Call): Promise<Answer> {
  const { hostname, port } = new URL(address);
  const isJson = typeof body === 'object' && !(body instanceof Uint8Array);
  const outgoing = request({
    hostname,
    port,
    method,
    path,
    agent: false,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    outgoing.once('error', reject).once('response', (response) => {
      readAll(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        reject,
      );
    });
  });
  outgoing.end(isJson ? JSON.stringify(body) : body);
  return answer;
}

/** A form as a body with its content type; file parts have the given file names. */
export async function encodeForm(
  fields: Readonly<Record<string, string | readonly [content: string | Uint8Array<ArrayBuffer>, fileName: string]>>,
): Promise<{ headers: Record<string, string>; body: Uint8Array }> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, new Blob([value[0]]), value[1]);
  }
  const encoded = new Response(form);
  return {
    headers: { 'content-type': encoded.headers.get('content-type') ?? '' },
    body: new Uint8Array(await encoded.arrayBuffer()),
  };
}
