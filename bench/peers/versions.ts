/** What the peers are installed as, exactly; onnxruntime-node is the one that Preamble has. */
export const VERSIONS = {
  nodeLlamaCpp: '3.22.1',
  python: {
    gguf: '0.19.0',
    numpy: '2.4.6',
    peft: '0.21.2',
    safetensors: '0.8.0',
    torch: '2.13.0',
    transformers: '5.23.0',
  },
} as const;
