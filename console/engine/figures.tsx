import type { VNode } from 'preact';

import type { EngineState } from '../api/types.js';
import { formatBytes } from '../ui/format.js';
import type { Point } from './history.js';
import { Sparkline } from './sparkline.js';

interface FiguresProps {
  readonly state: EngineState;
  readonly history: readonly Point[];
}

/** The figures that move, each with its last minute. */
export function Figures({ state, history }: FiguresProps): VNode {
  const { slots, running, waiting, kv_usage: kvUsage, interval } = state;
  const rate = interval && interval.generated_tokens / interval.seconds;
  const prefill = interval && interval.prompt_tokens / interval.seconds;
  const queue = waiting.interactive + waiting.background;
  const widest = Math.max(slots.length, ...history.map((point) => point.running + point.waiting));
  return (
    <dl class="figures">
      <div>
        <dt>Tokens a second</dt>
        <dd>
          <b>{whole(rate)}</b>
          <span class="quiet">prompts {whole(prefill)}</span>
        </dd>
        <Sparkline points={history} read={(point) => point.tokensPerSecond} />
      </div>
      <div>
        <dt>Running</dt>
        <dd>
          <b>{running}</b>
          <span class="quiet">
            of {slots.length}, {queue === 0 ? 'nothing waits' : `${queue.toLocaleString()} wait`}
            {waiting.background > 0 && ` (${waiting.background.toLocaleString()} background)`}
          </span>
        </dd>
        <Sparkline points={history} read={(point) => point.running + point.waiting} top={widest} />
      </div>
      <div>
        <dt>Step</dt>
        <dd>
          <b>{milliseconds(interval?.step_seconds_p50)}</b>
          <span class="quiet">p95 {milliseconds(interval?.step_seconds_p95)}</span>
        </dd>
        <Sparkline points={history} read={(point) => point.stepMs} />
      </div>
      <div>
        <dt>Keys and values</dt>
        <dd>
          <b>{percent(kvUsage)}</b>
          <span class="quiet">of all positions</span>
        </dd>
        <Sparkline points={history} read={(point) => point.kvUsage} top={1} />
      </div>
    </dl>
  );
}

/** Counts since the server has started. */
export function Totals({ state }: { state: EngineState }): VNode {
  const { prefix_cache: prefixes, prompt_cache: prompts, drafts } = state;
  const facts: readonly (readonly [string, string, string])[] = [
    ['Tokens generated', state.generated_tokens.toLocaleString(), `${state.prompt_tokens.toLocaleString()} of prompts`],
    [
      'Prefix cache',
      share(prefixes.hits, prefixes.queries),
      prefixes.queries === 0
        ? 'not asked yet'
        : `of ${prefixes.queries.toLocaleString()} asked for; ${formatBytes(prefixes.bytes)}`,
    ],
    [
      'Prompt cache',
      share(prompts.hit_tokens, prompts.query_tokens),
      prompts.query_tokens === 0
        ? 'off, or not asked'
        : `of ${prompts.query_tokens.toLocaleString()} tokens; ${formatBytes(prompts.bytes)}`,
    ],
    [
      'Drafts accepted',
      share(drafts.accepted_tokens, drafts.draft_tokens),
      drafts.draft_tokens === 0 ? 'none was made' : `of ${drafts.draft_tokens.toLocaleString()} tokens`,
    ],
  ];
  return (
    <section aria-labelledby="totals-title">
      <h2 id="totals-title">Since the start</h2>
      <dl class="facts totals">
        {facts.map(([name, value, more]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <b>{value}</b> <span class="quiet">{more}</span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function whole(value: number | null): string {
  return value === null ? '–' : Math.round(value).toLocaleString();
}

function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const ms = 1000 * value;
  return `${ms >= 100 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(part > 0 && part < 0.1 ? 1 : 0)}%`;
}

function share(part: number, all: number): string {
  return all === 0 ? '–' : percent(part / all);
}
