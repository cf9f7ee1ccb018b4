import type { PrefixDetails as StoredDetails, PrefixInfo, PrefixPage } from '../../prefix/library.js';
import type { Prefix, PrefixDetails, PrefixList, PrefixVersion } from '../schemas/prefix.js';

/** A prefix as the API shows it. */
export function toPrefix(info: PrefixInfo): Prefix {
  return {
    object: 'prefix',
    name: info.name,
    ...toVersion(info),
    base_model: info.baseModel,
    warnings: [...info.warnings],
  };
}

/** A prefix with all its versions, newest first. */
export function toPrefixDetails(details: StoredDetails): PrefixDetails {
  return { ...toPrefix(details), versions: details.versions.map(toVersion) };
}

/** One page of a list; `last_id` is the cursor of the next. */
export function toPrefixList({ data, hasMore }: PrefixPage): PrefixList {
  return {
    object: 'list',
    data: data.map(toPrefix),
    first_id: data.at(0)?.name ?? null,
    last_id: data.at(-1)?.name ?? null,
    has_more: hasMore,
  };
}

function toVersion(info: PrefixInfo): PrefixVersion {
  return {
    version: info.version,
    kind: info.kind,
    placement: info.placement,
    num_virtual_tokens: info.numVirtualTokens,
    bytes: info.bytes,
    created: info.created,
  };
}
