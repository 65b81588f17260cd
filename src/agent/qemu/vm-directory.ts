/**
 * Where the driver keeps what belongs to one VM:
 *
 *   <root>/<key>/            ours alone
 *     process.json           which process runs it
 *     console.log, qemu.log  what the guest and what QEMU have written
 *     run/                   belongs to the VM's user; QEMU starts here and makes its sockets here
 *
 * QEMU is given the files above it as open descriptors, so that one that was taken over can put
 * nothing of its own (a symbolic link, say) where the agent reads or writes.
 */
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface VmDirectory {
  /** Names the VM to QEMU and in paths. */
  readonly key: string;
  readonly path: string;
  readonly runDir: string;
  readonly consoleLog: string;
  readonly qemuLog: string;
  readonly processNote: string;
}

/** A random UUID (version 4) in the form in which it is always printed. */
const RANDOM_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * A UUID for any VM id: the id itself if it is a random UUID, as those are which the control plane
 * gives out; else a version 8 UUID (RFC 9562, section 5.8) of the id's SHA-256. As the versions
 * differ, nobody can choose an id that takes the key of another VM.
 */
export function vmKeyOf(vmId: string): string {
  if (RANDOM_UUID.test(vmId)) return vmId;
  const digest = createHash('sha256').update(vmId).digest().subarray(0, 16);
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x80;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  const hex = digest.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

export function vmDirectoryOf(root: string, vmId: string): VmDirectory {
  const key = vmKeyOf(vmId);
  const path = join(root, key);
  return {
    key,
    path,
    runDir: join(path, 'run'),
    consoleLog: join(path, 'console.log'),
    qemuLog: join(path, 'qemu.log'),
    processNote: join(path, 'process.json'),
  };
}

/** @param owner of the part in which QEMU may write; null when it runs as we do */
export async function makeVmDirectory(
  { path, runDir }: VmDirectory,
  owner: { readonly uid: number; readonly gid: number } | null,
): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  await chmod(runDir, 0o700);
  if (owner !== null) await chown(runDir, owner.uid, owner.gid);
}
