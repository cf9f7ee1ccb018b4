import type { VNode } from 'preact';

import type { Token } from './answer.js';

interface TokenCardProps {
  readonly token: Token;
  /** The token in the text. */
  readonly anchor: Element | undefined;
}

/** Width of the card with its distance to the window's edge, in CSS pixels. */
const WIDTH = 248;

/** What might have stood at a token's place, with probabilities. It stands below the token. */
export function TokenCard({ token, anchor }: TokenCardProps): VNode {
  const box = anchor?.getBoundingClientRect();
  const left = Math.max(8, Math.min((box?.left ?? 0) - 8, innerWidth - WIDTH));
  const isKnown = token.alternatives.some(({ text }) => text === token.name);
  const rows = isKnown ? token.alternatives : [...token.alternatives, { text: token.name, logprob: token.logprob }];
  return (
    <div class="token-card" role="status" style={{ left: `${left}px`, top: `${(box?.bottom ?? 0) + 6}px` }}>
      <table>
        <caption class="visually-hidden">Likeliest tokens at this place</caption>
        <tbody>
          {rows.map(({ text, logprob }) => (
            <tr key={text} class={text === token.name ? 'taken' : ''}>
              <th scope="row">{shown(text)}</th>
              <td class="bar">
                <span style={{ width: `${(100 * Math.exp(logprob)).toFixed(1)}%` }} />
              </td>
              <td class="number">{percent(logprob)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A token with its white space visible. */
function shown(text: string): string {
  return text.replaceAll(' ', '·').replaceAll('\n', '↵').replaceAll('\t', '⇥');
}

function percent(logprob: number): string {
  const value = 100 * Math.exp(logprob);
  return `${value >= 99.95 || value < 0.05 ? value.toFixed(0) : value.toFixed(1)}%`;
}
