/** The agent's HTTP interface: which call does what. The rules of all calls are in http-rules.ts. */
import express, { type Express, type Request, type RequestHandler } from 'express';
import { DomainError } from '../model/errors.js';
import type { Log } from '../model/ports.js';
import type { AgentStatusBody } from '../wire/agent.js';
import type { AgentResourcesBody } from '../wire/agent-resources.js';
import {
  assignmentBodySchema,
  assignmentQuerySchema,
  driverPatchSchema,
  ensureVmSchema,
  stopBodySchema,
  vmParamsSchema,
} from '../wire/agent.js';
import { imageParamsSchema } from '../wire/images.js';
import { logQuerySchema } from '../wire/logs.js';
import { readConsole } from './console-log.js';
import type { Driver } from './drivers/driver.js';
import type { ImageStore } from './images/image-store.js';
import { imageBody, uploadTo } from './images/upload.js';
import {
  forThisBoot,
  jsonBody,
  plainHeaders,
  problems,
  requireBearer,
  valid,
} from './http-rules.js';
import type { MetricsText } from './metrics.js';
import type { VmKeeper } from './vm-keeper.js';

export interface AgentAppOptions {
  readonly credential: string;
  /** Names this start of the machine. */
  readonly bootId: string;
  readonly keeper: VmKeeper;
  readonly driver: Driver;
  /** null: the driver takes any name of an image, and keeps none. */
  readonly images: ImageStore | null;
  readonly log: Log;
  status(): Promise<AgentStatusBody>;
  resources(): Promise<AgentResourcesBody>;
  metrics(): Promise<MetricsText>;
  /** Told whenever the control plane asked for the status. */
  polled(): void;
}

type Method = 'get' | 'put' | 'patch' | 'post' | 'delete';
type Answer = (request: Request) => unknown;
type Routes = Readonly<Record<string, Readonly<Partial<Record<Method, Answer>>>>>;

export function createAgentApp(options: AgentAppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(plainHeaders);
  app.get('/healthz', (_request, response) => {
    response.json({ ok: true });
  });
  app.use(requireBearer(options.credential), forThisBoot(options.bootId));
  // Before bodies are read as JSON: an image is none, and is not held in memory.
  app.put('/v1/images/:name', answering(uploadTo(options.images, options.driver)));
  app.use(...jsonBody);
  const routes = { ...vmRoutes(options), ...imageRoutes(options), ...hostRoutes(options) };
  for (const [path, answers] of Object.entries(routes)) {
    mount(app, path, answers);
  }
  app
    .route('/metrics')
    .get(async (_request, response) => {
      const { contentType, text } = await options.metrics();
      response.type(contentType).send(text);
    })
    .all(onlyOf('GET'));
  app.use((request) => {
    throw new DomainError('not_found', `There is no ${request.path} here.`);
  });
  app.use(problems(options.log));
  return app;
}

function vmRoutes({ keeper, driver }: AgentAppOptions): Routes {
  const vmId = (request: Request) => valid(vmParamsSchema, request.params).id;
  return {
    '/v1/vms': { get: () => ({ items: keeper.list() }) },
    '/v1/vms/:id': {
      get: (request) => keeper.get(vmId(request)),
      put: (request) => keeper.ensure(vmId(request), valid(ensureVmSchema, request.body)),
      delete: async (request) => {
        const { assignment } = valid(assignmentQuerySchema, request.query);
        return { gone: await keeper.remove(vmId(request), assignment) };
      },
    },
    '/v1/vms/:id/logs': {
      get: (request) => {
        const id = vmId(request);
        keeper.get(id);
        return readConsole(driver.consoleLog?.(id) ?? null, valid(logQuerySchema, request.query));
      },
    },
    '/v1/vms/:id/start': {
      post: (request) =>
        keeper.start(vmId(request), valid(assignmentBodySchema, request.body).assignment),
    },
    '/v1/vms/:id/stop': {
      post: (request) => keeper.stop(vmId(request), valid(stopBodySchema, request.body)),
    },
  };
}

function imageRoutes({ images }: AgentAppOptions): Routes {
  return {
    '/v1/images': {
      get: () => ({ items: images?.list().map(imageBody) ?? [], anyName: images === null }),
    },
    '/v1/images/:name': {
      delete: async (request) => {
        const { name } = valid(imageParamsSchema, request.params);
        await images?.remove(name);
        return { gone: true };
      },
    },
  };
}

function hostRoutes(options: AgentAppOptions): Routes {
  const settings = () => {
    if (options.driver.settings !== undefined) return options.driver.settings;
    throw new DomainError(
      'not_found',
      `This agent runs the ${options.driver.name} driver; only the simulated driver has settings.`,
    );
  };
  return {
    '/v1/status': {
      get: () => {
        options.polled();
        return options.status();
      },
    },
    '/resources': { get: () => options.resources() },
    '/v1/driver': {
      get: () => settings().read(),
      patch: (request) => {
        settings().change(valid(driverPatchSchema, request.body));
        return settings().read();
      },
    },
  };
}

function mount(app: Express, path: string, answers: Routes[string]): void {
  const route = app.route(path);
  const methods = Object.entries(answers) as [Method, Answer][];
  for (const [method, answer] of methods) route[method](answering(answer));
  route.all(onlyOf(methods.map(([method]) => method.toUpperCase()).join(', ')));
}

const onlyOf =
  (allowed: string): RequestHandler =>
  (request, response) => {
    response.set('Allow', allowed);
    throw new DomainError(
      'method_not_allowed',
      `${request.method} is not allowed here; ${allowed} is.`,
    );
  };

const answering =
  (answer: Answer): RequestHandler =>
  async (request, response) => {
    response.json(await answer(request));
  };
