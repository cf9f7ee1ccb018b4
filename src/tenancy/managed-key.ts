import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

import type { KeyRecord } from './store.js';

/** A key that was just made. Its text is nowhere else: the store has a hash. */
export interface IssuedKey {
  /** The key's text, which the tenant sends. Shown once. */
  readonly text: string;
  readonly record: KeyRecord;
}

/** The two parts of a key's text. */
export interface KeyParts {
  /** Id of the record. Not secret. */
  readonly id: string;
  readonly secret: string;
}

export interface KeyOwner {
  readonly tenant: string;
  readonly label: string | undefined;
}

const KEY = /^pre-([0-9a-f]{20})-([A-Za-z0-9_-]{43})$/;
const SECRET_BYTES = 32;
const SALT_BYTES = 16;
/** Hashed for an unknown id, so that it takes as long as a wrong secret. Matches nothing, because no secret is empty. */
const NOBODY = { salt: '0'.repeat(2 * SALT_BYTES), hash: hashSecret('0'.repeat(2 * SALT_BYTES), '') };

/**
 * Makes a key, `pre-ID-SECRET`. Ids begin with the time, so they are ordered by creation.
 * @param now milliseconds since the epoch
 */
export function issueKey({ tenant, label }: KeyOwner, now: number): IssuedKey {
  const id = now.toString(16).padStart(12, '0') + randomBytes(4).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const salt = randomBytes(SALT_BYTES).toString('hex');
  const created = now / 1000;
  const record = { id, tenant, label, created, last4: secret.slice(-4), salt, hash: hashSecret(salt, secret) };
  return { text: `pre-${id}-${secret}`, record };
}

/** The parts of a managed key; undefined for any other text. */
export function parseKey(text: string): KeyParts | undefined {
  const [, id, secret] = KEY.exec(text) ?? [];
  return id !== undefined && secret !== undefined ? { id, secret } : undefined;
}

/** Whether the secret belongs to the record. The time it takes shows neither how much of the secret is right nor whether there is a record. */
export function isSecretOf(record: KeyRecord | undefined, secret: string): record is KeyRecord {
  const { salt, hash } = record ?? NOBODY;
  const matches = timingSafeEqual(Buffer.from(hashSecret(salt, secret), 'hex'), Buffer.from(hash, 'hex'));
  return record !== undefined && matches;
}

/** Salted sha256. One round is enough: slow hashes protect passwords, but 2^256 secrets cannot be tried however fast a try is. */
function hashSecret(salt: string, secret: string): string {
  return createHash('sha256').update(salt, 'hex').update(secret).digest('hex');
}
