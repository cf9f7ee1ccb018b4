import type { ChatMessage } from '../../tokenizer/chat-template.js';
import { CompletionError, invalidValue } from '../errors.js';
import { makeBodyCheck } from '../request/body-check.js';
import { CompletionRequest } from '../request/schema.js';
import { refuseContradictory } from '../request/validate.js';
import { ChatRequest } from './schema.js';

/** A conversation to complete. */
export interface ChatParams {
  readonly messages: readonly ChatMessage[];
  /** Whether the prompt ends where the assistant's message begins. */
  readonly opensAnswer: boolean;
  /** Undefined: as many as there is room for. */
  readonly maxTokens: number | undefined;
  /** Everything else, as a completion has it; its prompt is to come. */
  readonly completion: Omit<CompletionRequest, 'prompt'>;
}

let loading: Promise<(body: unknown) => ChatRequest> | undefined;

/**
 * Reads the body of a chat completion.
 * @throws CompletionError that names the field at fault
 */
export async function readChat(body: unknown): Promise<ChatParams> {
  const check = await (loading ??= makeBodyCheck(ChatRequest));
  const request = check(body);
  const { messages, add_generation_prompt: opens, max_tokens: limit, max_completion_tokens: other } = request;
  const completion = toCompletion(request);
  refuseContradictory({ ...completion, prompt: '' });
  return {
    messages: messages.map(toMessage),
    opensAnswer: opens ?? true,
    maxTokens: other ?? limit ?? undefined,
    completion,
  };
}

function toMessage({ role, content, name }: ChatRequest['messages'][number]): ChatMessage {
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('\n');
  return { role, content: text, ...((name ?? undefined) !== undefined && { name: name as string }) };
}

/** Fields that mean the same in both. */
const SHARED = new Set(Object.keys(CompletionRequest.properties).filter((name) => name !== 'logprobs'));

function toCompletion(request: ChatRequest): ChatParams['completion'] {
  refuseUnsupported(request);
  const { logprobs, top_logprobs: top, skip_special_tokens: skips } = request;
  if ((top ?? undefined) !== undefined && !logprobs) {
    throw invalidValue('top_logprobs', `'top_logprobs' needs 'logprobs' to be true.`);
  }
  const shared = Object.fromEntries(Object.entries(request).filter(([name]) => SHARED.has(name)));
  return {
    ...(shared as ChatParams['completion']),
    skip_special_tokens: skips ?? true,
    ...(logprobs && { logprobs: top ?? 0 }),
  };
}

function refuseUnsupported({ tools, functions, ...request }: ChatRequest): void {
  refuseTools({ tools, functions });
  refuseUnless('tool_choice', request.tool_choice, ['none', 'auto']);
  refuseUnless('function_call', request.function_call, ['none', 'auto']);
  refuseUnless('response_format.type', request.response_format?.type, ['text']);
  for (const modality of request.modalities ?? []) refuseUnless('modalities', modality, ['text']);
}

function refuseTools(fields: Readonly<Record<string, unknown[] | null | undefined>>): void {
  for (const [param, value] of Object.entries(fields)) {
    if ((value ?? []).length === 0) continue;
    const message = `'${param}' is not supported: the models here call no tools; leave it out.`;
    throw new CompletionError('unsupported_parameter', message, { param });
  }
}

function refuseUnless(param: string, value: string | null | undefined, supported: readonly string[]): void {
  if ((value ?? undefined) === undefined || supported.includes(value as string)) return;
  const message = `'${param}' must be ${supported.map((one) => `'${one}'`).join(' or ')}: others are not supported.`;
  throw new CompletionError('unsupported_parameter', message, { param });
}
