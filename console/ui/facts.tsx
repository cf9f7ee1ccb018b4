import type { VNode } from 'preact';

/** Names, each with its value. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: string])[] }): VNode {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
