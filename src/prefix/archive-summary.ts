import { namesOf, type PrefixArchive } from './copy.js';

/** Counts of an archive's content for one base model. */
export interface ModelSummary {
  /** First 16 hex digits of the base model's fingerprint. */
  readonly fingerprint: string;
  /** Ids of the base model when the prefixes were uploaded. */
  readonly models: readonly string[];
  readonly tenants: number;
  readonly names: number;
  readonly versions: number;
  /** Bytes of decoded keys and values, over all versions. */
  readonly bytes: number;
}

/** Counts the content of an archive by base model. */
export async function summarize(archive: PrefixArchive): Promise<ModelSummary[]> {
  const all = await archive.partitions();
  const summaries: ModelSummary[] = [];
  for (const fingerprint of new Set(all.map((partition) => partition.fingerprint))) {
    const partitions = all.filter((partition) => partition.fingerprint === fingerprint);
    const store = await archive.open(fingerprint);
    const models = new Set<string>();
    const counts = { names: 0, versions: 0, bytes: 0 };
    for (const { tenant } of partitions) {
      for await (const name of namesOf(store, tenant)) {
        const { versions = [] } = (await store.get(tenant, name)) ?? {};
        counts.names++;
        counts.versions += versions.length;
        for (const { baseModel, bytes } of versions) {
          models.add(baseModel);
          counts.bytes += bytes;
        }
      }
    }
    summaries.push({ fingerprint, models: [...models], tenants: partitions.length, ...counts });
  }
  return summaries;
}
