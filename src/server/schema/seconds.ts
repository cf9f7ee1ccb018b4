/** Unix seconds, as OpenAI has times, of Unix milliseconds. */
export function toSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
