/** The handlers of `/v1/ops/orphans`: what runs without a record, and what is recorded and missing. */
import type { Orphan } from '../model/stores/orphans.js';
import type { AdoptBody, OrphanBody, StraysBody } from '../wire/orphans.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { vmBody } from './vms.js';

interface OrphanParams {
  readonly host: string;
  readonly vm: string;
}

export async function listStrays(_call: Call, { control }: ApiPorts): Promise<Answer> {
  const { orphans, missing, onMissing } = await control.strays();
  const json: StraysBody = {
    orphans: orphans.map(orphanBody),
    missing: missing.map(({ vm, host, since, strikes }) => ({
      vm: { id: vm.id, name: vm.name },
      host: { id: host.id, name: host.name },
      since: since.toISOString(),
      strikes,
      onMissing,
    })),
  };
  return { status: 200, json };
}

export async function adoptOrphan(
  { params, body, by }: Call<OrphanParams, undefined, AdoptBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 202, json: vmBody(await control.adoptOrphan(params.host, params.vm, body, by)) };
}

export async function destroyOrphan(
  { params, by }: Call<OrphanParams, undefined, Readonly<Record<string, never>>>,
  { control }: ApiPorts,
): Promise<Answer> {
  const orphan = await control.destroyOrphan(params.host, params.vm, by);
  return { status: 202, json: orphanBody(orphan) };
}

const orphanBody = (orphan: Orphan): OrphanBody => ({
  host: { id: orphan.host.id, name: orphan.host.name },
  vmId: orphan.vmId,
  state: orphan.state,
  resources: { ...orphan.resources },
  assignment: orphan.assignment,
  firstSeenAt: orphan.firstSeenAt.toISOString(),
  lastSeenAt: orphan.lastSeenAt.toISOString(),
  recordedOn:
    orphan.recordedOn === null ? null : { id: orphan.recordedOn.id, name: orphan.recordedOn.name },
  leaving: orphan.leaving,
});
