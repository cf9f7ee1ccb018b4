/** Converts Unix milliseconds to whole Unix seconds, as in OpenAI's answers. */
export function toSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
