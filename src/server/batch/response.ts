import type { FastifyRequest } from 'fastify';

import { collectCompletion, streamCompletion, type Send } from '../completions/response.js';
import { toApiError, type ApiError } from '../errors.js';
import { logError } from '../http/plugins/error-handler.js';
import type { BatchResponse, BatchResult } from './schema.js';
import type { Usage } from '../completions/schema.js';
import type { BatchItem } from './batch.js';

/** Reads every item to its end; an item that fails has its error where its answer would be. */
export async function collectBatch(items: readonly BatchItem[], request: FastifyRequest): Promise<BatchResponse> {
  return { object: 'list', data: await Promise.all(items.map((item) => collectItem(item, request))) };
}

/** Sends each item's chunks as they come, every one with its `custom_id`; an item that fails ends with its error. */
export async function streamBatch(items: readonly BatchItem[], send: Send, request: FastifyRequest): Promise<void> {
  await Promise.all(items.map((item) => streamItem(item, send, request)));
}

/** The tokens of all items so far. */
export function batchUsage(items: readonly BatchItem[]): Usage {
  const usages = items.flatMap(({ completion }) => completion?.usage() ?? []);
  const sum = (count: (usage: Usage) => number): number => usages.reduce((total, usage) => total + count(usage), 0);
  return {
    prompt_tokens: sum((usage) => usage.prompt_tokens),
    completion_tokens: sum((usage) => usage.completion_tokens),
    total_tokens: sum((usage) => usage.total_tokens),
    prompt_tokens_details: {
      prefix_tokens: sum((usage) => usage.prompt_tokens_details.prefix_tokens),
      cached_tokens: sum((usage) => usage.prompt_tokens_details.cached_tokens),
    },
  };
}

async function collectItem({ customId, completion, error }: BatchItem, request: FastifyRequest): Promise<BatchResult> {
  try {
    if (error) throw error;
    return toResult(customId, 200, await collectCompletion(completion));
  } catch (thrown) {
    const failure = report(thrown, request);
    return toResult(customId, failure.status, failure.toEnvelope());
  }
}

async function streamItem(
  { customId, completion, error }: BatchItem,
  send: Send,
  request: FastifyRequest,
): Promise<void> {
  const sendItem: Send = (data) => send({ custom_id: customId, ...data });
  try {
    if (error) throw error;
    await streamCompletion(completion, sendItem);
  } catch (thrown) {
    await sendItem(report(thrown, request).toEnvelope());
  }
}

function report(thrown: unknown, request: FastifyRequest): ApiError {
  const error = toApiError(thrown);
  logError(error, request);
  return error;
}

function toResult(customId: string, status: number, body: BatchResult['response']['body']): BatchResult {
  return { custom_id: customId, response: { status_code: status, body }, error: null };
}
