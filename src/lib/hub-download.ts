/** The command that fetches a file of a model, or all of them, from Hugging Face's Hub into a directory. */
export function hubDownload(directory: string, file?: string): string {
  return `hf download OWNER/NAME ${file === undefined ? '' : `${file} `}--local-dir ${directory}`;
}
