import { ConfigError } from '../../config/error.js';
import { systemError } from '../../lib/system-error.js';

/** Throws the error of a store's directory that cannot be used, in the variable's name. @throws ConfigError */
export function refuseDirectory(error: unknown): never {
  const failed = systemError(error);
  throw failed === undefined ? error : new ConfigError('PREAMBLE_STORE', failed.message);
}
