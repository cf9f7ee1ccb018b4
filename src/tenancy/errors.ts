/** Reasons why a tenant or key is not found or cannot be removed. */
export type TenancyErrorCode =
  | 'tenant_not_found'
  | 'key_not_found'
  /** The tenant has keys in the settings, so it cannot be deleted here. */
  | 'tenant_static'
  /** The key is in the settings, so it cannot be revoked here. */
  | 'key_static';

/** A tenant or key that is not there or cannot be removed. The message holds names and ids, never a key. */
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
