import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

import { KeyedLock } from '../lib/keyed-lock.js';
import { type ChatMessage, ChatTemplateError, templateItems } from './chat-template.js';

/** A template that did not end in time, wrote or needed too much, or is no Jinja. The message says which, without the template's text. */
export class TemplateLimitError extends Error {
  override readonly name = 'TemplateLimitError';
}

export interface SandboxOptions {
  /** How long one render may take; 2 seconds unless given, a thousand times what known templates need. */
  readonly timeoutMs?: number;
  /** Most characters of a render; 4,194,304 unless given, as many as a body may have bytes. */
  readonly maxCharacters?: number;
}

/** What the worker is asked. */
interface Job {
  readonly template: string;
  readonly items: Readonly<Record<string, unknown>>;
  readonly maxCharacters: number;
}

/** What it answers: the text, or why there is none. */
type Answer = { readonly text: string } | { readonly refusal: string } | { readonly problem: string };

/** Templates that are refused at once, because they broke a limit before. */
const MAX_KNOWN = 1024;
/** Memory of the worker: many times a template's own, and small for the machine. */
const RESOURCES = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 };

/** The worker's program. It gets texts and plain data, and has no environment, arguments or handles. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { Template } = require(workerData);
const messageOf = (error) => String(error instanceof Error ? error.message : error).slice(0, 1000);
parentPort.on('message', ({ template, items, maxCharacters }) => {
  let parsed;
  try {
    parsed = new Template(template);
  } catch (error) {
    return parentPort.postMessage({ problem: 'cannot be read: ' + messageOf(error) });
  }
  try {
    const text = parsed.render(items);
    const isShort = text.length <= maxCharacters;
    parentPort.postMessage(isShort ? { text } : { problem: 'writes more than ' + maxCharacters + ' characters' });
  } catch (error) {
    parentPort.postMessage({ refusal: messageOf(error) });
  }
});
parentPort.postMessage('ready');
`;

/**
 * Renders chat templates that tenants uploaded: in a thread of its own, which is ended when a template takes too long or needs too much
 * memory, while others are served. A tenant has one render at a time; a template that broke a limit is not tried again for its tenant.
 */
export class TemplateSandbox {
  readonly #lock = new KeyedLock();
  readonly #timeoutMs: number;
  readonly #maxCharacters: number;
  /** By the tenant and the hash of its template: what was wrong with it. Another tenant's conversations say nothing of one's own. */
  readonly #known = new Map<string, string>();
  #worker: Promise<Worker> | undefined;

  /** @param specialTokens what the model's templates may use, such as `bos_token` */
  constructor(
    private readonly specialTokens: Readonly<Record<string, string>>,
    { timeoutMs = 2000, maxCharacters = 2 ** 22 }: SandboxOptions = {},
  ) {
    this.#timeoutMs = timeoutMs;
    this.#maxCharacters = maxCharacters;
  }

  /**
   * The text of a conversation, as `ChatTemplate.render`.
   * @throws ChatTemplateError for a conversation that the template does not take, TemplateLimitError for the template's own fault
   */
  async render(
    template: string,
    tenant: string,
    messages: readonly ChatMessage[],
    opensAnswer: boolean,
  ): Promise<string> {
    const answer = await this.#ask(template, tenant, messages, opensAnswer);
    if ('text' in answer) return answer.text;
    if ('refusal' in answer) throw new ChatTemplateError(answer.refusal);
    throw new TemplateLimitError(answer.problem);
  }

  /** What is wrong with a template, whatever the conversation is; undefined: nothing that shows in one of a single message. */
  async problemOf(template: string, tenant: string): Promise<string | undefined> {
    const answer = await this.#ask(template, tenant, [{ role: 'user', content: 'Hello' }], true);
    return 'problem' in answer ? answer.problem : undefined;
  }

  /** Ends the thread. It starts again if it is needed. */
  async dispose(): Promise<void> {
    const worker = await this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #ask(
    template: string,
    tenant: string,
    messages: readonly ChatMessage[],
    opensAnswer: boolean,
  ): Promise<Answer> {
    const key = `${createHash('sha256').update(template).digest('hex')} ${tenant}`;
    const items = templateItems(this.specialTokens, messages, opensAnswer);
    // Of each tenant one waits for the thread, in the order of arrival.
    return this.#lock.run(`tenant ${tenant}`, () =>
      this.#lock.run('thread', async () => {
        const problem = this.#known.get(key);
        if (problem !== undefined) return { problem };
        const answer = await this.#run({ template, items, maxCharacters: this.#maxCharacters });
        if ('problem' in answer) this.#remember(key, answer.problem);
        return answer;
      }),
    );
  }

  async #run(job: Job): Promise<Answer> {
    const worker = await (this.#worker ??= this.#start());
    const ended = new AbortController();
    const timer = setTimeout(() => ended.abort(), this.#timeoutMs);
    try {
      worker.postMessage(job);
      const [answer] = (await once(worker, 'message', { signal: ended.signal })) as [Answer];
      return answer;
    } catch {
      this.#worker = undefined;
      await worker.terminate();
      const isLate = ended.signal.aborted;
      return {
        problem: isLate ? `takes longer than ${this.#timeoutMs} ms` : 'needs more memory than a template may have',
      };
    } finally {
      clearTimeout(timer);
    }
  }

  async #start(): Promise<Worker> {
    try {
      return await start();
    } catch (error) {
      this.#worker = undefined; // the next render tries again
      throw error;
    }
  }

  #remember(key: string, problem: string): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, problem);
  }
}

/** Starts the thread, which keeps no process alive. What it throws ends it, and is an error of the render in flight. */
async function start(): Promise<Worker> {
  const worker = new Worker(PROGRAM, {
    eval: true,
    workerData: createRequire(import.meta.url).resolve('@huggingface/jinja'),
    resourceLimits: RESOURCES,
    env: {},
    argv: [],
    execArgv: [],
    stdin: false,
  });
  worker.on('error', () => undefined); // `once` rejects with it
  worker.unref();
  await once(worker, 'message'); // it is ready
  return worker;
}
