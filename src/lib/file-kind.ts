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
  [['pk\x03\x04'], ARCHIVE],
  [['\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05'], PICKLE],
  [['gguf'], GGUF],
];
/** UTF-8's byte order mark. */
const MARK = '\xEF\xBB\xBF';
/** Bytes of a file's start that `fileKind` looks at. */
export const KIND_BYTES = 64;

/** What a file is by its first bytes; undefined where they say nothing. No JSON and no safetensors begins so. */
export function fileKind(start: Uint8Array): FileKind | undefined {
  if (start.length === 0) return EMPTY;
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, KIND_BYTES)).toString('latin1');
  const begin = (text.startsWith(MARK) ? text.slice(MARK.length) : text).trimStart().toLowerCase();
  return STARTS.find(([starts]) => starts.some((known) => begin.startsWith(known)))?.[1];
}
