/** The handlers of `/v1/ops/verify`: what is wrong in the books, and its repair. */
import type { VerifyReport } from '../control/repair-books.js';
import type { VerifyBody } from '../wire/verify.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function verify(_call: Call, { control }: ApiPorts): Promise<Answer> {
  return { status: 200, json: bodyOf(await control.verify()) };
}

export async function repair(
  { body, by }: Call<undefined, undefined, { readonly dryRun: boolean }>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: bodyOf(await control.repairBooks(body, by)) };
}

const bodyOf = ({ findings, ...counts }: VerifyReport): VerifyBody => ({
  ...counts,
  findings: findings.map(({ subject, expected, found, ...finding }) => ({
    ...finding,
    subject: { ...subject },
    ...(expected === undefined ? {} : { expected: { ...expected } }),
    ...(found === undefined ? {} : { found: { ...found } }),
  })),
});
