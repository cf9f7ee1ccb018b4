import { ConversionError, shown } from '../errors.js';
import { PickleReader } from './pickle-reader.js';

/** A name that a pickle may ask for, such as `collections OrderedDict`. It stands for a meaning given here, never for Python code. */
export interface PickleGlobal {
  readonly name: string;
  /** What a call with these arguments makes; undefined for a name that is not called. Throws ConversionError for other arguments. */
  readonly call?: (args: readonly unknown[]) => unknown;
}

/** What a pickle may ask for. Everything else is refused by name. */
export interface PickleMeanings {
  readonly globals: readonly PickleGlobal[];
  /** The object behind a persistent id, which is a tuple of torch's. Throws ConversionError. */
  readonly persistent: (id: unknown) => unknown;
}

const MARK = Symbol('mark');
const PROTOCOL = 2;

/** State of the stack machine that a pickle is a program for. */
interface Machine {
  readonly reader: PickleReader;
  readonly stack: unknown[];
  readonly memo: Map<number, unknown>;
  readonly meanings: PickleMeanings;
}

type Operation = (machine: Machine) => void;

/** The opcodes that a `state_dict` of tensors takes. */
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x80, checkProtocol],
  [0x28, ({ stack }) => stack.push(MARK)], // MARK
  [0x4e, ({ stack }) => stack.push(null)], // NONE
  [0x88, ({ stack }) => stack.push(true)], // NEWTRUE
  [0x89, ({ stack }) => stack.push(false)], // NEWFALSE
  [0x4b, ({ stack, reader }) => stack.push(reader.unsigned(1))], // BININT1
  [0x4d, ({ stack, reader }) => stack.push(reader.unsigned(2))], // BININT2
  [0x4a, ({ stack, reader }) => stack.push(reader.int32())], // BININT
  [0x8a, ({ stack, reader }) => stack.push(reader.long())], // LONG1
  [0x58, ({ stack, reader }) => stack.push(reader.text(reader.unsigned(4)))], // BINUNICODE
  [0x7d, ({ stack }) => stack.push(new Map())], // EMPTY_DICT
  [0x29, ({ stack }) => stack.push([])], // EMPTY_TUPLE
  [0x85, ({ stack }) => stack.push(take(stack, 1))], // TUPLE1
  [0x86, ({ stack }) => stack.push(take(stack, 2))], // TUPLE2
  [0x87, ({ stack }) => stack.push(take(stack, 3))], // TUPLE3
  [0x74, ({ stack }) => stack.push(takeToMark(stack))], // TUPLE
  [0x71, (machine) => memoize(machine, 1)], // BINPUT
  [0x72, (machine) => memoize(machine, 4)], // LONG_BINPUT
  [0x68, (machine) => recall(machine, 1)], // BINGET
  [0x6a, (machine) => recall(machine, 4)], // LONG_BINGET
  [0x73, ({ stack }) => setItems(stack, take(stack, 2))], // SETITEM
  [0x75, ({ stack }) => setItems(stack, takeToMark(stack))], // SETITEMS
  [0x62, build], // BUILD
  [0x63, pushGlobal], // GLOBAL
  [0x51, ({ stack, meanings }) => stack.push(meanings.persistent(take(stack, 1)[0]))], // BINPERSID
  [0x52, reduce], // REDUCE
]);
const STOP = 0x2e;

/**
 * Reads a pickle without unpickling it: interprets those opcodes of protocol 2 that tensors need, and nothing is run. A dict is
 * a Map, a tuple an array; `None` is null.
 * @throws ConversionError for any other opcode or name
 */
export function readPickle(bytes: Uint8Array, meanings: PickleMeanings): unknown {
  const machine: Machine = { reader: new PickleReader(bytes), stack: [], memo: new Map(), meanings };
  for (;;) {
    const opcode = machine.reader.unsigned(1);
    if (opcode === STOP) break;
    const operation = OPERATIONS.get(opcode);
    if (operation === undefined) {
      throw new ConversionError(
        `the pickle has an opcode 0x${opcode.toString(16)}, which tensors do not need; nothing of it was run`,
      );
    }
    operation(machine);
  }
  const [value, another] = machine.stack;
  if (value === undefined || another !== undefined) throw malformed();
  return value;
}

function checkProtocol({ reader }: Machine): void {
  const protocol = reader.unsigned(1);
  if (protocol === PROTOCOL) return;
  throw new ConversionError(`the pickle is of protocol ${protocol}; accepted is ${PROTOCOL}, which torch.save writes`);
}

function take(stack: unknown[], count: number): unknown[] {
  const taken = stack.splice(Math.max(0, stack.length - count));
  if (taken.length < count || taken.includes(MARK)) throw malformed();
  return taken;
}

function takeToMark(stack: unknown[]): unknown[] {
  const mark = stack.lastIndexOf(MARK);
  if (mark === -1) throw malformed();
  return stack.splice(mark).slice(1);
}

function memoize({ reader, stack, memo }: Machine, indexBytes: number): void {
  const [value] = take(stack, 1);
  memo.set(reader.unsigned(indexBytes), value);
  stack.push(value);
}

function recall({ reader, stack, memo }: Machine, indexBytes: number): void {
  const value = memo.get(reader.unsigned(indexBytes));
  if (value === undefined) throw malformed();
  stack.push(value);
}

function setItems(stack: unknown[], items: readonly unknown[]): void {
  const dict = stack.at(-1);
  if (!(dict instanceof Map) || items.length % 2 !== 0) throw malformed();
  for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
}

/** Attributes of an OrderedDict are dropped: a `state_dict` has the versions of its modules there. */
function build({ stack }: Machine): void {
  take(stack, 1);
  if (!(stack.at(-1) instanceof Map)) {
    throw new ConversionError('the pickle sets attributes of something that is not a dict; nothing of it was run');
  }
}

function pushGlobal({ reader, stack, meanings }: Machine): void {
  const name = `${reader.line()} ${reader.line()}`;
  const global = meanings.globals.find((one) => one.name === name);
  if (global === undefined) {
    const accepted = meanings.globals.map((one) => one.name).join(', ');
    throw new ConversionError(
      `the pickle asks for ${shown(name)}; accepted are ${accepted}; nothing of it was run or loaded`,
    );
  }
  stack.push(global);
}

function reduce({ stack, meanings }: Machine): void {
  const [callee, args] = take(stack, 2);
  const global = meanings.globals.find((one) => one === callee);
  if (global?.call === undefined || !Array.isArray(args)) {
    throw new ConversionError('the pickle calls something that is not called for tensors; nothing of it was run');
  }
  stack.push(global.call(args));
}

function malformed(): ConversionError {
  return new ConversionError('the pickle is malformed');
}
