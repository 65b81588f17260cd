/**
 * With what QEMU runs guests on this machine: KVM where it really works, else translation (TCG).
 * That is tried, once per start of the machine, by booting a small guest just as VMs are booted:
 * a /dev/kvm that opens proves nothing; see canary-guest.ts.
 */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock, Log } from '../../model/ports.js';
import { acceleratorNoteSchema, type AcceleratorNote } from '../../wire/qemu.js';
import { readIfThere, writeDurably } from '../durable-file.js';
import { qemuArguments, type Accelerator } from './arguments.js';
import { ALIVE, canaryDisk } from './canary-guest.js';
import { FIRST_DESCRIPTOR, kvmGroup, launchProcess, type VmUser } from './launch.js';
import { findProcess, killProcess } from './process.js';
import { makeVmDirectory, vmDirectoryOf } from './vm-directory.js';

const run = promisify(execFile);

export interface TrialOptions {
  /** Full path of the QEMU program. */
  readonly program: string;
  /** The driver's own directory. */
  readonly root: string;
  readonly bootId: string;
  readonly user: VmUser | null;
  readonly clock: Clock;
  readonly log: Log;
}

const VERSION_LIMIT_MS = 10_000;
const NOTE_NAME = 'accelerator.json';

/** No VM has this id: ids hold no spaces. */
const CANARY_ID = 'the canary';
const CANARY_MEMORY_MIB = 64;
const CANARY_MAC = '52:54:00:00:00:01';
/** A sound KVM takes half a second; TCG takes that too, but may share the machine with much else. */
const TRIAL_LIMIT_MS: Readonly<Record<Accelerator, number>> = { kvm: 10_000, tcg: 60_000 };
const LOOK_EVERY_MS = 50;

/** @returns null when nothing runs guests here */
export async function chooseAccelerator(options: TrialOptions): Promise<Accelerator | null> {
  const { program, root, bootId, log } = options;
  const version = `${program} ${await versionOf(program)}`;
  const noted = await readNote(root);
  if (noted?.bootId === bootId && noted.version === version && noted.accelerator !== null) {
    return noted.accelerator;
  }
  const accelerator = await firstThatWorks(options);
  const note: AcceleratorNote = { bootId, version, accelerator };
  await writeDurably(join(root, NOTE_NAME), `${JSON.stringify(note)}\n`);
  if (accelerator === null) log.error('QEMU runs no guest here, neither with KVM nor without');
  return accelerator;
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await run(program, ['--version'], { timeout: VERSION_LIMIT_MS });
  return stdout.split('\n')[0]?.trim() ?? '';
}

async function readNote(root: string): Promise<AcceleratorNote | null> {
  const text = await readIfThere(join(root, NOTE_NAME));
  try {
    return text === null ? null : acceleratorNoteSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

async function firstThatWorks(options: TrialOptions): Promise<Accelerator | null> {
  const { log } = options;
  if ((await kvmGroup()) !== null) {
    if (await bootsWith('kvm', options)) return 'kvm';
    log.warn('/dev/kvm is there, but no guest gets through with it: VMs run without, and slowly');
  }
  return (await bootsWith('tcg', options)) ? 'tcg' : null;
}

/** Boots the canary. @returns whether it got through in time */
export async function bootsWith(
  accelerator: Accelerator,
  { program, root, bootId, user, clock, log }: TrialOptions,
  limitMs = TRIAL_LIMIT_MS[accelerator],
): Promise<boolean> {
  const directory = vmDirectoryOf(root, CANARY_ID);
  await makeVmDirectory(directory, user);
  // One of an agent that was killed while it tried.
  const old = await findProcess(directory, bootId);
  if (old !== null) await killProcess(old);
  const disk = join(directory.path, 'canary.raw');
  await writeFile(disk, canaryDisk(), { mode: 0o600 });
  await writeFile(directory.consoleLog, '', { mode: 0o600 });
  const canary = await launchProcess({
    program,
    args: qemuArguments({
      uuid: directory.key,
      cpu: 1,
      memoryMib: CANARY_MEMORY_MIB,
      accelerator,
      disks: [
        {
          name: 'root',
          format: 'raw',
          readOnly: true,
          descriptor: FIRST_DESCRIPTOR + 1,
          backing: null,
        },
      ],
      network: { kind: 'user', mac: CANARY_MAC },
      diskIoBytesPerS: null,
      diskIoBurst: 1,
      consoleDescriptor: FIRST_DESCRIPTOR,
    }),
    runDir: directory.runDir,
    files: [
      { path: directory.consoleLog, mode: 'append' },
      { path: disk, mode: 'read' },
    ],
    log: directory.qemuLog,
    groupFiles: [],
    user,
    kvmGroup: accelerator === 'kvm' ? await kvmGroup() : null,
    tunNode: null,
  });
  const over = new AbortController();
  const ended = canary.ended
    .catch((error: unknown) => {
      log.error('the trial of an accelerator could not be started', { accelerator, error });
    })
    .finally(() => {
      over.abort();
    });
  try {
    const until = clock.monotonic() + limitMs;
    for (;;) {
      if ((await readFile(directory.consoleLog, 'latin1')).includes(ALIVE)) return true;
      if (over.signal.aborted || clock.monotonic() > until) return false;
      await clock.sleep(LOOK_EVERY_MS, over.signal);
    }
  } finally {
    await killProcess(canary);
    await ended;
    await rm(directory.path, { recursive: true, force: true });
  }
}
