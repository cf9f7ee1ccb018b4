import { isLoopback } from '../../lib/loopback.js';

/** A name, or an address of which IPv6's is in brackets; then perhaps a port. */
const AUTHORITY = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d*)?$/i;

/** The host of an authority, which is a host and perhaps a port; lower-cased, and empty if it is none. */
export function hostOf(authority: string): string {
  return AUTHORITY.exec(authority)?.[1]?.toLowerCase() ?? '';
}

/** Whether an authority is this machine. `*.localhost` is: browsers resolve it to this machine without asking anybody. */
export function isThisMachine(authority: string): boolean {
  const host = hostOf(authority);
  return isLoopback(host.replace(/^\[|\]$/g, '')) || host.endsWith('.localhost');
}
