/** From what a person calls a VM to the VM: by id, else by a name that only one VM has. */
import { ID_PATTERN } from '../model/ids.js';
import { vmPageSchema, vmSchema, type VmBody } from '../wire/vms.js';
import type { Client } from './client.js';
import { CliFailure, EXIT } from './failure.js';
import { gather } from './pages.js';

/** Most VMs that an ambiguous name lists. */
const LISTED_MAX = 10;

export const vmPath = (id: string): string => `/v1/vms/${encodeURIComponent(id)}`;

/**
 * Names are not unique and the API knows ids only, so a name is looked for in the whole list.
 * @throws CliFailure when there is none, or more than one
 */
export async function findVm(client: Client, idOrName: string): Promise<VmBody> {
  if (!ID_PATTERN.test(idOrName)) {
    throw new CliFailure(EXIT.usage, `"${idOrName}" can be neither the id nor the name of a VM.`);
  }
  try {
    return await client.call('GET', vmPath(idOrName), vmSchema);
  } catch (error) {
    if (!(error instanceof CliFailure) || error.exitCode !== EXIT.notFound) throw error;
  }
  const { items } = await gather(client, '/v1/vms', vmPageSchema);
  const named = items.filter(({ name, state }) => name === idOrName && state !== 'deleted');
  const [only, ...others] = named;
  if (only === undefined) {
    throw new CliFailure(EXIT.notFound, `There is no VM with the id or name ${idOrName}.`, {
      hint: '`berth vm list` shows all',
    });
  }
  if (others.length > 0) {
    throw new CliFailure(
      EXIT.usage,
      `${named.length.toString()} VMs are named ${idOrName}; say which by its id:`,
      {
        lines: [
          ...named.slice(0, LISTED_MAX).map(({ id, state }) => `${id}  ${state}`),
          ...(named.length > LISTED_MAX ? ['…'] : []),
        ],
      },
    );
  }
  return only;
}
