/** Exact versions of the peers' packages; onnxruntime-node is Preamble's own dependency. */
export const VERSIONS = {
  adapters: '1.3.0', // pins Transformers 4.57
  ctranslate2: '4.8.5',
  'node-llama-cpp': '3.22.1',
  gguf: '0.19.0',
  numpy: '2.4.6',
  peft: '0.21.2',
  safetensors: '0.8.0',
  torch: '2.13.0',
  // 5.24.0 leaves PEFT's prefix out of `generate`: it takes the empty cache beside it.
  transformers: '5.23.0',
} as const;
