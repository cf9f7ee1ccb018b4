/**
 * Types of what the API sends and takes. They are those of the server's schemas, which validate requests, write answers and make
 * `/openapi.json`, so they cannot differ from it. Only types are imported: none of the server's code is in the console.
 */
import type { CompletionRequest } from '../../src/completions/request/schema.js';
import type { ChatChunkChoice, ChatRequest } from '../../src/completions/chat/schema.js';
import type { ChunkChoice, Usage } from '../../src/completions/answer/schema.js';
import type { ErrorEnvelope } from '../../src/server/schema/error.js';

export type { CompletionRequest, ChatRequest, ErrorEnvelope };
export type { Me } from '../../src/server/me/schema.js';
export type { Prefix, PrefixDetails, PrefixList, PrefixVersion } from '../../src/server/prefixes/schema.js';
export type { BatchList, BatchObject as Batch, NewBatch } from '../../src/server/batches/schema.js';
export type { EngineState } from '../../src/server/engine/schema.js';
export type { FileObject } from '../../src/server/files/schema.js';
export type { Job, JobEventList, JobEventObject, JobList, NewJob } from '../../src/server/fine-tuning/schema.js';
export type { IssuedKey, Key, KeyList, Tenant, TenantChanges, TenantList } from '../../src/server/admin/schema.js';
export type { ManyResponse } from '../../src/server/completions/many-schema.js';
export type { Model } from '../../src/server/models/schema.js';

/** Log-probabilities of the tokens of one chunk, as they are in JSON. */
export interface ChunkLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
  readonly text_offset: readonly number[];
}

/** One event of `POST /v1/batch/completions` with `stream`: a chunk of one request's answer, or its error. */
export type ManyChunk = { readonly custom_id: string } & (
  | {
      readonly choices: readonly (Omit<ChunkChoice, 'logprobs'> & { readonly logprobs: ChunkLogprobs | null })[];
      readonly usage?: Usage | null;
      readonly error?: never;
    }
  | (ErrorEnvelope & { readonly choices?: never })
);

/** One event of `POST /v1/chat/completions` with `stream`. */
export interface ChatChunk {
  readonly choices: readonly ChatChunkChoice[];
  readonly usage?: Usage | null;
  readonly error?: ErrorEnvelope['error'];
}
