import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { ConfigError } from '../../config/error.js';
import type { Settings } from '../../config/variables.js';
import type { RedisTls } from '../../redis/options.js';
import { systemError } from '../../lib/system-error.js';

/** The files by which this process and a Redis behind `rediss://` know each other. */
export type StoreTls = Partial<Settings<'storeTls'>>;

/**
 * Reads and checks the files.
 * @throws ConfigError naming the variable of a file that is missing, holds no PEM, or does not fit the other
 */
export function readStoreTls({ storeCa, storeCert, storeKey }: StoreTls): RedisTls {
  const ca = storeCa === undefined ? undefined : readCertificates('PREAMBLE_STORE_CA', storeCa);
  if (storeCert === undefined || storeKey === undefined) return { ca };
  const cert = readCertificates('PREAMBLE_STORE_CERT', storeCert);
  return { ca, cert, key: readKeyOf(new X509Certificate(cert), storeKey) };
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a file, each checked: Node.js leaves out damaged ones without a word. */
function readCertificates(variable: string, file: string): string {
  const text = read(variable, file);
  const certificates = text.match(CERTIFICATES);
  if (certificates === null) throw new ConfigError(variable, `${file} holds no certificate in PEM`);
  for (const [index, certificate] of certificates.entries()) {
    if (!isReadable(certificate)) throw new ConfigError(variable, `certificate ${index + 1} in ${file} is damaged`);
  }
  return certificates.join('\n');
}

function isReadable(certificate: string): boolean {
  try {
    return new X509Certificate(certificate).raw.length > 0;
  } catch {
    return false;
  }
}

function readKeyOf(certificate: X509Certificate, file: string): string {
  const variable = 'PREAMBLE_STORE_KEY';
  const text = read(variable, file);
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(text));
  } catch (error) {
    const isEncrypted = (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE';
    throw new ConfigError(variable, `${file} ${isEncrypted ? 'is encrypted' : 'holds no private key in PEM'}`);
  }
  if (!fits) throw new ConfigError(variable, `${file} is not the key of the certificate in PREAMBLE_STORE_CERT`);
  return text;
}

function read(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(variable, systemError(error)?.message ?? `${file} cannot be read`);
  }
}
