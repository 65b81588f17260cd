/** The part of the double of control that is about images and consoles: one image, one console. */
import type { HostFileVerbs, OnHost } from '../../src/control/host-files.js';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import type { HostImage } from '../../src/model/images.js';
import type { Vm } from '../../src/model/vm.js';

export interface HostFilesDouble {
  /** What was brought, by name. */
  readonly images: Map<string, { readonly image: HostImage; readonly content: string }>;
  /** What the console of every VM has said. */
  console: string;
  readonly verbs: HostFileVerbs;
}

export function hostFilesDouble(
  hosts: ReadonlyMap<string, Host>,
  vms: ReadonlyMap<string, Vm>,
  work: () => Promise<void>,
): HostFilesDouble {
  const images: HostFilesDouble['images'] = new Map();
  const refOf = ({ id, name }: Host) => ({ id, name });
  const done = (wanted: string | null): readonly OnHost[] => {
    const all = [...hosts.values()];
    const chosen =
      wanted === null ? all : all.filter(({ id, name }) => [id, name].includes(wanted));
    if (wanted !== null && chosen.length === 0) {
      throw new DomainError('not_found', `There is no host ${wanted}.`);
    }
    return chosen.map((host) => ({ host: refOf(host), outcome: 'done', detail: null }));
  };
  const double: HostFilesDouble = {
    images,
    console: 'berth guest web-1: ready\n',
    verbs: {
      async images() {
        await work();
        const items = [...images.values()].map(({ image }) => ({
          name: image.name,
          hosts: [...hosts.values()].map((host) => ({ host: refOf(host), image })),
        }));
        return { items, unanswered: [] };
      },
      async addImage(name, source, host) {
        await work();
        const on = done(host);
        const pieces: Uint8Array[] = [];
        for await (const piece of source.read()) pieces.push(piece);
        const content = Buffer.concat(pieces).toString();
        const { bytes, digest, format } = source;
        const addedAt = new Date('2026-11-21T10:00:00.000Z');
        const image = {
          name,
          format: format ?? 'raw',
          bytes,
          virtualBytes: bytes,
          digest,
          addedAt,
        };
        images.set(name, { image, content });
        return on;
      },
      async removeImage(name, host) {
        await work();
        images.delete(name);
        return done(host);
      },
      async readLog(vmId, part) {
        await work();
        if (!vms.has(vmId)) throw new DomainError('not_found', `There is no VM ${vmId}.`);
        const all = Buffer.from(double.console);
        const from = 'from' in part ? part.from : Math.max(0, all.length - part.tailBytes);
        // Small pieces, so that there is more than one.
        const bytes = all.subarray(from, from + 8);
        const next = from + bytes.length;
        return { bytes, next, more: next < all.length };
      },
    },
  };
  return double;
}
