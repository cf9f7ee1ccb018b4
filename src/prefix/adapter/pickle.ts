/** The file of tensors that PEFT wrote before safetensors was its default: a pickle. */
export const PICKLE_FILE = 'adapter_model.bin';

/** Whether a file is a zip archive, as torch.save writes since 1.6, or a bare pickle of protocol 2 to 5 where no JSON header begins. */
export function isPickle(model: Uint8Array): boolean {
  const [first, second = 0, third, fourth] = model;
  if (first === 0x50 && second === 0x4b) return third === 3 && fourth === 4;
  return first === 0x80 && second >= 2 && second <= 5 && model[8] !== 0x7b;
}

/**
 * Lines of Python that write the tensors of a pickle as safetensors, without running what else is in it.
 * @param prefix of both files' names, as `adapter/`
 */
export function conversion(prefix = ''): readonly string[] {
  const name = (file: string): string => JSON.stringify(`${prefix}${file}`);
  return [
    'import torch, safetensors.torch',
    `tensors = torch.load(${name(PICKLE_FILE)}, map_location="cpu", weights_only=True)`,
    `safetensors.torch.save_file(tensors, ${name('adapter_model.safetensors')})`,
  ];
}
