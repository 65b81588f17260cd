/** Everything is healed: do hosts, catalogue and ledger agree, and with what clients were told? */
import { setTimeout as sleep } from 'node:timers/promises';
import type { VerifyBody } from '../../src/wire/verify.js';
import type { VmBody } from '../../src/wire/vms.js';
import { allVms, call } from '../support/cluster.js';
import type { Clients } from './clients.js';
import { machineMs } from './observed-driver.js';
import { hostStates, type Stack } from './stack.js';

const LIMIT_MS = 60_000;
const PAUSE_MS = 250;
const AT_REST = new Set(['running', 'stopped', 'failed', 'waiting']);
const LISTED_MAX = 12;

/**
 * Waits until all agree. The clients must rest.
 * @returns how long it took, and what was still wrong when the time was over
 */
export async function converge(
  stack: Stack,
  clients: Clients,
): Promise<{ readonly ms: number; readonly wrong: readonly string[] }> {
  const began = machineMs();
  for (;;) {
    const wrong = await differences(stack, clients).catch((error: unknown) => [String(error)]);
    const ms = machineMs() - began;
    if (wrong.length === 0 || ms > LIMIT_MS) return { ms, wrong: wrong.slice(0, LISTED_MAX) };
    await sleep(PAUSE_MS);
  }
}

async function differences(stack: Stack, clients: Clients): Promise<string[]> {
  const { urls, truth } = stack;
  const [url = ''] = urls;
  const wrong: string[] = [];
  for (const [at, one] of urls.entries()) {
    const ready = await fetch(`${one}/readyz`, { signal: AbortSignal.timeout(LIMIT_MS) });
    if (!ready.ok) wrong.push(`replica ${(at + 1).toString()} is not ready: ${await ready.text()}`);
  }
  for (const { id, name, state, mode } of await hostStates(url)) {
    if (state !== 'up') wrong.push(`host ${name} is ${state}`);
    if (mode === 'enabled') continue;
    wrong.push(`host ${name} is ${mode}`);
    await call(url, 'DELETE', `/v1/hosts/${id}/drain`);
    await call(url, 'PATCH', `/v1/hosts/${id}`, { mode: 'enabled' });
  }
  if (wrong.length > 0) return wrong;
  const vms = await allVms(url);
  truth.read();
  wrong.push(...atRest(vms), ...asPromised(vms, clients), ...asTrue(vms, stack));
  if (wrong.length > 0) return wrong;
  const { status, body } = await call<VerifyBody>(url, 'GET', '/v1/ops/verify');
  if (status !== 200) return [`verify was answered ${status.toString()}`];
  if (body.unchecked > 0) wrong.push(`verify could not judge ${body.unchecked.toString()} hosts`);
  wrong.push(...body.findings.map((finding) => `verify: ${JSON.stringify(finding)}`));
  if (wrong.length === 0) settle(vms, stack, clients);
  return wrong;
}

const atRest = (vms: readonly VmBody[]): readonly string[] =>
  vms.flatMap(({ id, state, desiredState, host, reason }) => {
    const rests =
      AT_REST.has(state) && (state === desiredState || state === 'failed' || state === 'waiting');
    if (!rests)
      return [
        `VM ${id} is ${state}, wanted ${desiredState}, on ${host?.name ?? 'no host'} (${reason?.code ?? 'no reason'})`,
      ];
    return state === 'failed' && reason === null ? [`VM ${id} failed without a reason`] : [];
  });

/** What was acknowledged is there, what was deleted is not, and no key made two VMs. */
function asPromised(vms: readonly VmBody[], clients: Clients): readonly string[] {
  const ids = new Set(vms.map(({ id }) => id));
  const names = new Map<string, string>();
  const wrong: string[] = [];
  for (const { id, name } of clients.alive())
    if (!ids.has(id)) wrong.push(`VM ${id} (${name}) was acknowledged and is nowhere`);
  for (const { id, deleteAcked } of clients.known.values())
    if (deleteAcked !== null && ids.has(id)) wrong.push(`VM ${id} was deleted and is still there`);
  for (const { id, name } of vms) {
    const other = names.get(name);
    if (other !== undefined) wrong.push(`one key made two VMs: ${other} and ${id}`);
    names.set(name, id);
  }
  return wrong;
}

function asTrue(vms: readonly VmBody[], { truth }: Stack): readonly string[] {
  const wrong = [...truth.runningTwice()];
  const byId = new Map(vms.map((vm) => [vm.id, vm]));
  for (const { id, state, host } of vms) {
    const really = truth.runningOn(id).join(' and ') || 'nowhere';
    const said = state === 'running' ? (host?.name ?? 'no host') : 'nowhere';
    if (really !== said) wrong.push(`VM ${id} is ${state}: said to run ${said}, runs ${really}`);
  }
  for (const id of truth.held()) {
    const vm = byId.get(id);
    const books = vm !== undefined && vm.host !== null && vm.state !== 'failed';
    const where = truth.heldOn(id);
    if (!books && vm?.state !== 'failed')
      wrong.push(`something of VM ${id} is left on ${where.join(' and ')}`);
    else if (books && where.join() !== vm.host?.name)
      wrong.push(`VM ${id} is booked on ${vm.host?.name ?? ''}, and on ${where.join(' and ')}`);
  }
  return wrong;
}

/** What is gone now is gone for good. */
function settle(vms: readonly VmBody[], { truth }: Stack, clients: Clients): void {
  const ids = new Set(vms.map(({ id }) => id));
  for (const { id } of clients.known.values()) if (!ids.has(id)) truth.isFinal(id, machineMs());
}
