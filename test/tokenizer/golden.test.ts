import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

import { loadTokenizer } from '../../src/tokenizer/load-tokenizer.js';

interface GoldenText {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
}

const goldens = new URL('../../../shared/goldens/', import.meta.url);

describe.skipIf(!existsSync(goldens))('as Hugging Face tokenizes (skipped without goldens)', () => {
  test.each(['tiny-a', 'tiny-b', 'tiny-c'])('%s', async (name) => {
    const tokenizer = await loadTokenizer(fileURLToPath(new URL(`models/${name}`, goldens)));
    const texts = JSON.parse(readFileSync(new URL(`expected/${name}.tokenizer.json`, goldens), 'utf8')) as GoldenText[];
    for (const { text, ids, decoded } of texts) {
      expect(tokenizer.encode(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
  });

  const bart = new URL('bart/', goldens);
  test.runIf(existsSync(bart)).each(['tiny-bart-a', 'tiny-bart-b'])('sources of %s', async (name) => {
    const directory = fileURLToPath(new URL(`models/${name}`, bart));
    const tokenizer = await loadTokenizer(directory, { hasEncoder: true });
    const texts = JSON.parse(readFileSync(new URL(`expected/${name}.tokenizer.json`, bart), 'utf8')) as GoldenText[];
    for (const { text, ids, decoded } of texts) {
      expect(tokenizer.encodeSource(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(tokenizer.encode(text)).toEqual(ids.slice(1, -1));
      expect(tokenizer.minTokens(text)).toBeLessThan(ids.length);
    }
  });
});
