/**
 * Who this host is: an id and a credential that are made once and kept on disk. Name and address
 * are not part of it; they may change.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ID_PATTERN } from '../model/ids.js';
import { readProc } from '../std/proc.js';
import { readIfThere, writeDurably } from './durable-file.js';

export interface Identity {
  readonly hostId: string;
  /** What the control plane shows this agent to prove itself. */
  readonly credential: string;
}

const FILE_NAME = 'identity.json';
const CREDENTIAL_BYTES = 32;
const CREDENTIAL_PATTERN = /^[A-Za-z0-9_-]{32,128}$/;

/**
 * Reads the identity, or makes one on the first start.
 * @throws Error when there is one that cannot be read: with a new id, the VMs here would be lost
 */
export async function loadIdentity(dataDir: string): Promise<Identity> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, FILE_NAME);
  const text = await readIfThere(path);
  if (text !== null) return parseIdentity(text, path);
  const identity: Identity = {
    hostId: randomUUID(),
    credential: randomBytes(CREDENTIAL_BYTES).toString('base64url'),
  };
  await writeDurably(path, `${JSON.stringify(identity, null, 2)}\n`, 0o600);
  return identity;
}

function parseIdentity(text: string, path: string): Identity {
  try {
    const { hostId, credential } = JSON.parse(text) as Partial<Record<keyof Identity, unknown>>;
    if (
      typeof hostId === 'string' &&
      ID_PATTERN.test(hostId) &&
      typeof credential === 'string' &&
      CREDENTIAL_PATTERN.test(credential)
    ) {
      return { hostId, credential };
    }
  } catch {
    // Not JSON: told below like any other unusable content.
  }
  throw new Error(
    `${path} holds no usable identity; restore it from a backup, or delete it only if this host runs no VMs`,
  );
}

/** Names this start of the machine; of this process where the kernel does not tell. */
export async function readBootId(path = '/proc/sys/kernel/random/boot_id'): Promise<string> {
  const bootId = (await readProc(path))?.trim() ?? '';
  return ID_PATTERN.test(bootId) ? bootId : randomUUID();
}
