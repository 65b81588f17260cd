/** Where a host is in the API, by id or name. */
import { ID_PATTERN } from '../model/ids.js';
import { CliFailure, EXIT } from './failure.js';

/** @throws CliFailure when this can be no host */
export function hostPath(idOrName: string): string {
  if (!ID_PATTERN.test(idOrName)) {
    throw new CliFailure(EXIT.usage, `"${idOrName}" can be neither the id nor the name of a host.`);
  }
  return `/v1/hosts/${encodeURIComponent(idOrName)}`;
}
