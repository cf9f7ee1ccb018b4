const prompts = new Map<string, string>();

/** Remembers, while the tab is open, a prompt of a file that was uploaded, so that the playground can begin with it. */
export function rememberPrompt(fileId: string, prompt: string): void {
  prompts.set(fileId, prompt);
}

/** A prompt of a file, empty for a file of which none is known. */
export function promptFor(fileId: string): string {
  return prompts.get(fileId) ?? '';
}
