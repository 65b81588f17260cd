/** Whether an answer can be worked with, although a newer control plane may say more than we know. */

/** The part of a schema that is needed here. */
export interface Schema<Body> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: Body }
    | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } };
}

interface Issue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
}

/** True when all that the schema asks for is there; fields and words that it lacks are let through. */
export function understood<Body>(schema: Schema<Body>, document: unknown): document is Body {
  const result = schema.safeParse(document);
  return result.success || result.error.issues.every((issue) => saysMore(issue, document));
}

function saysMore({ code, path }: Issue, document: unknown): boolean {
  if (code === 'unrecognized_keys' || code === 'invalid_key') return true;
  // A word beside those of a fixed list, such as a new state of a VM.
  return code === 'invalid_value' && typeof valueAt(document, path) === 'string';
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === String(key))?.[1];
  }
  return value;
}
