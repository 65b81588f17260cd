/**
 * A number for each VM, kept on disk: interface, class, filter and address of a VM are named by it.
 * Numbers are given in turn, so that one which was given back is not soon another VM's.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere, writeDurably } from '../durable-file.js';

export interface VmNumbers {
  /** null when it has none. */
  of(vmId: string): number | null;
  vmIds(): readonly string[];
  /** The VM's number, a new one if need be; it is on disk when this returns. */
  give(vmId: string): Promise<number>;
  takeBack(vmId: string): Promise<void>;
}

interface Kept {
  readonly format: 1;
  readonly last: number;
  readonly numbers: Readonly<Record<string, number>>;
}

/**
 * @param directory made if need be
 * @param max the highest number
 * @throws Error when the file is there and cannot be read: what stands would be given twice
 */
export async function openVmNumbers(directory: string, max: number): Promise<VmNumbers> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'numbers.json');
  const kept = await read(path);
  let { last } = kept;
  const numbers = new Map(Object.entries(kept.numbers));

  const write = async (): Promise<void> => {
    const note: Kept = { format: 1, last, numbers: Object.fromEntries(numbers) };
    await writeDurably(path, `${JSON.stringify(note)}\n`);
  };

  const nextFree = (): number => {
    const taken = new Set(numbers.values());
    for (let step = 1; step <= max; step += 1) {
      const candidate = ((last + step - 1) % max) + 1;
      if (!taken.has(candidate)) return candidate;
    }
    throw new Error(`the network of this host has room for ${max.toString()} VMs, and has as many`);
  };

  return {
    of: (vmId) => numbers.get(vmId) ?? null,
    vmIds: () => [...numbers.keys()],
    async give(vmId) {
      const known = numbers.get(vmId);
      if (known !== undefined) return known;
      const number = nextFree();
      numbers.set(vmId, number);
      last = number;
      try {
        await write();
      } catch (cause) {
        numbers.delete(vmId);
        throw cause;
      }
      return number;
    },
    async takeBack(vmId) {
      const number = numbers.get(vmId);
      if (number === undefined) return;
      numbers.delete(vmId);
      try {
        await write();
      } catch (cause) {
        numbers.set(vmId, number);
        throw cause;
      }
    },
  };
}

async function read(path: string): Promise<Kept> {
  const text = await readIfThere(path);
  if (text === null) return { format: 1, last: 0, numbers: {} };
  const kept = parsed(text);
  if (kept === null) {
    throw new Error(
      `${path} cannot be read; stop the VMs of this host and delete it, or restore it`,
    );
  }
  return kept;
}

function parsed(text: string): Kept | null {
  try {
    const { format, last, numbers } = JSON.parse(text) as Partial<Record<keyof Kept, unknown>>;
    if (format !== 1 || !isNumber(last) || typeof numbers !== 'object' || numbers === null) {
      return null;
    }
    const given = Object.values(numbers);
    const isSound = given.every((one) => isNumber(one) && one > 0);
    if (!isSound || new Set(given).size !== given.length) return null;
    return { format, last, numbers: numbers as Kept['numbers'] };
  } catch {
    return null;
  }
}

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
