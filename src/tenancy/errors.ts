/** Why tenants and keys cannot be read or changed. */
export type TenancyErrorCode =
  /** The store cannot be reached; what was asked may or may not have been done. */
  | 'store_unavailable'
  | 'tenant_not_found'
  | 'key_not_found'
  /** The tenant has keys in the settings, so it cannot be deleted here. */
  | 'tenant_static'
  /** The key is in the settings, so it cannot be revoked here. */
  | 'key_static';

/** An error of tenants and keys. Its message holds names and ids, never a key. */
export class TenancyError extends Error {
  override readonly name = 'TenancyError';

  constructor(
    readonly code: TenancyErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
