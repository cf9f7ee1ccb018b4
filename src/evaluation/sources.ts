import type { TextOrIds, TrainingExample } from '../tuning/data/example.js';

/** A source, and all its references. */
export interface SourceReferences {
  readonly example: TrainingExample;
  readonly references: readonly TextOrIds[];
}

/** Groups examples by source, in order of first appearance. */
export function groupBySource(examples: readonly TrainingExample[]): SourceReferences[] {
  const groups = new Map<string, { example: TrainingExample; references: TextOrIds[] }>();
  for (const example of examples) {
    const key = JSON.stringify(example.source);
    const group = groups.get(key) ?? { example, references: [] };
    group.references.push(...(example.references ?? example.targets));
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** All examples of the first `count` different sources. */
export function firstSources(examples: readonly TrainingExample[], count: number): TrainingExample[] {
  const chosen = new Set<string>();
  return examples.filter(({ source }) => {
    const key = JSON.stringify(source);
    if (chosen.size < count) chosen.add(key);
    return chosen.has(key);
  });
}
