import { expect, it } from 'vitest';

import { openServedModel } from '../../../src/app/open/model.js';
import { readConfig } from '../../../src/config/config.js';
import { compileModel } from '../../../src/model/compile/compiled-model.js';
import { golden } from '../../support/goldens.js';
import { modelCache } from '../../support/models.js';

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
    message: `PREAMBLE_MODEL: ${modelCache}: model.safetensors is missing; a pytorch_model.bin must be converted with Transformers' save_pretrained`,
  });
});
