import type { Page } from '../../lib/page.js';
import type { PrefixDetails as StoredDetails, PrefixInfo } from '../../prefix/library.js';
import { adapterId, versionId } from '../../prefix/name.js';
import { sharesOf } from '../../prefix/shares.js';
import type { Prefix, PrefixDetails, PrefixList, PrefixVersion } from './schema.js';

/** A prefix as the API shows it to its tenant. */
export function toPrefix(info: PrefixInfo, tenant: string): Prefix {
  return {
    object: 'prefix',
    name: info.name,
    adapter_id: adapterId(tenant, info.name),
    ...toVersion(info),
    base_model: info.baseModel,
    warnings: [...info.warnings],
  };
}

/** A prefix with all its versions, newest first. */
export function toPrefixDetails(details: StoredDetails, tenant: string): PrefixDetails {
  const { name, versions } = details;
  const shares = sharesOf(details).map(({ version, buckets }) => ({
    version,
    percent: buckets.length,
    version_id: versionId(tenant, { name, version }),
  }));
  return { ...toPrefix(details, tenant), versions: versions.map(toVersion), shares };
}

/** A page of a list; `last_id` is the cursor of the next page. */
export function toPrefixList({ data, hasMore }: Page<PrefixInfo>, tenant: string): PrefixList {
  return {
    object: 'list',
    data: data.map((info) => toPrefix(info, tenant)),
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
    ...(info.sites && { sites: info.sites }),
    bytes: info.bytes,
    created: info.created,
    ...(info.template && { chat_template: true }),
  };
}
