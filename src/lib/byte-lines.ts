/** A line of a text, as bytes. */
export interface ByteLine {
  /** From 1. */
  readonly number: number;
  /** Without the line break. */
  readonly bytes: Buffer;
  /** Offset behind the line and its line break. */
  readonly end: number;
  /** Whether a line break ends it: the last line of a text may have none. */
  readonly isEnded: boolean;
}

/** A line is longer than its reader allows. */
export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError';

  /** @param line its number, from 1 */
  constructor(readonly line: number) {
    super(`line ${line} is too long`);
  }
}

const LINE_BREAK = 0x0a;

/**
 * Splits bytes at line breaks as they come. In memory are one line and one chunk.
 * @param maxBytes of one line
 * @throws LineTooLongError
 */
export async function* splitLines(
  content: AsyncIterable<Uint8Array>,
  maxBytes = Infinity,
): AsyncGenerator<ByteLine, void> {
  let parts: Buffer[] = [];
  let [length, number, end] = [0, 1, 0];
  const add = (part: Buffer): void => {
    length += part.length;
    if (length > maxBytes) throw new LineTooLongError(number);
    parts.push(part);
  };
  const take = (isEnded: boolean): ByteLine => {
    end += length + (isEnded ? 1 : 0);
    const line = {
      number: number++,
      bytes: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts),
      end,
      isEnded,
    };
    [parts, length] = [[], 0];
    return line;
  };
  for await (const chunk of content) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let at = bytes.indexOf(LINE_BREAK); at >= 0; at = bytes.indexOf(LINE_BREAK, from)) {
      add(bytes.subarray(from, at));
      yield take(true);
      from = at + 1;
    }
    if (from < bytes.length) add(bytes.subarray(from));
  }
  if (length > 0) yield take(false);
}
