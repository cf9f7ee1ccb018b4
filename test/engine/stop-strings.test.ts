import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { StopStrings } from '../../src/engine/output/stop-strings.js';

function feed(stop: string[], ...pieces: string[]): string[] {
  const strings = new StopStrings(stop);
  const out = pieces.map((piece) => strings.push(piece));
  return [...out, strings.end()];
}

describe('stop strings', () => {
  test('without any, text passes', () => {
    expect(feed([], 'a', 'b')).toEqual(['a', 'b', '']);
    expect(feed([''], 'a')).toEqual(['a', '']);
  });

  test('one within a piece ends the text before it', () => {
    expect(feed(['STOP'], 'one STOP two', 'three')).toEqual(['one ', '', '']);
  });

  test('one across pieces is held back from its start', () => {
    expect(feed(['STOP'], 'one S', 'TO', 'P two')).toEqual(['one ', '', '', '']);
  });

  test('what turns out to be none is let go, and no more than that is held', () => {
    expect(feed(['STOP'], 'ST', 'A', 'STO', 'RM', 'S')).toEqual(['', 'STA', '', 'STORM', '', 'S']);
    expect(feed(['aab'], 'aa', 'a', 'c')).toEqual(['', 'a', 'aac', '']);
  });

  test('one that is part of the text ends it, and nothing is held back', () => {
    const included = (stop: string[], ...pieces: string[]): string[] => {
      const strings = new StopStrings(stop, true);
      return [...pieces.map((piece) => strings.push(piece)), strings.end()];
    };
    expect(included(['STOP'], 'one S', 'TO', 'P two', 'x')).toEqual(['one S', 'TO', 'P', '', '']);
    expect(included(['STOP'], 'ST', 'A', 'STO')).toEqual(['ST', 'A', 'STO', '']);
    // As in vLLM, the one that is whole first, and not the one that starts first.
    expect(included(['o wor', 'lo'], 'hello world')).toEqual(['hello', '']);
    expect(included([], 'a', 'b')).toEqual(['a', 'b', '']);
    const strings = new StopStrings(['aa'], true);
    expect([strings.push('xaa', false), strings.push('ab'), strings.isMatched]).toEqual(['xaa', 'a', true]);
  });

  test('the earliest start wins', () => {
    expect(feed(['world', 'lo'], 'hello world')).toEqual(['hel', '']);
    expect(feed(['\n', '\n\n'], 'a\n\nb')).toEqual(['a', '']);
  });

  test('one that ends where it may not is ordinary text, and may still lend its end to another', () => {
    const strings = new StopStrings(['aa']);
    expect(strings.push('xaa', false)).toBe('xa');
    expect(strings.isMatched).toBe(false);
    expect(strings.push('a')).toBe('');
    expect(strings.isMatched).toBe(true);
  });

  test('cut in any pieces, the text ends at the first stop string and nothing is lost', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
    // Stop strings of one length cannot end one inside another, so the first one is the same however the text is cut.
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 3, maxLength: 3 }), {
      maxLength: 3,
    });
    const run = fc.property(fc.array(letters), stops, (pieces, stop) => {
      const text = pieces.join('');
      const starts = stop.map((one) => text.indexOf(one)).filter((start) => start >= 0);
      expect(feed(stop, ...pieces).join('')).toBe(starts.length > 0 ? text.slice(0, Math.min(...starts)) : text);
    });
    fc.assert(run, { numRuns: 500 });
  });
});
