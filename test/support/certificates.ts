import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { inject } from 'vitest';

const run = promisify(execFile);
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** What `req` must have of a configuration; without -config it would take the system's, which need not be there. */
const CONFIG =
  '[req]\ndistinguished_name = dn\nx509_extensions = ca\n[dn]\n[ca]\nbasicConstraints = critical,CA:true\n';

/** A certificate with its key, each a file of PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** An authority of a test's own. */
export class Authority {
  private constructor(
    private readonly directory: string,
    private readonly own: CertificateFiles,
  ) {}

  /** Makes one whose files are in `directory` and begin with `name`. */
  static async create(directory: string, name: string): Promise<Authority> {
    const own = filesOf(directory, name);
    await writeFile(configIn(directory), CONFIG);
    const files = ['-config', configIn(directory), '-keyout', own.key, '-out', own.cert];
    await openssl('req', '-x509', ...KEY, ...files, '-subj', `/CN=${name}`, '-days', '2');
    return new Authority(directory, own);
  }

  /** File of the authority's own certificate. */
  get file(): string {
    return this.own.cert;
  }

  /** @param names such as `DNS:redis.test,IP:127.0.0.1` */
  async issue(name: string, names: string): Promise<CertificateFiles> {
    const { cert, key } = filesOf(this.directory, name);
    const [request, extensions] = [path.join(this.directory, `${name}.csr`), path.join(this.directory, `${name}.ext`)];
    await writeFile(extensions, `subjectAltName=${names}\n`);
    await openssl(
      'req',
      '-config',
      configIn(this.directory),
      ...KEY,
      '-keyout',
      key,
      '-out',
      request,
      '-subj',
      `/CN=${name}`,
    );
    const by = ['-CA', this.own.cert, '-CAkey', this.own.key, '-CAcreateserial', '-extfile', extensions];
    await openssl('x509', '-req', '-in', request, '-out', cert, '-days', '2', ...by);
    return { cert, key };
  }
}

function configIn(directory: string): string {
  return path.join(directory, 'openssl.cnf');
}

function filesOf(directory: string, name: string): CertificateFiles {
  return { cert: path.join(directory, `${name}.pem`), key: path.join(directory, `${name}.key`) };
}

async function openssl(...args: readonly string[]): Promise<void> {
  const { program, libraries } = inject('openssl');
  await run(program, args, { env: { ...process.env, ...(libraries && { LD_LIBRARY_PATH: libraries }) } });
}
