/** The OpenAPI 3.1 document, made from the route table. */
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import { ERROR_CODES, type ErrorCode } from '../model/errors.js';
import { PROBLEM_CONTENT_TYPE, problemSchema, problemType } from '../wire/problem.js';
import { BODY_ERRORS, COMMON_ERRORS, KEY_ERRORS } from './problem.js';
import { keyHeaderSchema } from './idempotency.js';
import type { AnswerDoc, Route } from './route.js';
import { FILE_MEDIA_TYPE } from './upload.js';

const DESCRIPTION = [
  'Berth gives every VM a berth on a host.',
  'Amounts: cpu in vCPU, memory and disk in MiB, network and disk_io in bytes/s.',
  'Failures are problem documents (RFC 9457); [every code](/docs/errors) has its advice.',
  'Lists are paged: give `nextCursor` of a page as `cursor` to get the next.',
].join('\n\n');

/** They need a caller who is somebody, and public routes ask for none. */
const OF_TOKENS: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'rate_limited'];

/** Every code that a route may answer. */
export function errorCodesOf(route: Route): readonly ErrorCode[] {
  const common = COMMON_ERRORS.filter(
    (code) => route.access !== 'public' || !OF_TOKENS.includes(code),
  );
  const ofBody = route.body === undefined ? [] : BODY_ERRORS;
  const ofKey = route.idempotent === true ? KEY_ERRORS : [];
  return [...new Set([...route.errors, ...common, ...ofBody, ...ofKey])];
}

/** `/v1/vms/:id` as OpenAPI writes it: `/v1/vms/{id}`. */
export const templateOf = (path: string): string => path.replaceAll(/:(\w+)/g, '{$1}');

/** @param version of Berth */
export function createOpenApi(routes: readonly Route[], version: string) {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    const operations = (paths[templateOf(route.path)] ??= {});
    operations[route.method] = operationOf(route);
  }
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Berth',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'A token; `POST /v1/tokens` makes them. What it opens depends on its role',
        },
        basic: { type: 'http', scheme: 'basic', description: 'A token as the password' },
      },
    },
  });
}

function securityOf({ access, browser }: Route): Record<string, string[]>[] {
  if (access === 'public') return [];
  return browser === true ? [{ bearer: [] }, { basic: [] }] : [{ bearer: [] }];
}

const FILE_BODY = {
  required: true,
  content: { [FILE_MEDIA_TYPE]: { schema: { type: 'string' as const, format: 'binary' } } },
};

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { params, query, body, example, idempotent } = route;
  return {
    operationId: route.name,
    summary: route.summary,
    tags: [route.tag],
    security: securityOf(route),
    ...(params === undefined && query === undefined && idempotent === undefined
      ? {}
      : {
          requestParams: {
            ...(params === undefined ? {} : { path: params }),
            ...(query === undefined ? {} : { query }),
            ...(idempotent === undefined ? {} : { header: keyHeaderSchema }),
          },
        }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse({}).success,
            content: {
              'application/json': {
                schema: body,
                ...(example.body === undefined ? {} : { example: example.body }),
              },
            },
          },
        }),
    ...(route.upload === undefined ? {} : { requestBody: FILE_BODY }),
    responses: responsesOf(route),
  };
}

function responsesOf(route: Route): ZodOpenApiResponsesObject {
  const responses: Record<string, ZodOpenApiResponseObject> = {};
  for (const [status, doc] of Object.entries(route.answers)) {
    const isExample = Number(status) === route.example.status;
    responses[status] = answerOf(doc, isExample ? route.example.answer : undefined);
  }
  const codes = errorCodesOf(route);
  for (const status of new Set(codes.map((code) => ERROR_CODES[code].status))) {
    const known = responses[status.toString()];
    const problems = problemsOf(codes.filter((code) => ERROR_CODES[code].status === status));
    responses[status.toString()] =
      known === undefined
        ? problems
        : {
            description: `${known.description}; or ${problems.description}`,
            content: { ...known.content, ...problems.content },
          };
  }
  return responses;
}

function answerOf(doc: AnswerDoc, example: unknown): ZodOpenApiResponseObject {
  const type = doc.contentType ?? 'application/json';
  return {
    description: doc.description,
    content: {
      [type]: {
        schema: doc.schema ?? { type: type === 'application/json' ? 'object' : 'string' },
        ...(example === undefined ? {} : { example }),
      },
    },
  };
}

const problemsOf = (codes: readonly ErrorCode[]): ZodOpenApiResponseObject => ({
  description: codes.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}`).join('; '),
  content: {
    [PROBLEM_CONTENT_TYPE]: {
      schema: problemSchema,
      examples: Object.fromEntries(codes.map((code) => [code, { value: exampleProblem(code) }])),
    },
  },
});

const exampleProblem = (code: ErrorCode) => ({
  type: problemType(code),
  title: ERROR_CODES[code].title,
  status: ERROR_CODES[code].status,
  code,
  detail: ERROR_CODES[code].title,
  requestId: '6f1f7a9e-0a55-4d4b-9c0b-1a4f5a1f8a77',
});
