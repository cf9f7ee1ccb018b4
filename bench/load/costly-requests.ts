/** A kind of request that costs the server much, answered or refused. */
export interface CostlyKind {
  readonly name: string;
  /** Makes the worst of the kind. Its body may be large. */
  readonly make: () => CostlyRequest;
}

/** A request as it is posted. */
export interface CostlyRequest {
  readonly path: string;
  readonly type: string;
  readonly body: string | Buffer;
}

/** Most values, and most strings, that a JSON body may have. */
const [VALUES, STRINGS] = [524_000, 65_000];
const BOUNDARY = 'boundary-of-the-form';

/** Every kind, for a model with GPT-2's vocabulary and context. */
export function costlyKinds(model: string): readonly CostlyKind[] {
  const json = (name: string, path: string, body: object | string): CostlyKind => ({
    name,
    make: () => ({ path, type: 'application/json', body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const complete = (name: string, fields: object) =>
    json(name, '/v1/completions', { model, ignore_eos: true, max_tokens: 20, ...fields });
  const many = (name: string, count: number, fields: object) => {
    const requests = Array.from({ length: count }, (_, i) => ({ custom_id: String(i), body: { model, ...fields } }));
    return json(name, '/v1/batch/completions', { requests });
  };
  return [
    complete('128 choices with echo and 20 log-probabilities', { prompt: ids(400), n: 128, echo: true, logprobs: 20 }),
    complete('the same, streamed', { prompt: ids(400), n: 128, echo: true, logprobs: 20, stream: true }),
    complete('128 choices with 20 log-probabilities', { prompt: ids(10), n: 128, logprobs: 20 }),
    complete('64 prompts with echo and 20 log-probabilities', {
      prompt: Array.from({ length: 64 }, (_, i) => ids(500, i)),
      echo: true,
      logprobs: 20,
      max_tokens: 0,
    }),
    complete('256 prompts of 900 ids with echo', {
      prompt: Array.from({ length: 256 }, (_, i) => ids(900, i)),
      echo: true,
      return_token_ids: true,
      max_tokens: 0,
    }),
    complete('32 beams with 20 log-probabilities', {
      prompt: ids(10),
      n: 32,
      use_beam_search: true,
      logprobs: 20,
      max_tokens: 50,
    }),
    many('a call of 4 with 128 choices, echo and 20 log-probabilities', 4, {
      prompt: ids(400),
      n: 128,
      echo: true,
      logprobs: 20,
      max_tokens: 1,
    }),
    many('a call of 256 with 128 choices, mostly refused', 256, { prompt: ids(1), n: 128, max_tokens: 1 }),
    many('a call of 256 with 1100 stop ids each, refused', 256, { prompt: ids(1), stop_token_ids: ids(1100) }),
    complete('32 choices with a repetition penalty', { prompt: ids(400), n: 32, repetition_penalty: 1.3 }),
    complete('32 choices with a bias for every token', {
      prompt: ids(10),
      n: 32,
      logit_bias: Object.fromEntries(Array.from({ length: 50_000 }, (_, id) => [id, 1])),
    }),
    complete('32 choices of a nearly whole distribution', { prompt: ids(10), n: 32, temperature: 2, top_p: 0.9999 }),
    complete('128 choices with 4 stop strings of a megabyte', {
      prompt: ids(10),
      n: 128,
      stop: Array(4).fill('a'.repeat(1_000_000)),
    }),
    complete('2 million ids', { prompt: Array(2_000_000).fill(1) }),
    complete('524,000 ids', { prompt: Array(VALUES).fill(1) }),
    complete('524,000 ids and a text', { prompt: [...Array<number>(VALUES).fill(1), 'a'] }),
    complete('524,000 ids in a prompt, and a text in another', { prompt: [Array(VALUES - 1).fill(1), ['a']] }),
    complete('524,000 stop ids', { prompt: 'a', stop_token_ids: Array(VALUES).fill(1) }),
    complete('1.3 million empty texts', { prompt: Array(1_300_000).fill('') }),
    complete('65,000 texts', { prompt: Array.from({ length: STRINGS }, (_, i) => `${i}`) }),
    complete('65,000 prompts of ids', { prompt: Array(STRINGS).fill([1, 2, 3]) }),
    complete('a text of 4 MB', { prompt: 'a'.repeat(4_000_000) }),
    complete('16,000 unknown fields', Object.fromEntries(Array.from({ length: 16_000 }, (_, i) => [`field${i}`, i]))),
    complete('a bias that is no number, behind 60,000', {
      prompt: 'a',
      logit_bias: Object.fromEntries(Array.from({ length: 60_000 }, (_, id) => [id, id < 59_999 ? 1 : 'x'])),
    }),
    json(
      'a key named constructor beside 524,000 ids',
      '/v1/completions',
      `{"a":{"b":{"constructor":1}},"prompt":[${'1,'.repeat(VALUES)}1]}`,
    ),
    json('a prefix whose text is 524,000 ids', '/v1/prefixes', { name: 'x', text: Array(VALUES).fill(1) }),
    form('a form with a prefix of 120 MB', '/v1/prefixes', 'adapter_model', Buffer.alloc(120_000_000, 1)),
    form(
      'a form with training data of 32 MB',
      '/v1/files',
      'file',
      Buffer.alloc(32_000_000, '{"prompt":"a","completion":"b"}\n'),
    ),
  ];
}

/** A form of one file. */
function form(name: string, path: string, field: string, content: Buffer): CostlyKind {
  const make = (): CostlyRequest => {
    const head = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${field}"; filename="f"\r\n\r\n`;
    const body = Buffer.concat([Buffer.from(head), content, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
    return { path, type: `multipart/form-data; boundary=${BOUNDARY}`, body };
  };
  return { name, make };
}

/** Token ids that differ from prompt to prompt. */
function ids(count: number, prompt = 0): number[] {
  return Array.from({ length: count }, (_, i) => 1000 + ((i * 7919 + prompt * 104_729) % 40_000));
}
