import autocannon, { type Client } from 'autocannon';

/** One streamed completion. */
export interface StreamRequest {
  readonly body: object;
  /** Number of tokens that the stream must have. */
  readonly tokens: number;
}

/** Longest time of a stream, in seconds. */
const TIMEOUT = 600;

/**
 * Sends all requests at once, each on a connection of its own. Returns when the tokens of each request arrived, in
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

/** Sends a request and returns the list of its tokens' times, which grows as they arrive. */
function follow(client: Client, { body }: StreamRequest): number[] {
  client.setBody(JSON.stringify(body));
  const times: number[] = [];
  const read = eventReader((data) => {
    const now = performance.now();
    for (let count = countTokens(data); count > 0; count--) times.push(now);
  });
  let last: Buffer | undefined;
  client.on('body', (buffer: Buffer) => {
    // Autocannon emits the same buffer of the socket once for each HTTP chunk in it.
    if (buffer !== last) read(buffer.toString('utf8'));
    last = buffer;
  });
  return times;
}

/** Reader of a stream's pieces that calls `onData` for each event. Lines of HTTP's chunk framing are skipped. */
export function eventReader(onData: (data: string) => void): (piece: string) => void {
  let rest = '';
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: {')) onData(line.slice('data: '.length));
  };
}

/** Number of tokens in one event of a completion's stream, which was requested with `return_token_ids`. */
function countTokens(data: string): number {
  const { choices = [], error } = JSON.parse(data) as { choices?: { token_ids?: number[] }[]; error?: unknown };
  if (error !== undefined) throw new Error(data);
  return choices.reduce((sum, { token_ids: ids = [] }) => sum + ids.length, 0);
}
