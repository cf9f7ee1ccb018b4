import type { DataError } from './data-error.js';
import type { Field } from './field.js';

/** A shape that examples have elsewhere. Nothing in it says what stands between its parts, and a request has to have the same. */
interface OtherShape {
  readonly is: (line: Field) => boolean;
  readonly name: string;
  /** Program of `jq -c` that writes prompt and completion. */
  readonly program: string;
}

const has =
  (...keys: readonly string[]) =>
  (line: Field): boolean =>
    keys.every((key) => line.has(key));

/** A text and what is learned behind it, in fields of other names. */
const pair = (prompt: string, completion: string): OtherShape => ({
  is: has(prompt, completion),
  name: `${prompt} and ${completion}`,
  program: `{${prompt === 'prompt' ? prompt : `prompt: .${prompt}`}, completion: .${completion}}`,
});

/** An instruction and what it is about, where there is that, on lines of their own. */
const instruction = (about: string, completion: string): OtherShape => ({
  is: has('instruction', completion),
  name: `instruction, ${about} and ${completion}`,
  program: String.raw`{prompt: ([.instruction, .${about}] | map(select(. // "" | . != "") + "\n") | add), completion: .${completion}}`,
});

/** Turns of a chat as lines `role: content`, of which the last is learned behind its role. */
const turns = (list: string, role: string, content: string, last = list): string =>
  `{prompt: ((${list} | map("\\(.${role}): \\(.${content})\\n") | join("")) + "\\(${last}[-1].${role}):"), completion: " \\(${last}[-1].${content})"}`;

const SHAPES: readonly OtherShape[] = [
  { is: has('messages'), name: 'messages of a chat', program: turns('.messages[:-1]', 'role', 'content', '.messages') },
  {
    is: has('conversations'),
    name: 'conversations',
    program: turns('.conversations[:-1]', 'from', 'value', '.conversations'),
  },
  {
    is: (line) => has('prompt', 'completion')(line) && isTurns(line.get('prompt')) && isTurns(line.get('completion')),
    name: 'messages of a chat in prompt and completion',
    program: turns('.prompt', 'role', 'content', '.completion'),
  },
  pair('prompt', 'chosen'),
  pair('prompt', 'response'),
  instruction('input', 'output'),
  instruction('context', 'response'),
  pair('input', 'output'),
  pair('query', 'response'),
  {
    is: has('question', 'answer'),
    name: 'question and answer',
    program: '{prompt: "\\(.question)\\n", completion: .answer}',
  },
  pair('source', 'target'),
  {
    is: has('text'),
    name: 'a text without a prompt',
    program: '{prompt: "<|endoftext|>", completion: .text}',
  },
];

/** The error for a line that has prompt and completion in another shape, with what makes a line of it; undefined for any other line. */
export function otherShape(line: Field): DataError | undefined {
  const shape = SHAPES.find(({ is }) => is(line));
  return (
    shape &&
    line.refuse(
      `${shape.name}, instead of prompt and completion; write lines of those, as with: jq -c '${shape.program}'`,
    )
  );
}

function isTurns({ value }: Field): boolean {
  const isTurn = (turn: unknown): boolean => typeof turn === 'object' && turn !== null && 'role' in turn;
  return Array.isArray(value) && value.length > 0 && value.every(isTurn);
}
