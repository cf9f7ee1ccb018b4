import { hash } from 'node:crypto';

import { PrefixError } from './errors.js';

const NAME = /^(?!\.{1,2}(?:\/|$))[\w.-]+(?:\/(?!\.{1,2}(?:\/|$))[\w.-]+)*$/;
const MAX_NAME_LENGTH = 128;
const VERSION_PREFIX = /^[0-9a-f]{12,64}$/;
const TENANT = /^(?!\.)[\w.-]{1,64}$/;
/** The pattern of an `adapterId`; a name may match it too. */
const ADAPTER_ID = /^[0-9a-f]{16}$/;
/** The pattern of a `tenantKey` of a tenant with capitals; no tenant's name matches it. */
const FOLDED_TENANT = /^(?!\.)[0-9a-z_.-]{1,64}~[0-9a-f]{16}$/;

/** A name as a request's `model` field gives it, with the first digits of a version after an `@`. */
export interface PrefixReference {
  readonly name: string;
  /** 12 to 64 hex digits; undefined: the current version. */
  readonly version: string | undefined;
}

/** What a request's `model` names: a prefix of the caller's, or (with an owner) one of another tenant. */
export interface ModelReference extends PrefixReference {
  /** Undefined: the caller. */
  readonly owner: string | undefined;
}

/** 1 to 128 of `A-Z a-z 0-9 . _ - /`, of which no segment is empty, `.` or `..`. */
export function isPrefixName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text);
}

/** Throws `prefix_name_invalid`. */
export function checkPrefixName(name: string): void {
  if (isPrefixName(name)) return;
  throw new PrefixError(
    'prefix_name_invalid',
    `name: 1 to ${MAX_NAME_LENGTH} of A-Z a-z 0-9 . _ - and /, where no part between slashes is empty, '.' or '..'`,
  );
}

/** 12 to 64 lower-case hex digits: how a version is named. */
function isVersionPrefix(text: string): boolean {
  return VERSION_PREFIX.test(text);
}

/** Reads `name` or `name@VERSION`. A text that can be neither is read as a name, which no prefix has. */
export function parsePrefixReference(text: string): PrefixReference {
  const at = text.indexOf('@');
  const [name, version] = [text.slice(0, at), text.slice(at + 1)];
  const hasVersion = at > 0 && isPrefixName(name) && isVersionPrefix(version);
  return hasVersion ? { name, version } : { name: text, version: undefined };
}

/** Reads `name`, `name@VERSION`, `owner:name` or `owner:name@VERSION`. No name holds a colon. */
export function parseModelReference(text: string): ModelReference {
  const colon = text.indexOf(':');
  const owner = text.slice(0, colon);
  if (colon < 0 || !isTenantName(owner)) return { owner: undefined, ...parsePrefixReference(text) };
  return { owner, ...parsePrefixReference(text.slice(colon + 1)) };
}

/** 1 to 64 of `A-Z a-z 0-9 . _ -`, not starting with a dot. */
export function isTenantName(text: string): boolean {
  return TENANT.test(text);
}

/** Throws `tenant_invalid`. */
export function checkTenantName(tenant: string): void {
  if (isTenantName(tenant)) return;
  throw new PrefixError('tenant_invalid', "tenant: 1 to 64 of A-Z a-z 0-9 . _ and -, not starting with '.'");
}

/** The key that names are ordered by, byte by byte. It is a safe file name, and differs for names that differ only in case. */
export function nameKey(name: string): string {
  return `${name.toLowerCase().replaceAll('/', ',')}~${shortHash(name)}`;
}

/** A safe path segment, different for tenants that differ only in case; of a key, itself. Throws `tenant_invalid`. */
export function tenantKey(tenant: string): string {
  if (FOLDED_TENANT.test(tenant)) return tenant;
  checkTenantName(tenant);
  const folded = tenant.toLowerCase();
  return folded === tenant ? tenant : `${folded}~${shortHash(tenant)}`;
}

/**
 * The id of a tenant's prefix where its name must not show, the same on every replica: 16 hex digits of sha256 over
 * `tenantKey/nameKey`. Throws `tenant_invalid`.
 */
export function adapterId(tenant: string, name: string): string {
  return adapterIdOfKeys(tenantKey(tenant), nameKey(name));
}

/** The `adapterId` of a `tenantKey` and a `nameKey`. */
export function adapterIdOfKeys(tenant: string, name: string): string {
  return shortHash(`${tenant}/${name}`);
}

/** The id of a version where it must not show, the same on every replica: 16 hex digits. Throws `tenant_invalid`. */
export function versionId(
  tenant: string,
  { name, version }: { readonly name: string; readonly version: string },
): string {
  return shortHash(`${tenantKey(tenant)}/${nameKey(name)}@${version}`);
}

/** Whether it may be an `adapterId`. */
export function isAdapterId(text: string): boolean {
  return ADAPTER_ID.test(text);
}

function shortHash(text: string): string {
  return hash('sha256', text).slice(0, 16);
}
