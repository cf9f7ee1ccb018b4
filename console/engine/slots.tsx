import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

import type { EngineState } from '../api/types.js';
import { count } from '../ui/format.js';
import { memo } from '../ui/memo.js';

type Slot = EngineState['slots'][number];

/** The slots as cells, and as a table for those who ask for it. */
export function Slots({ state: { slots, context_length: contextLength } }: { state: EngineState }): VNode {
  const [isTable, setTable] = useState(false);
  return (
    <section aria-labelledby="slots-title">
      <div class="title-row">
        <h2 id="slots-title">Slots</h2>
        <label class="check">
          <input type="checkbox" checked={isTable} onChange={({ currentTarget }) => setTable(currentTarget.checked)} />
          As a table
        </label>
      </div>
      {isTable ? (
        <SlotTable slots={slots} />
      ) : (
        <>
          <div class="cells" role="img" aria-label={summary(slots)}>
            {slots.map(({ state, tenant, priority, positions }, index) => (
              <Cell
                key={index}
                state={state}
                tenant={tenant}
                isBackground={priority === 'background'}
                level={Math.round((100 * positions) / contextLength)}
              />
            ))}
          </div>
          <Legend />
        </>
      )}
    </section>
  );
}

/** How many slots are in which state, in words. */
function summary(slots: readonly Slot[]): string {
  const states = (['decode', 'prefill', 'reserved', 'free'] as const).flatMap((state) => {
    const number = slots.filter((slot) => slot.state === state).length;
    return number === 0 ? [] : `${number} ${state}`;
  });
  const tenants = new Set(slots.flatMap(({ tenant }) => tenant ?? [])).size;
  return `${count(slots.length, 'slot')}: ${states.join(', ')}${tenants === 0 ? '' : `; ${count(tenants, 'tenant')}`}`;
}

interface CellProps {
  readonly state: Slot['state'];
  readonly tenant: number | null;
  readonly isBackground: boolean;
  /** Percent of its positions in use. */
  readonly level: number;
}

const Cell = memo<CellProps>(({ state, tenant, isBackground, level }) => (
  <span
    class={`cell ${state} ${isBackground ? 'background' : ''}`}
    style={tenant === null ? {} : { '--hue': String(hueOf(tenant)), '--level': `${level}%` }}
  >
    {tenant ?? ''}
  </span>
));

/** Neighbours in number are far apart in colour. */
function hueOf(tenant: number): number {
  return Math.round(175 + 137.5 * (tenant - 1)) % 360;
}

function Legend(): VNode {
  return (
    <ul class="cell-legend">
      <li>
        <span class="cell decode sample" /> decoding
      </li>
      <li>
        <span class="cell prefill sample" /> in prefill
      </li>
      <li>
        <span class="cell reserved sample" /> kept for beams
      </li>
      <li>
        <span class="cell free sample" /> free
      </li>
      <li class="quiet">
        A colour and a number for each tenant, as high as the slot is full; dashed: background work.
      </li>
    </ul>
  );
}

function SlotTable({ slots }: { slots: readonly Slot[] }): VNode {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Table of slots">
      <table class="slot-table">
        <thead>
          <tr>
            <th scope="col">Slot</th>
            <th scope="col">State</th>
            <th scope="col">Tenant</th>
            <th scope="col">Work</th>
            <th scope="col">Positions</th>
          </tr>
        </thead>
        <tbody>
          {slots.map(({ state, tenant, priority, positions }, index) => (
            <tr key={index}>
              <th scope="row">{index}</th>
              <td>{state}</td>
              <td>{tenant ?? '–'}</td>
              <td>{priority ?? '–'}</td>
              <td>{positions}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
