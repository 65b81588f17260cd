/**
 * Images on hosts, and what consoles say. The hosts themselves are the record: which of them has an
 * image is asked of them each time, so it cannot be out of date.
 */
import pLimit from 'p-limit';
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import type { HostImage, ImageSource } from '../model/images.js';
import type { AgentContact, HostFiles, LogPart, LogPiece } from '../model/ports.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';

type HostRef = Pick<Host, 'id' | 'name'>;

export interface ImageOnHosts {
  readonly name: string;
  readonly hosts: readonly { readonly host: HostRef; readonly image: HostImage }[];
}

/** What became of it on one host. */
export interface OnHost {
  readonly host: HostRef;
  readonly outcome: 'done' | 'skipped' | 'failed';
  /** Why it is not done. */
  readonly detail: string | null;
}

export interface HostFileVerbs {
  /** What hosts that are up have, by name; and those that did not answer. */
  images(): Promise<{
    readonly items: readonly ImageOnHosts[];
    readonly unanswered: readonly HostRef[];
  }>;
  /**
   * Brings an image to one host, or to all that are up.
   * @param digest SHA-256 of the bytes, in hex: a host that has them is not sent them again
   * @throws DomainError `not_found` when there is no such host
   */
  addImage(
    name: string,
    source: ImageSource & { readonly digest: string },
    host: string | null,
    by: Caller,
  ): Promise<readonly OnHost[]>;
  /** Takes an image from one host, or from all that are up. @throws DomainError `not_found` */
  removeImage(name: string, host: string | null, by: Caller): Promise<readonly OnHost[]>;
  /** @throws DomainError `not_found` when there is no such VM, or it has no console */
  readLog(vmId: string, part: LogPart): Promise<LogPiece>;
}

/** Hosts to which an image is sent at once: more would only share the same line. */
const UPLOADS_MAX = 4;
const QUESTIONS_MAX = 32;
const PAGE = 100;

interface Target {
  readonly host: Host;
  readonly contact: AgentContact | null;
}

export function hostFileVerbs(ports: Pick<Ports, 'catalogue'>, files: HostFiles): HostFileVerbs {
  const { catalogue } = ports;
  const act = async (
    wanted: string | null,
    atOnce: number,
    run: (contact: AgentContact) => Promise<string | null>,
  ): Promise<readonly OnHost[]> => {
    const targets = await targetsOf(ports, wanted);
    const limit = pLimit(atOnce);
    return Promise.all(targets.map((target) => limit(() => outcomeOn(target, run))));
  };
  const note = (
    action: 'image.add' | 'image.remove',
    name: string,
    by: Caller,
    on: readonly OnHost[],
  ) => {
    const named = (outcome: OnHost['outcome']) =>
      on.filter((one) => one.outcome === outcome).map(({ host }) => host.name);
    const facts = { name, done: named('done'), failed: named('failed') };
    by.log.info(action === 'image.add' ? 'image added' : 'image removed', facts);
    const change =
      action === 'image.add' ? { before: null, after: facts } : { before: facts, after: null };
    return catalogue.note(by.actor, action, { kind: 'image', id: name }, change);
  };
  return {
    async images() {
      const limit = pLimit(QUESTIONS_MAX);
      const targets = await targetsOf(ports, null);
      const answers = await Promise.all(
        targets.map((target) => limit(() => imagesOn(files, target))),
      );
      return {
        items: byName(answers),
        unanswered: answers.flatMap(({ host, images }) => (images === null ? [host] : [])),
      };
    },
    async addImage(name, source, host, by) {
      const on = await act(host, UPLOADS_MAX, async (contact) => {
        const { items, anyName } = await files.images(contact);
        if (anyName) return 'It is a simulated host: it takes any name of an image.';
        const present = items.find((image) => image.name === name);
        const isSame =
          present?.digest === source.digest && (source.format ?? present.format) === present.format;
        if (!isSame) await files.putImage(contact, name, source);
        return null;
      });
      await note('image.add', name, by, on);
      return on;
    },
    async removeImage(name, host, by) {
      const on = await act(host, QUESTIONS_MAX, async (contact) => {
        await files.removeImage(contact, name);
        return null;
      });
      await note('image.remove', name, by, on);
      return on;
    },
    async readLog(vmId, part) {
      const vm = await catalogue.vm(vmId);
      if (vm === null) throw new DomainError('not_found', `There is no VM ${vmId}.`);
      const [contact] = vm.host === null ? [] : await catalogue.contacts(vm.host.id);
      if (contact === undefined) {
        throw new DomainError('not_found', `VM ${vm.name} is on no host: it has no console.`);
      }
      return files.readLog(contact, vmId, part);
    },
  };
}

/** @param run answers why nothing was to be done, or null when it is done */
async function outcomeOn(
  { host: { id, name, state }, contact }: Target,
  run: (contact: AgentContact) => Promise<string | null>,
): Promise<OnHost> {
  const host = { id, name };
  if (contact === null) return { host, outcome: 'skipped', detail: `It is ${state}.` };
  try {
    const detail = await run(contact);
    return { host, outcome: detail === null ? 'done' : 'skipped', detail };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { host, outcome: 'failed', detail: error.message };
  }
}

async function imagesOn(
  files: HostFiles,
  { host: { id, name }, contact }: Target,
): Promise<{ readonly host: HostRef; readonly images: readonly HostImage[] | null }> {
  const host = { id, name };
  if (contact === null) return { host, images: null };
  try {
    return { host, images: (await files.images(contact)).items };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { host, images: null };
  }
}

function byName(
  answers: readonly { readonly host: HostRef; readonly images: readonly HostImage[] | null }[],
): readonly ImageOnHosts[] {
  const names = new Map<string, ImageOnHosts['hosts'][number][]>();
  for (const { host, images } of answers) {
    for (const image of images ?? []) {
      const present = names.get(image.name) ?? [];
      present.push({ host, image });
      names.set(image.name, present);
    }
  }
  return [...names]
    .map(([name, hosts]) => ({ name, hosts }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The hosts, each with its contact while it is up. */
async function targetsOf(
  { catalogue }: Pick<Ports, 'catalogue'>,
  wanted: string | null,
): Promise<readonly Target[]> {
  const hosts = wanted === null ? await allHosts(catalogue) : [await catalogue.host(wanted)];
  const contacts = new Map(
    (await catalogue.contacts()).map((contact) => [contact.hostId, contact]),
  );
  return hosts.map((host) => {
    if (host === null) throw new DomainError('not_found', `There is no host ${wanted ?? ''}.`);
    return { host, contact: host.state === 'up' ? (contacts.get(host.id) ?? null) : null };
  });
}

async function allHosts(catalogue: Ports['catalogue']): Promise<readonly Host[]> {
  const hosts: Host[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Ports['catalogue']['hosts']>> = await catalogue.hosts({
      limit: PAGE,
      cursor,
    });
    hosts.push(...page.items.filter(({ mode }) => mode !== 'retired'));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return hosts;
}
