/**
 * What this host can do for the networks of VMs, found out by doing it: a bridge, a TAP and a device
 * for uploads are made, limited, and taken away. That a module is there says nothing: whether this
 * process may use it does.
 */
import { runBatch, type RunTool } from './commands.js';
import { tapName, uploadName } from './names.js';
import {
  ensureTap,
  ensureUploadDevice,
  isolationLines,
  limitLines,
  lockingLines,
  removeLinks,
  type Abilities,
  type Plumbing,
  type VmPort,
} from './plumbing.js';

export type Probed =
  | { readonly mode: 'user'; readonly why: string }
  | {
      readonly mode: 'tap';
      readonly abilities: Abilities;
      /** What it cannot, each a sentence for people. */
      readonly notEnforced: readonly string[];
    };

/** No VM has number 0. */
const PORT: VmPort = { vmId: 'probe', number: 0 };
const RATE = { bytesPerS: 1_000_000, burst: 1 };

/** @param tag of the agent; what a probe that was killed left behind is removed first */
export async function probe(run: RunTool, tag: string, owner?: string): Promise<Probed> {
  const probeTag = probeTagOf(tag);
  const bridge = `vmbr-${probeTag}`;
  const plumbing: Plumbing = { run, tag: probeTag, bridge, owner };
  const own = [tapName(PORT.number, probeTag), uploadName(probeTag), bridge];
  const clear = (): Promise<void> => removeLinks(run, (name) => own.includes(name));
  try {
    await clear();
    await run('ip', ['link', 'add', 'name', bridge, 'type', 'bridge']);
    await ensureTap(plumbing, PORT);
  } catch (cause) {
    await clear().catch(() => undefined);
    return { mode: 'user', why: reasonOf(cause) };
  }
  try {
    return await tried(plumbing);
  } finally {
    await clear();
  }
}

/** Apart from those of the agent's VMs, so that clearing after a probe never meets them. */
const probeTagOf = (tag: string): string => `${tag.slice(0, -1)}p`;

async function tried(plumbing: Plumbing): Promise<Probed> {
  const { run } = plumbing;
  const notEnforced: string[] = [];
  const attempt = async (sentence: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (cause) {
      notEnforced.push(`${sentence} (${reasonOf(cause)}).`);
      return false;
    }
  };
  const abilities: Abilities = {
    isolation: await attempt('VMs of this host can reach each other over the bridge', () =>
      runBatch(run, 'bridge', isolationLines(plumbing, PORT)),
    ),
    locking: await attempt("A VM can send under another's hardware address", () =>
      runBatch(run, 'bridge', lockingLines(plumbing, PORT)),
    ),
    download: await attempt('Download limits of VMs are not enforced', () =>
      runBatch(run, 'tc', limitLines(plumbing, PORT, { download: RATE, upload: null })),
    ),
    upload: await attempt('Upload limits of VMs are not enforced', async () => {
      await ensureUploadDevice(plumbing);
      await runBatch(run, 'tc', limitLines(plumbing, PORT, { download: null, upload: RATE }));
    }),
  };
  return { mode: 'tap', abilities, notEnforced };
}

export const reasonOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).replace(/[.\s]+$/, '');
