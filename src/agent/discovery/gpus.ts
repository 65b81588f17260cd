/**
 * GPUs that can be given to VMs, as sysfs shows them: virtual ones where the driver splits its cards
 * (mediated devices), else whole cards that a VM can be handed. Cards' own sound and bridges do not
 * count, whoever made them. Nothing is bound or made here.
 */
import { linkedName, namesIn, readSys } from './sys-files.js';

export interface VgpuProfile {
  readonly name: string;
  readonly framebufferMb: number;
  /** How many more of this kind could be made now. */
  readonly available: number;
}

export interface GpuDevice {
  readonly name: string;
  /** No driver of the host holds it. */
  readonly available: boolean;
}

export interface GpuRoom {
  readonly mode: 'vgpu' | 'passthrough';
  /** What VMs may have in all. */
  readonly slots: number;
  readonly profiles: readonly VgpuProfile[];
  readonly devices: readonly GpuDevice[];
}

/** @returns null where there is none */
export async function measureGpus(root: string): Promise<GpuRoom | null> {
  return (await virtualGpus(root)) ?? (await wholeGpus(root));
}

const MDEV_PARENTS = '/sys/class/mdev_bus';

/** What one parent offers of one kind. */
interface Offer extends VgpuProfile {
  readonly parent: string;
}

async function virtualGpus(root: string): Promise<GpuRoom | null> {
  const parents = await namesIn(root, MDEV_PARENTS);
  if (parents.length === 0) return null;
  const offers = (await Promise.all(parents.map((parent) => offersOf(root, parent)))).flat();
  const made = await madeOf(root, new Set(parents));
  const slots = await Promise.all(
    parents.map(async (parent) => {
      // A virtual function takes one device, whatever kinds it offers.
      if ((await linkedName(root, `${MDEV_PARENTS}/${parent}/physfn`)) !== null) return 1;
      const own = offers.filter((offer) => offer.parent === parent);
      return Math.max(0, ...own.map(({ available }) => available)) + (made.get(parent) ?? 0);
    }),
  );
  return {
    mode: 'vgpu',
    slots: slots.reduce((sum, count) => sum + count, 0),
    profiles: byProfile(offers),
    devices: [],
  };
}

async function offersOf(root: string, parent: string): Promise<readonly Offer[]> {
  const folder = `${MDEV_PARENTS}/${parent}/mdev_supported_types`;
  const kinds = await namesIn(root, folder);
  return Promise.all(
    kinds.map(async (kind) => {
      const read = async (file: string) =>
        (await readSys(root, `${folder}/${kind}/${file}`))?.trim() ?? '';
      const [name, description, available] = await Promise.all([
        read('name'),
        read('description'),
        read('available_instances'),
      ]);
      return {
        parent,
        // Drivers write "GRID L40S-1Q"; people say "L40S-1Q".
        name: name.replace(/^(GRID|NVIDIA)\s+/, '') || kind,
        framebufferMb: parseFramebufferMb(description),
        available: parseCount(available),
      };
    }),
  );
}

/** From `num_heads=4, framebuffer=1024M, …`; 0 when it does not say. */
export const parseFramebufferMb = (description: string): number =>
  parseCount(/\bframebuffer=([0-9]{1,9})M/.exec(description)?.[1] ?? '');

/** A count of sysfs; what is no number counts 0. */
export const parseCount = (text: string): number =>
  Number(/^([0-9]{1,9})$/.exec(text.trim())?.[1] ?? 0);

/** Devices that are made already, by parent; the parent is the folder that holds the device. */
async function madeOf(
  root: string,
  parents: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
  const made = new Map<string, number>();
  for (const parent of parents) {
    const names = await namesIn(root, `${MDEV_PARENTS}/${parent}`);
    made.set(parent, names.filter(isUuid).length);
  }
  return made;
}

const isUuid = (name: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(name);

function byProfile(offers: readonly Offer[]): readonly VgpuProfile[] {
  const sums = new Map<string, VgpuProfile>();
  for (const { name, framebufferMb, available } of offers) {
    const before = sums.get(name)?.available ?? 0;
    sums.set(name, { name, framebufferMb, available: before + available });
  }
  return [...sums.values()];
}

const PCI_DEVICES = '/sys/bus/pci/devices';

/** VGA controller, 3D controller, other display controller, processing accelerator. */
const GPU_CLASSES = /^0x(0300|0302|0380|1200)/;

const VENDORS: Readonly<Record<string, string>> = {
  '0x10de': 'NVIDIA',
  '0x1002': 'AMD',
  '0x8086': 'Intel',
};

/** The driver that holds a device for VMs. */
const PASSTHROUGH_DRIVER = 'vfio-pci';

async function wholeGpus(root: string): Promise<GpuRoom | null> {
  const addresses = await namesIn(root, PCI_DEVICES);
  const found = await Promise.all(addresses.map((address) => gpuAt(root, address)));
  const devices = found.filter((device) => device !== null);
  if (devices.length === 0) return null;
  const slots = devices.filter(({ available }) => available).length;
  return { mode: 'passthrough', slots, profiles: [], devices };
}

/** A card that an IOMMU keeps apart, and that is not the one on which the host shows its console. */
async function gpuAt(root: string, address: string): Promise<GpuDevice | null> {
  const folder = `${PCI_DEVICES}/${address}`;
  const read = async (file: string) => (await readSys(root, `${folder}/${file}`))?.trim() ?? '';
  if (!GPU_CLASSES.test(await read('class'))) return null;
  if ((await linkedName(root, `${folder}/iommu_group`)) === null) return null;
  const driver = await linkedName(root, `${folder}/driver`);
  if ((await read('boot_vga')) === '1' && driver !== PASSTHROUGH_DRIVER) return null;
  const [vendor, device] = [await read('vendor'), await read('device')];
  return {
    name: `${VENDORS[vendor] ?? vendor} ${vendor.slice(2)}:${device.slice(2)} at ${address}`,
    available: driver === null || driver === PASSTHROUGH_DRIVER,
  };
}
