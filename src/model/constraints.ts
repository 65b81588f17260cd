/** Where a VM may go, besides where it fits. */

export interface Constraints {
  /** Only hosts of this zone. */
  readonly zone?: string;
  readonly labels?: {
    /** Labels that a host must carry, with exactly these values. */
    readonly required?: Readonly<Record<string, string>>;
    /** Labels that a host must not carry with these values. */
    readonly forbidden?: Readonly<Record<string, string>>;
  };
  /** Only this host, by id or name. */
  readonly host?: string;
  /** None of these hosts, by id or name. */
  readonly exclude?: readonly string[];
}

export const NO_CONSTRAINTS: Constraints = Object.freeze({});
