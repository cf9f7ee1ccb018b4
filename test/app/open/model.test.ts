import fs from 'node:fs';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { openServedModel } from '../../../src/app/open/model.js';
import { readConfig } from '../../../src/config/config.js';
import { compileModel } from '../../../src/model/compile/compiled-model.js';
import { golden } from '../../support/goldens.js';
import { modelCache } from '../../support/models.js';
import { canMount, Mount, smallDisk } from '../../support/small-disk.js';

const tinyA = golden('tiny-a').directory;

it('names the variable that is put right: that of the weights, or that of the model', async () => {
  const int8 = await compileModel({ source: tinyA, cache: modelCache, weights: 'int8' });
  const open = (model: string) =>
    openServedModel(readConfig({ PREAMBLE_MODEL: model, PREAMBLE_CACHE: modelCache, PREAMBLE_WEIGHTS: 'int4' }));
  await expect(open(int8)).rejects.toMatchObject({
    variable: 'PREAMBLE_WEIGHTS',
    message: `PREAMBLE_WEIGHTS: ${int8} is compiled with int8 weights, which int4 cannot be made from`,
  });
  await expect(open(modelCache)).rejects.toMatchObject({
    variable: 'PREAMBLE_MODEL',
    message: `PREAMBLE_MODEL: ${modelCache}: config.json is missing; \`hf download OWNER/NAME config.json --local-dir ${modelCache}\` fetches it`,
  });
});

describe.skipIf(!canMount)('a cache that cannot be written to', () => {
  it.each(['int8', 'float32'])(
    'because its disk is full is named, and left as it was, for %s weights',
    async (weights) => {
      const disk = await smallDisk(16);
      const cache = path.join(disk.directory, 'cache');
      const config = readConfig({ PREAMBLE_MODEL: tinyA, PREAMBLE_CACHE: cache, PREAMBLE_WEIGHTS: weights });
      await expect(openServedModel(config)).rejects.toMatchObject({
        variable: 'PREAMBLE_CACHE',
        message: expect.stringContaining(`${cache} cannot be used: ENOSPC`) as string,
      });
      expect(fs.readdirSync(cache)).toEqual([]);
    },
  );

  it('because it is read-only is named', async () => {
    const disk = await smallDisk(16);
    await disk.run(Mount.readOnly);
    const config = readConfig({ PREAMBLE_MODEL: tinyA, PREAMBLE_CACHE: path.join(disk.directory, 'cache') });
    await expect(openServedModel(config)).rejects.toMatchObject({ variable: 'PREAMBLE_CACHE' });
  });
});
