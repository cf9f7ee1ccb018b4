import { describe, expect, it } from 'vitest';

import { readOptions } from '../../bench/options.js';
import { suites } from '../../bench/suites/index.js';

const names = suites.map(({ name }) => name);
const comparable = suites.filter(({ open }) => open !== undefined).map(({ name }) => name);

it('names every suite once', () => {
  expect(new Set(names).size).toBe(names.length);
});

describe('options', () => {
  it('run everything unless told otherwise', () => {
    const { suites: chosen, rows, peers, writeDocs, threads } = readOptions([], suites);
    expect(chosen).toEqual(names);
    expect(rows).toEqual([1, 8, 32]);
    expect(peers).toEqual([
      'node-llama-cpp',
      'transformers-peft',
      'transformers-lora',
      'onnxruntime-node',
      'transformers-bart',
      'ctranslate2',
      'adapters',
    ]);
    expect(writeDocs).toEqual([]);
    expect(threads).toBeUndefined();
  });

  it('choose suites, peers and numbers', () => {
    const args = ['roofline', '--rows', '2,4', '--repeats=3', '--peers', 'none', '--threads', '1', '--kinds', 'a,b c'];
    const options = readOptions(args, suites);
    expect(options).toMatchObject({ suites: ['roofline'], rows: [2, 4], repeats: 3, peers: [], threads: 1 });
    expect(options.kinds).toEqual(['a', 'b c']);
  });

  it('choose what can be measured beside another commit, without peers', () => {
    const { suites: chosen, beside, peers, repeats } = readOptions(['--beside', 'HEAD'], suites);
    expect(chosen).toEqual(comparable);
    expect(comparable).toEqual(expect.arrayContaining(['decode', 'interference', 'memory', 'start']));
    expect({ beside, peers, repeats }).toEqual({ beside: 'HEAD', peers: [], repeats: 6 });
    expect(readOptions(['start', '--beside', 'v1'], suites).suites).toEqual(['start']);
  });

  it.each([
    [['decode', 'roofline', '--beside', 'HEAD'], "suite: 'roofline' measures this checkout's modules"],
    [['--beside', 'HEAD', '--peers', 'none'], '--peers: no peer runs with --beside'],
    [['speed'], "suite: 'speed' is none of decode, decode-llama, summaries"],
    [['--rows', '1,0'], "--rows: '0' is not a positive number"],
    [['--repeats', 'many'], "--repeats: 'many' is not a positive number"],
    [['--peers', 'vllm'], "--peers: 'vllm' is none of node-llama-cpp, transformers-peft, transformers-lora"],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuse %j', (args, message) => {
    expect(() => readOptions(args, suites)).toThrow(message);
  });
});
