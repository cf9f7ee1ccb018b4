import type { BaseModel } from '../../prefix/kv.js';
import type { PrefixInfo } from '../../prefix/library.js';
import type { Caller } from '../../tenancy/tenancy.js';
import type { Me } from './schema.js';

/** What the server can do, beside its base model's shape. */
export interface Abilities {
  readonly base: BaseModel;
  readonly needsKey: boolean;
  /** Whether the model has a chat template. */
  readonly chat: boolean;
  /** Whether the model has a tokenizer. */
  readonly text: boolean;
  readonly fineTuning: boolean;
}

/**
 * A caller as the API shows it to itself.
 * @param prefixes all of the caller's
 */
export function toMe(caller: Caller, prefixes: readonly PrefixInfo[], abilities: Abilities): Me {
  const { base, needsKey, chat, text, fineTuning } = abilities;
  const { weight, requestsPerMinute, tokensPerMinute, maxPrefixes, maxPrefixBytes, queueShare } = caller.limits;
  return {
    object: 'me',
    tenant: caller.tenant,
    needs_key: needsKey,
    limits: {
      weight,
      requests_per_minute: requestsPerMinute,
      tokens_per_minute: tokensPerMinute,
      max_prefixes: maxPrefixes,
      max_prefix_bytes: maxPrefixBytes,
      queue_share: queueShare,
    },
    use: { prefixes: prefixes.length, prefix_bytes: prefixes.reduce((sum, { bytes }) => sum + bytes, 0) },
    fine_tuning: fineTuning,
    base_model: {
      id: base.id,
      architecture: base.sourceLength === undefined ? 'decoder' : 'encoder_decoder',
      chat,
      text,
      context_length: base.contextLength,
      source_length: base.sourceLength ?? null,
    },
  };
}
