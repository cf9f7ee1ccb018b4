import autocannon, { type Client } from 'autocannon';

/** One streamed completion. */
export interface StreamRequest {
  readonly body: object;
  /** Tokens that it must bring. */
  readonly tokens: number;
}

/** Seconds that a stream may take. */
const TIMEOUT = 600;

/**
 * Sends every request at once, each on a connection of its own, and notes when its tokens arrive: for each request the
 * milliseconds of `performance.now()`.
 * @throws Error for an answer that is not 200, and for one with more or fewer tokens
 */
export async function streamTogether(url: string, requests: readonly StreamRequest[]): Promise<number[][]> {
  const arrivals: number[][] = [];
  const result = await autocannon({
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    connections: requests.length,
    amount: requests.length,
    timeout: TIMEOUT,
    setupClient: (client) => arrivals.push(follow(client, requests[arrivals.length] as StreamRequest)),
  });
  if (result.errors + result.timeouts + result.non2xx > 0) {
    throw new Error(`${result.errors} errors, ${result.timeouts} timeouts, ${result.non2xx} answers that are not 200`);
  }
  requests.forEach(({ tokens }, index) => {
    const count = arrivals[index]?.length;
    if (count !== tokens) throw new Error(`${count} tokens arrived, not ${tokens}`);
  });
  return arrivals;
}

/** Sends a request and returns the times of its tokens, which grow as they arrive. */
function follow(client: Client, { body }: StreamRequest): number[] {
  client.setBody(JSON.stringify(body));
  const times: number[] = [];
  const read = eventReader((data) => {
    const now = performance.now();
    for (let count = countTokens(data); count > 0; count--) times.push(now);
  });
  let last: Buffer | undefined;
  client.on('body', (buffer: Buffer) => {
    // Autocannon hands over what the socket gave, once for each chunk of HTTP in it.
    if (buffer !== last) read(buffer.toString('utf8'));
    last = buffer;
  });
  return times;
}

/** Takes pieces of a stream, chunk framing and all, and calls `onData` for each event: framing has lines of its own. */
export function eventReader(onData: (data: string) => void): (piece: string) => void {
  let rest = '';
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: {')) onData(line.slice('data: '.length));
  };
}

/** Tokens of one event of a completion's stream that was asked for with `return_token_ids`. */
function countTokens(data: string): number {
  const { choices = [], error } = JSON.parse(data) as { choices?: { token_ids?: number[] }[]; error?: unknown };
  if (error !== undefined) throw new Error(data);
  return choices.reduce((sum, { token_ids: ids = [] }) => sum + ids.length, 0);
}
