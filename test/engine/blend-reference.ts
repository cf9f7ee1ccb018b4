import type { BlendEntry, BlendRequest } from '../../src/engine/request.js';
import { uniform } from '../../src/engine/sampling/random.js';
import { partsOf } from '../../src/prefix/kv.js';
import { FakeRunner, type FakeRunnerOptions } from './fake-runner.js';

type Request = Pick<BlendRequest, 'entries' | 'source' | 'prompt'>;

/** One entry alone on a fake runner of its own, a token a step. */
class Solo {
  readonly #runner: FakeRunner;
  #tokens = 0;
  #past = 0;
  #shift = 0;

  constructor(
    fake: FakeRunnerOptions,
    private readonly entry: BlendEntry,
    private readonly request: Request,
  ) {
    this.#runner = new FakeRunner({ ...fake, slots: 1 });
  }

  /** Computes the next token, and returns its natural log-probabilities. */
  async next(token: number): Promise<number[]> {
    const { prefix } = this.entry;
    const { source, prompt } = this.request;
    if (source && this.#tokens === 0) {
      const encoding = this.#runner.sources?.begin(0, source, prefix?.kv);
      while (!(await encoding?.advance(5)));
    }
    if (prefix && this.#tokens === (prefix.placement === 'infix' ? prompt.length - 1 : 0)) {
      for (const part of partsOf(prefix.kv)) {
        await this.#runner.append(0, this.#past, part);
        this.#past += part.length;
        this.#shift += part.shift;
      }
    }
    const position = this.#shift + this.#tokens++;
    const span = { slot: 0, tokens: [token], past: this.#past++, position, logits: 'last', temperature: 1 } as const;
    const rows = [{ ...span, ...(source && { source: 0 }) }];
    return logSoftmax([...(await this.#runner.step({ rows, topK: 1 })).logits(0)]);
  }
}

function logSoftmax(logits: readonly number[]): number[] {
  const lse = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - lse);
}

/** What a blend is by its definition: the normalised weighted sums of what its entries have alone. */
class BlendReference {
  readonly #solos: readonly Solo[];

  constructor(
    private readonly request: Request,
    fake: FakeRunnerOptions = {},
  ) {
    this.#solos = request.entries.map((entry) => new Solo(fake, entry, request));
  }

  /** Goes on with a token, and returns the natural log-probabilities behind it. */
  async next(token: number): Promise<number[]> {
    const all = await Promise.all(this.#solos.map((solo) => solo.next(token)));
    const { entries } = this.request;
    return logSoftmax(all[0]!.map((_, id) => entries.reduce((sum, { weight }, i) => sum + weight * all[i]![id]!, 0)));
  }
}

/** Token ids, the likeliest first; equal ones by id. */
export function ranked(logprobs: readonly number[]): number[] {
  return [...logprobs.keys()].sort((a, b) => {
    const difference = logprobs[b]! - logprobs[a]!;
    return Math.abs(difference) < 1e-9 ? a - b : difference;
  });
}

/** The token at `u` of a distribution, walked over the 64 best, then by id; at temperature 0 the best one. */
function draw(logprobs: readonly number[], temperature: number, u: number): number {
  const ids = ranked(logprobs);
  if (temperature === 0) return ids[0]!;
  const scaled = logSoftmax(logprobs.map((logprob) => logprob / temperature));
  const walk = [...ids.slice(0, 64), ...ids.slice(64).sort((a, b) => a - b)];
  let cumulative = 0;
  return walk.find((id) => u < (cumulative += Math.exp(scaled[id]!))) ?? ids[0]!;
}

/** The tokens of a request, and all log-probabilities behind each token of the prompt and behind those: plain arithmetic over solo runs. */
export async function blendAlone(
  request: BlendRequest,
  fake?: FakeRunnerOptions,
): Promise<{ ids: number[]; logprobs: number[][] }> {
  const { sampling, choice, prompt, maxTokens } = request;
  const reference = new BlendReference(request, fake);
  const logprobs: number[][] = [];
  for (const token of prompt) logprobs.push(await reference.next(token));
  const ids: number[] = [];
  while (ids.length < maxTokens) {
    const u = uniform(sampling.seed ?? 0, choice, ids.length);
    const id = draw(logprobs.at(-1)!, sampling.temperature, u);
    ids.push(id);
    logprobs.push(await reference.next(id));
  }
  return { ids, logprobs };
}
