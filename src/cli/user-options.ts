/** `--user` and `--ssh-key`: who may log in to a guest. */
import { readFile } from 'node:fs/promises';
import { SSH_KEY_PATTERN } from '../model/ids.js';
import type { VmUser } from '../model/vm.js';
import { CliFailure, EXIT, systemCode } from './failure.js';

export interface UserOptions {
  readonly user?: string;
  /** Files of public keys. */
  readonly sshKey?: readonly string[];
}

/** @throws CliFailure when one is said without the other, or a file holds no public key */
export async function usersFrom({ user, sshKey = [] }: UserOptions): Promise<readonly VmUser[]> {
  if (user === undefined && sshKey.length === 0) return [];
  if (user === undefined || sshKey.length === 0) {
    throw new CliFailure(EXIT.usage, '--user and --ssh-key go together: nobody gets in otherwise.');
  }
  return [{ name: user, sshKeys: (await Promise.all(sshKey.map(keysIn))).flat() }];
}

async function keysIn(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const code = systemCode(cause) ?? 'no reason given';
    throw new CliFailure(EXIT.usage, `${file} cannot be read (${code}).`, { cause });
  });
  const lines = text.split('\n').map((line) => line.trim());
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#'));
  // A private key must not leave this machine because of a slip of the pen.
  if (keys.length > 0 && keys.every((key) => SSH_KEY_PATTERN.test(key))) return keys;
  throw new CliFailure(EXIT.usage, `${file} does not hold public keys, one a line.`, {
    hint: 'public keys end in .pub: ~/.ssh/id_ed25519.pub',
  });
}
