/**
 * Fingerprints of models whose files were rewritten with the same content, and the fingerprints that their prefixes are stored under. The
 * tokenizers of the bundled models were, in a form that older programs read too.
 */
const REWRITTEN: ReadonlyMap<string, string> = new Map([
  [
    '9627adf346ce5dcb789190db7fafc7c1b01061e8aca792cef50173030efffc5e',
    'f06365e67bd50625165241fb6de9c85e05350516b1f0a96ecc4cf95d951cc6ea',
  ],
  [
    '9831cef11af973088193fd37699d15b958c0e83e90b79df15564b25fa31ed5f8',
    '9d47809dae6cdfef1d1b9f2e64a143e5545e661c05b7b037f8dc447242f1920e',
  ],
]);

/** The fingerprint that a model is known by, from that of its files. */
export function knownFingerprint(ofFiles: string): string {
  return REWRITTEN.get(ofFiles) ?? ofFiles;
}
