/** Kinds of things that are stored, each with a store of its own. */
export type StoreName = 'prefixes' | 'files' | 'jobs' | 'tenants' | 'keys';

/** Codes of store errors for clients. */
export type StoreErrorCode = 'store_unavailable' | 'store_full' | 'store_read_only' | 'store_redirected';

interface Reason {
  readonly code: StoreErrorCode;
  /** Rest of the message, after the store's name. */
  readonly problem: string;
}

const REASONS = {
  /** The store cannot be reached, or did not answer. The operation may or may not have been carried out. */
  unavailable: { code: 'store_unavailable', problem: 'is away.' },
  /** The store is there, and fails to read or to write. */
  failing: { code: 'store_unavailable', problem: 'fails at present.' },
  /** An upload expired before it was complete, or others kept changing the same thing. */
  too_slow: { code: 'store_unavailable', problem: 'took too long.' },
  /** The store refuses the credentials. */
  refused: { code: 'store_unavailable', problem: 'refuses the credentials in PREAMBLE_STORE.' },
  /** The store does not let its user do what is needed. */
  forbidden: { code: 'store_unavailable', problem: 'refuses a command: the user in PREAMBLE_STORE lacks rights.' },
  full: { code: 'store_full', problem: 'is full. Nothing was stored.' },
  /** The store is a read-only replica, or refuses writes for another reason. */
  read_only: { code: 'store_read_only', problem: 'takes no writes at present. Nothing was stored.' },
  /** The store is one node of a cluster, which has only a part of the keys. */
  redirected: {
    code: 'store_redirected',
    problem: 'cannot be used: PREAMBLE_STORE must name a single Redis, or a proxy that looks like one.',
  },
} as const satisfies Record<string, Reason>;

/** Why a store fails. */
export type StoreErrorReason = keyof typeof REASONS;

export interface StoreErrorOptions extends ErrorOptions {
  /** A sentence about what holds all the same, for the end of the message. */
  readonly besides?: string;
}

/** A store failed, through no fault of the caller. The message names the store and the reason, and nothing of a tenant. */
export class StoreError extends Error {
  override readonly name = 'StoreError';

  constructor(
    readonly store: StoreName,
    readonly reason: StoreErrorReason,
    { besides, ...options }: StoreErrorOptions = {},
  ) {
    const { code, problem } = REASONS[reason];
    const isServed = store === 'prefixes' && code === 'store_unavailable';
    const served = isServed ? 'Prefixes in memory are served.' : undefined;
    const sentences = [`The store of ${store} ${problem}`, served, besides];
    super(sentences.filter((sentence) => sentence !== undefined).join(' '), options);
  }

  get code(): StoreErrorCode {
    return REASONS[this.reason].code;
  }
}
