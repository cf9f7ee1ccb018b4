/** What is kept in a store. */
export type StoreName = 'prefixes' | 'files' | 'jobs' | 'tenants' | 'keys';

/** The codes that tell a client of a store's trouble. */
export type StoreErrorCode = 'store_unavailable' | 'store_full' | 'store_read_only' | 'store_redirected';

interface Reason {
  readonly code: StoreErrorCode;
  /** Follows the name of the store. */
  readonly problem: string;
}

const REASONS = {
  /** The store cannot be reached, or did not answer. What was asked may or may not have been done. */
  unavailable: { code: 'store_unavailable', problem: 'is away.' },
  /** An upload expired before it was whole, or others changed the same thing again and again. */
  too_slow: { code: 'store_unavailable', problem: 'took too long.' },
  /** The credentials are not taken. */
  refused: { code: 'store_unavailable', problem: 'refuses the credentials in PREAMBLE_STORE.' },
  full: { code: 'store_full', problem: 'is full. Nothing was stored.' },
  /** A replica of the store takes no writes. */
  read_only: { code: 'store_read_only', problem: 'takes no writes at present. Nothing was stored.' },
  /** A node of a cluster, which has a part of the keys and names another node for the rest. */
  redirected: {
    code: 'store_redirected',
    problem: 'cannot be used: PREAMBLE_STORE must name a single Redis, or a proxy that looks like one.',
  },
} as const satisfies Record<string, Reason>;

/** Why a store does not do what it is asked. */
export type StoreErrorReason = keyof typeof REASONS;

/** A store that cannot do what it is asked, through no fault of who asks. The message names the store and the reason, and nothing of a tenant. */
export class StoreError extends Error {
  override readonly name = 'StoreError';

  constructor(
    readonly store: StoreName,
    readonly reason: StoreErrorReason,
    options?: ErrorOptions,
  ) {
    const { code, problem } = REASONS[reason];
    const isServed = store === 'prefixes' && code === 'store_unavailable';
    super(`The store of ${store} ${problem}${isServed ? ' Prefixes in memory are served.' : ''}`, options);
  }

  get code(): StoreErrorCode {
    return REASONS[this.reason].code;
  }
}
