/** One example of training data. */
export interface Example {
  /** Number of its line, from 1. */
  readonly line: number;
  /** Its line as it stands in the file. */
  readonly source: string;
  /** What the model reads: a text, or token ids. */
  readonly prompt: string | readonly number[];
  /** What it learns to write. */
  readonly completion: string | readonly number[];
  /** Of a conversation: what its last message, the completion, answers. */
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
}

/** What was read of a file. */
export interface Examples {
  readonly examples: readonly Example[];
  /** What is wrong with lines, in words; the first few. */
  readonly problems: readonly string[];
  /** Lines with something wrong. */
  readonly badLines: number;
}

/** Problems that are told one by one. */
const MAX_PROBLEMS = 5;

/**
 * Reads lines of `{"prompt", "completion"}`, or of `{"messages"}` where the model takes conversations. It tells early what is wrong; the server
 * has the last word.
 */
export function readExamples(text: string, takesMessages: boolean): Examples {
  const examples: Example[] = [];
  const problems: string[] = [];
  let badLines = 0;
  for (const [index, source] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    if (source.trim() === '') continue;
    const read = readLine(source.replace(/\r$/, ''), index + 1, takesMessages);
    if (typeof read !== 'string') examples.push(read);
    else if (badLines++ < MAX_PROBLEMS) problems.push(`Line ${index + 1}: ${read}`);
  }
  return { examples, problems, badLines };
}

/** An example, or what is wrong with its line. */
function readLine(source: string, line: number, takesMessages: boolean): Example | string {
  const value = parse(source);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'this is not a JSON object.';
  const { prompt, completion, messages } = value as Record<string, unknown>;
  if (messages !== undefined && prompt === undefined) {
    if (!takesMessages) return 'it has messages, and this model has no chat template.';
    return readMessages(messages, source, line);
  }
  if (!isTextOrIds(prompt)) return `'prompt' is ${prompt === undefined ? 'missing' : 'neither a text nor token ids'}.`;
  if (!isTextOrIds(completion))
    return `'completion' is ${completion === undefined ? 'missing' : 'neither a text nor token ids'}.`;
  return { line, source, prompt, completion };
}

function readMessages(value: unknown, source: string, line: number): Example | string {
  if (!Array.isArray(value) || !value.every(isMessage)) return "'messages' is not an array of role and content.";
  const last = value.at(-1);
  if (last?.role !== 'assistant') return "the last of 'messages' is not the assistant's.";
  return { line, source, prompt: '', completion: last.content, messages: value.slice(0, -1) };
}

function isMessage(value: unknown): value is { role: string; content: string } {
  if (typeof value !== 'object' || value === null) return false;
  const { role, content } = value as Record<string, unknown>;
  return typeof role === 'string' && typeof content === 'string';
}

function isTextOrIds(value: unknown): value is string | number[] {
  return typeof value === 'string' || (Array.isArray(value) && value.length > 0 && value.every(Number.isInteger));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Part of the examples that a validation file gets: each tenth. */
const HELD_OUT_EVERY = 10;

/** Examples as files: those to train on, and those that are held out for validation. */
export interface Split {
  readonly training: string;
  /** Empty: nothing is held out. */
  readonly validation: string;
}

/** Writes the examples that can be used as files. A line keeps its number, so that what the server says of it holds for the original too. */
export function splitExamples(examples: readonly Example[], holdsOut: boolean): Split {
  const isHeldOut = (index: number): boolean => holdsOut && index % HELD_OUT_EVERY === HELD_OUT_EVERY - 1;
  const kept = examples.filter((_, index) => !isHeldOut(index));
  const held = examples.filter((_, index) => isHeldOut(index));
  return { training: writeLines(kept), validation: writeLines(held) };
}

function writeLines(examples: readonly Example[]): string {
  const lines: string[] = [];
  for (const { line, source } of examples) lines[line - 1] = source;
  return Array.from(lines, (line: string | undefined) => `${line ?? ''}\n`).join('');
}

/** Fewest examples of which some are held out unless somebody says otherwise. */
export const ENOUGH_TO_HOLD_OUT = 20;
