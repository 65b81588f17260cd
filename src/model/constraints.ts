/** Where a VM may go, besides where it fits. */
import type { GroupRule } from './groups.js';

export interface Constraints {
  /** Only hosts of this zone. */
  readonly zone?: string | undefined;
  readonly labels?:
    | {
        /** Labels that a host must carry, with exactly these values. */
        readonly required?: Readonly<Record<string, string>> | undefined;
        /** Labels that a host must not carry with these values. */
        readonly forbidden?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
  /** Groups of the same path that the VM belongs to, each named once. */
  readonly groups?: readonly GroupRule[] | undefined;
  /** Only this host, by id or name. */
  readonly host?: string | undefined;
  /** None of these hosts, by id or name. */
  readonly exclude?: readonly string[] | undefined;
}

export const NO_CONSTRAINTS: Constraints = Object.freeze({});
