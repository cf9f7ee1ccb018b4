import type { Caller } from '../../tenancy/tenancy.js';
import { type ChatTemplate, ChatTemplateError } from '../../tokenizer/chat-template.js';
import { TemplateLimitError, type TemplateSandbox } from '../../tokenizer/template-sandbox.js';
import { type Completion, type CompletionDeps, type ReservedRequest, startPrepared } from '../completion.js';
import type { RequestContext } from '../context.js';
import { CompletionError, invalidValue } from '../errors.js';
import { loadModel, type RequestModel, sharedRoom } from '../plan/model.js';
import { encodePrompts } from '../plan/prompts.js';
import { readParams } from '../request/params.js';
import { type ChatParams, readChat } from './request.js';

/** The parts of the program that chat completions are made with. */
export interface ChatDeps extends CompletionDeps {
  /** The model's; undefined: it has none, and conversations are refused unless a prefix has one. */
  readonly chatTemplate?: ChatTemplate | undefined;
  /** Renders with the templates of prefixes. */
  readonly templates: Pick<TemplateSandbox, 'render'>;
}

/**
 * Starts the completion of a conversation, as `startCompletion` that of a prompt: the prompt is what the model's template makes of the messages.
 * @throws CompletionError or EngineError; then nothing of the request is left in the engine
 */
export async function startChat(
  deps: ChatDeps,
  caller: Caller,
  { body, reservation }: ReservedRequest,
  context: RequestContext,
): Promise<Completion> {
  try {
    const chat = await readChat(body);
    await context.mayWrite(chat.messages.length);
    const { maxChoices, base, generation, tokenizer } = deps;
    const limits = { base: base.id, maxChoices, vocabularySize: base.vocabularySize, generation };
    const most = chat.maxTokens ?? base.contextLength;
    const params = readParams({ ...chat.completion, prompt: TO_COME, max_tokens: most }, limits);
    const model = await loadModel(deps, caller.tenant, params, context.trace);
    const prompt = await renderPrompt(deps, caller.tenant, templateOf(model), chat);
    const room = sharedRoom(base, model, generation);
    // The template wrote the special tokens that it wants.
    const tokenization = { ...params.tokenization, addsSpecialTokens: params.tokenization.addsSpecialTokens ?? false };
    const least = {
      ...params,
      prompts: [prompt],
      tokenization,
      maxTokens: chat.maxTokens ?? Math.max(1, params.minTokens),
    };
    const prompts = await encodePrompts(least, tokenizer, room, context.yield).catch(blameMessages);
    const [ids = []] = prompts;
    const maxTokens = chat.maxTokens ?? room.contextLength - room.virtualTokens - ids.length;
    return await startPrepared(
      deps,
      caller,
      { params: { ...params, prompts, maxTokens }, model, reservation },
      context,
    );
  } catch (error) {
    reservation.refuse(error);
    throw error;
  }
}

/** Where the prompt is not rendered yet. */
const TO_COME = ' ';

/** The chat template of a request's prefixes, if any of them has one. Several that differ would each want another prompt. */
function templateOf({ templates = [] }: RequestModel): string | undefined {
  if (templates.length > 1) {
    throw invalidValue(
      'model',
      `The prefixes of this request have ${templates.length} different chat templates: one at most is possible.`,
    );
  }
  return templates[0];
}

/** @param own the template of the prefix, if it has one */
async function renderPrompt(
  { chatTemplate, generation, base, templates }: ChatDeps,
  tenant: string,
  own: string | undefined,
  { messages, opensAnswer }: ChatParams,
): Promise<string> {
  if ((chatTemplate ?? own) === undefined || generation !== undefined) {
    const message = `The model '${base.id}' has no chat template: send its prompt to /v1/completions.`;
    throw new CompletionError('chat_unsupported', message, { param: 'model' });
  }
  try {
    if (own !== undefined) return await templates.render(own, tenant, messages, opensAnswer);
    return (chatTemplate as ChatTemplate).render(messages, opensAnswer);
  } catch (error) {
    const whose = own === undefined ? 'model' : 'prefix';
    const options = { cause: error };
    if (error instanceof TemplateLimitError)
      throw invalidValue('model', `The chat template of the prefix ${error.message}.`, options);
    if (!(error instanceof ChatTemplateError)) throw error;
    throw invalidValue('messages', `The ${whose}'s chat template refuses these messages: ${error.message}`, options);
  }
}

/** Rethrows a refusal of the prompt as one of the messages that it was made of. */
function blameMessages(error: unknown): never {
  if (!(error instanceof CompletionError) || error.param !== 'prompt') throw error;
  throw new CompletionError(error.code, error.message, { param: 'messages', cause: error });
}
