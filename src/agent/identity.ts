/**
 * Who this host is: an id and two secrets that are made once and kept on disk. Name and address
 * are not part of it; they may change.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ID_PATTERN } from '../model/ids.js';
import { readProc } from '../std/proc.js';
import { newSecret } from '../std/secret.js';
import { HOST_TOKEN_KIND, HOST_TOKEN_PATTERN } from '../wire/hosts.js';
import { readIfThere, writeDurably } from './durable-file.js';

export interface Identity {
  readonly hostId: string;
  /** What the control plane shows this agent to prove itself. */
  readonly credential: string;
  /** What this agent shows the control plane, once it has joined. */
  readonly token: string;
}

/** An identity, and whether the control plane may know its token already. */
export interface LoadedIdentity extends Identity {
  readonly isNew: boolean;
}

export const identityFile = (dataDir: string): string => join(dataDir, 'identity.json');

const CREDENTIAL_BYTES = 32;
const CREDENTIAL_PATTERN = /^[A-Za-z0-9_-]{32,128}$/;

/**
 * Reads the identity, or makes one on the first start.
 * @throws Error when there is one that cannot be read: with a new id, the VMs here would be lost
 */
export async function loadIdentity(dataDir: string): Promise<LoadedIdentity> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = identityFile(dataDir);
  const text = await readIfThere(path);
  const known = text === null ? null : parseIdentity(text, path);
  if (known?.token !== undefined) return { ...known, token: known.token, isNew: false };
  const identity: Identity = {
    hostId: known?.hostId ?? randomUUID(),
    credential: known?.credential ?? randomBytes(CREDENTIAL_BYTES).toString('base64url'),
    token: newSecret(HOST_TOKEN_KIND),
  };
  await writeDurably(path, `${JSON.stringify(identity, null, 2)}\n`, 0o600);
  return { ...identity, isNew: true };
}

/** Files of older agents hold no token. */
type Kept = Omit<Identity, 'token'> & { readonly token: string | undefined };

function parseIdentity(text: string, path: string): Kept {
  try {
    const { hostId, credential, token } = JSON.parse(text) as Partial<
      Record<keyof Identity, unknown>
    >;
    if (
      typeof hostId === 'string' &&
      ID_PATTERN.test(hostId) &&
      typeof credential === 'string' &&
      CREDENTIAL_PATTERN.test(credential)
    ) {
      if (token === undefined) return { hostId, credential, token };
      if (typeof token === 'string' && HOST_TOKEN_PATTERN.test(token)) {
        return { hostId, credential, token };
      }
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
