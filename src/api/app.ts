/**
 * The door, and behind it the Express application: guard, routes and failures, in this order. Nothing
 * listens here.
 */
import type { RequestListener } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { DomainError } from '../model/errors.js';
import type { Log, Telemetry } from '../model/ports.js';
import { authorize, createGate } from './auth.js';
import { createBodyReader, type BodyReader } from './body.js';
import { Exchange, type Closing } from './exchange.js';
import { answeredOnce } from './idempotency.js';
import type { InFlight } from './in-flight.js';
import type { Limits } from './limits.js';
import { messagesOf, type Messages } from './messages.js';
import { malformed } from './problem.js';
import type { ApiPorts, Route } from './route.js';

export interface AppOptions {
  readonly routes: readonly Route[];
  readonly ports: ApiPorts;
  readonly adminToken: string;
  readonly limits: Limits;
  readonly bodyBytesMax: number;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly closing: Closing;
  readonly inFlight: InFlight;
  /** On every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface App {
  readonly answer: RequestListener;
  /** What its server has to make of what comes. */
  readonly messages: Messages;
}

/**
 * Who comes when there is too much to do is turned away at the door: in Express a refusal costs several
 * times as much, and under overload there are more refusals than anything else.
 */
export function createApp(options: AppOptions): App {
  const app = createRoutes(options);
  // A replica that has much to do is no dead one.
  const probes = new Set(
    options.routes.filter(({ quiet }) => quiet === true).map(({ path }) => path),
  );
  const answer: RequestListener = (request, response) => {
    const exchange = new Exchange(request, response, options);
    const [path = ''] = (request.url ?? '').split('?', 1);
    if (exchange.isAdmitted || probes.has(path)) {
      app(request, Object.assign(response, { locals: { exchange } }));
    } else {
      exchange.fail(overloaded());
    }
  };
  return { answer, messages: messagesOf(app) };
}

const overloaded = (): DomainError =>
  new DomainError('overloaded', 'This replica has too much to do; try again soon.', {
    retryAfterS: 1,
  });

function createRoutes(options: AppOptions): Express {
  const { routes } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // The routes read it themselves: Express would fold repeated parameters into lists.
  app.set('query parser', false);

  app.use(guard(options));
  const readBody = createBodyReader(options.bodyBytesMax);
  for (const route of routes) {
    const { bodyBytesMax } = route;
    const read = bodyBytesMax === undefined ? readBody : createBodyReader(bodyBytesMax);
    app[route.method](route.path, handlerOf(route, options.ports, read));
  }
  for (const [path, allow] of allowedMethods(routes)) app.all(path, refuseMethod(allow));
  app.use((request) => {
    throw new DomainError('not_found', `There is nothing at ${request.path.slice(0, 200)}.`);
  });
  app.use(failures);
  return app;
}

/** Set at the door, so it is always there. */
const exchangeOf = (response: { readonly locals: Record<string, unknown> }): Exchange =>
  response.locals.exchange as Exchange;

function guard({ routes, adminToken, ports, limits, closing }: AppOptions): RequestHandler {
  const { catalogue } = ports;
  const beforeLookup = (address: string) => limits.mayTry(address);
  const gate = createGate({ routes, adminToken, catalogue, beforeLookup });
  return async (request, response, next) => {
    if (closing.isClosing()) {
      throw new DomainError('shutting_down', 'This replica is stopping; ask another.');
    }
    // Node would refuse it without a word of why; so it is left to us.
    if (request.httpVersion === '1.1' && request.headers.host === undefined) {
      throw malformed('host', 'is a header that every request must have');
    }
    const { method, path, headers } = request;
    const address = request.socket.remoteAddress ?? '';
    const shown = { method, path, headers, address };
    const verdict = await gate(shown);
    if (verdict.kind === 'stranger') {
      if (verdict.wasWrong) await limits.failed(address);
      exchangeOf(response).setHeader('WWW-Authenticate', verdict.challenge);
      throw new DomainError(
        'unauthenticated',
        'Send a valid token: Authorization: Bearer <token>.',
      );
    }
    if (verdict.kind === 'known') {
      const exchange = exchangeOf(response);
      exchange.principal = verdict.principal;
      exchange.stillKnown = async () => (await gate(shown)).kind === 'known';
      await limits.admit(verdict.principal);
    }
    next();
  };
}

function handlerOf(route: Route, ports: ApiPorts, readBody: BodyReader): RequestHandler {
  return async (request, response) => {
    const exchange = exchangeOf(response);
    exchange.route = route;
    authorize(route, exchange.principal);
    const body = route.body === undefined ? undefined : await readBody(request, response);
    const from = request.url.indexOf('?');
    const queryString = from === -1 ? '' : request.url.slice(from + 1);
    // What is done for nobody keeps out what is done for somebody.
    if (exchange.isGone) return;
    const raw = { params: request.params, queryString, body };
    const answer = () => route.run(raw, exchange, ports);
    exchange.answer(
      route.idempotent === true
        ? await answeredOnce(
            { method: request.method, path: request.path, input: raw },
            exchange,
            ports.idempotency,
            answer,
          )
        : await answer(),
    );
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
