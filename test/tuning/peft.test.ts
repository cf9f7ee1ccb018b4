import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { readAdapter } from '../../src/prefix/adapter/read.js';
import { selfKv } from '../../src/prefix/kv.js';
import { tune } from '../../src/tuning/tune.js';
import { golden } from '../support/goldens.js';
import { openTestModel } from '../support/models.js';
import { job, openTrainingModel } from './models.js';

/** An interpreter that has PEFT; name it in PEFT_PYTHON where it is not the one on the path. */
const python = process.env['PEFT_PYTHON'] ?? 'python3';
const probe = 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("torch", "peft", "transformers"))))';
const hasPeft = spawnSync(python, ['-c', probe]).status === 0;

const SCRIPT = `
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, adapter, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
with torch.no_grad():
    logits = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits
print(json.dumps(logits[0, -1].tolist()))
`;
const PROMPT = [12, 40, 7, 9];

describe.skipIf(!hasPeft)('PEFT', () => {
  it.each(['prefix', 'embedding'] as const)(
    'loads what was trained here and gives the same logits: %s',
    async (method) => {
      const { directory } = golden('tiny-a');
      const out = await fs.mkdtemp(path.join(os.tmpdir(), 'preamble-peft-'));
      const model = await openTrainingModel(directory);
      const served = await openTestModel(directory);
      try {
        await tune(job(model, out, { method }));
        const output = execFileSync(python, ['-c', SCRIPT, directory, out, JSON.stringify(PROMPT)], {
          env: { ...process.env, HF_HUB_OFFLINE: '1' },
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        const expected = JSON.parse(output.toString()) as number[];
        const read = (name: string) => fs.readFile(path.join(out, name));
        const [config, weights] = [await read('adapter_config.json'), await read('adapter_model.safetensors')];
        const { kind, rows, length } = readAdapter({ config, model: weights }, served.base);
        const kv = kind === 'soft_prompt' ? await served.encoder.encodeEmbeddings(rows, length) : selfKv(length, rows);
        await served.runner.append(0, 0, kv);
        const chunk = { slot: 0, tokens: PROMPT, past: length, logits: 'last', temperature: 1 } as const;
        const logits = (await served.runner.step({ rows: [chunk], topK: 1 })).logits(0);
        expect(logits).toHaveLength(expected.length);
        logits.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4));
      } finally {
        await served.dispose();
        await model.dispose();
        await fs.rm(out, { recursive: true });
      }
    },
  );
});
