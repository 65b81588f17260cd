/** The Express application: guard, routes and failures, in this order. Nothing listens here. */
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { DomainError } from '../model/errors.js';
import type { Log, Telemetry } from '../model/ports.js';
import { createGate, type Tokens } from './auth.js';
import { createBodyReader, type BodyReader } from './body.js';
import { Exchange, type Closing } from './exchange.js';
import { malformed } from './problem.js';
import type { ApiPorts, Route } from './route.js';

export interface AppOptions {
  readonly routes: readonly Route[];
  readonly ports: ApiPorts;
  readonly tokens: Tokens;
  readonly bodyBytesMax: number;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly closing: Closing;
  /** On every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

export function createApp(options: AppOptions): Express {
  const { routes } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // The routes read it themselves: Express would fold repeated parameters into lists.
  app.set('query parser', false);

  app.use((request, response, next) => {
    response.locals.exchange = new Exchange(request, response, options);
    next();
  });
  app.use(guard(options));
  const readBody = createBodyReader(options.bodyBytesMax);
  for (const route of routes) {
    app[route.method](route.path, handlerOf(route, options.ports, readBody));
  }
  for (const [path, allow] of allowedMethods(routes)) app.all(path, refuseMethod(allow));
  app.use((request) => {
    throw new DomainError('not_found', `There is nothing at ${request.path.slice(0, 200)}.`);
  });
  app.use(failures);
  return app;
}

/** Set by the first middleware, so it is always there. */
const exchangeOf = (response: { readonly locals: Record<string, unknown> }): Exchange =>
  response.locals.exchange as Exchange;

function guard({ routes, tokens, closing }: AppOptions): RequestHandler {
  const gate = createGate(routes, tokens);
  return (request, response, next) => {
    if (closing.isClosing()) {
      throw new DomainError('shutting_down', 'This replica is stopping; ask another.');
    }
    // Node would refuse it without a word of why; so it is left to us.
    if (request.httpVersion === '1.1' && request.headers.host === undefined) {
      throw malformed('host', 'is a header that every request must have');
    }
    const verdict = gate(request.method, request.path, request.headers);
    if (!verdict.allowed) {
      exchangeOf(response).setHeader('WWW-Authenticate', verdict.challenge);
      throw new DomainError(
        'unauthenticated',
        'Send a valid token: Authorization: Bearer <token>.',
      );
    }
    next();
  };
}

function handlerOf(route: Route, ports: ApiPorts, readBody: BodyReader): RequestHandler {
  return async (request, response) => {
    const exchange = exchangeOf(response);
    exchange.route = route;
    const body = route.body === undefined ? undefined : await readBody(request, response);
    const from = request.url.indexOf('?');
    const queryString = from === -1 ? '' : request.url.slice(from + 1);
    const raw = { params: request.params, queryString, body };
    exchange.answer(await route.run(raw, exchange, ports));
  };
}

/** Which methods each path knows, as the `Allow` header says it. */
function allowedMethods(routes: readonly Route[]): ReadonlyMap<string, string> {
  const methods = new Map<string, string[]>();
  for (const { method, path } of routes) {
    const known = methods.get(path) ?? [];
    known.push(...(method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
    methods.set(path, known);
  }
  return new Map([...methods].map(([path, known]) => [path, known.join(', ')]));
}

function refuseMethod(allow: string): RequestHandler {
  return (request, response) => {
    exchangeOf(response).setHeader('Allow', allow);
    throw new DomainError('method_not_allowed', `${request.method} is not allowed here.`, {
      extra: { allow: allow.split(', ') },
    });
  };
}

// Express knows an error handler by its four parameters.
const failures: ErrorRequestHandler = (thrown: unknown, _request, response, _next) => {
  exchangeOf(response).fail(thrown);
};
