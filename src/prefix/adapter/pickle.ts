/** The file of tensors that PEFT wrote before safetensors was its default: a pickle. */
export const PICKLE_FILE = 'adapter_model.bin';

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
