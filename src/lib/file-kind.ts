/** What a file turns out to be instead of what its name promises, and what to do about it: two parts of a sentence. */
export interface FileKind {
  readonly what: string;
  readonly help: string;
}

const POINTER: FileKind = {
  what: 'a Git LFS pointer, not the file itself',
  help: 'fetch the file with `git lfs pull`',
};
const PAGE: FileKind = { what: 'a web page', help: 'download the file itself' };
const ARCHIVE: FileKind = { what: 'a ZIP archive, as torch.save writes it', help: 'save it as safetensors' };
const PICKLE: FileKind = { what: 'a pickle, as old versions of torch.save write it', help: 'save it as safetensors' };
const GGUF: FileKind = { what: 'a GGUF file', help: 'convert it with Transformers' };
const EMPTY: FileKind = { what: 'empty', help: 'download it again' };

/** How the text of a file begins, bytes as characters, without spaces in front. */
const STARTS: readonly (readonly [readonly string[], FileKind])[] = [
  [['version https://git-lfs.github.com/spec/'], POINTER],
  [['<!doctype', '<html', '<head', '<?xml', '<!--'], PAGE],
  [['gguf'], GGUF],
];
/** UTF-8's byte order mark. */
const MARK = '\xEF\xBB\xBF';
/** Bytes of a file's start that `fileKind` looks at. */
export const KIND_BYTES = 64;

/** What a file is by its first bytes; undefined where they say nothing. No JSON and no safetensors begins so. */
export function fileKind(start: Uint8Array): FileKind | undefined {
  if (start.length === 0) return EMPTY;
  if (isZip(start)) return ARCHIVE;
  if (isBarePickle(start)) return PICKLE;
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, KIND_BYTES)).toString('latin1');
  const begin = (text.startsWith(MARK) ? text.slice(MARK.length) : text).trimStart().toLowerCase();
  return STARTS.find(([starts]) => starts.some((known) => begin.startsWith(known)))?.[1];
}

/** Whether a file is what torch.save writes: a ZIP archive since 1.6, before that a pickle. */
export function isTorchFile(start: Uint8Array): boolean {
  return isZip(start) || isBarePickle(start);
}

function isZip([first, second, third, fourth]: Uint8Array): boolean {
  return first === 0x50 && second === 0x4b && third === 3 && fourth === 4;
}

/** A pickle of protocol 2 to 5. The length that a safetensors file begins with may have the same bytes: then its header follows. */
function isBarePickle(start: Uint8Array): boolean {
  const [first, second = 0] = start;
  return first === 0x80 && second >= 2 && second <= 5 && start[8] !== 0x7b;
}
