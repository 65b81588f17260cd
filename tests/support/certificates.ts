/** Certificates for tests, made with openssl when they are needed: they outlive no test run. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificates {
  /** Of the authority, in PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** For 127.0.0.1, signed by it. */
  readonly certFile: string;
  readonly keyFile: string;
  remove(): Promise<void>;
}

export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-certificates-'));
  const at = (name: string) => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run('openssl', [
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Berth test authority'],
    ...['-keyout', at('ca.key'), '-out', at('ca.pem')],
  ]);
  await run('openssl', [
    ...['req', ...key, '-subj', '/CN=redis', '-keyout', at('redis.key'), '-out', at('redis.csr')],
  ]);
  await writeFile(at('names'), 'subjectAltName=IP:127.0.0.1');
  await run('openssl', [
    ...['x509', '-req', '-in', at('redis.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-CAcreateserial', '-days', '2', '-extfile', at('names'), '-out', at('redis.pem')],
  ]);
  return {
    ca: await readFile(at('ca.pem'), 'utf8'),
    caFile: at('ca.pem'),
    certFile: at('redis.pem'),
    keyFile: at('redis.key'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
