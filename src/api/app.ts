import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import rateLimit from '@fastify/rate-limit';
import fastifyStatic from '@fastify/static';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerFactory,
  type RawServerDefault,
} from 'fastify';
import {
  createJsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { messageOf } from '../base/errors.js';
import { Access, type Caller, type Listener } from './access.js';
import type { Role } from './config.js';
import type { ApiDependencies } from './dependencies.js';
import { answerClientError, answerError } from './error-answer.js';
import { apiError } from './errors.js';
import { registerCost } from './routes/cost.js';
import { registerEvents } from './routes/events.js';
import { registerFingerprints } from './routes/fingerprints.js';
import { registerFlows } from './routes/flows.js';
import { registerForecasts } from './routes/forecasts.js';
import { registerHealth } from './routes/health.js';
import { registerLinks } from './routes/links.js';
import { registerOverview } from './routes/overview.js';
import { registerPlanActions } from './routes/plan-actions.js';
import { registerPlans } from './routes/plans.js';
import { registerRecognition } from './routes/recognition.js';
import { registerSql } from './routes/sql.js';
import { registerWorkloads } from './routes/workloads.js';
import type { Services } from './services.js';

export type ApiApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** Needed to call the route; `none` = anyone. Absent = read. */
    role?: Role | 'none';
  }
}

const PAGE_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/** IPv6 callers own a whole subnet of addresses. */
const SUBNET_BITS = 64;

const TAGS = [
  { name: 'overview', description: 'the gateway at a glance' },
  { name: 'flows', description: 'what goes where' },
  { name: 'workloads', description: 'services recognised by their traffic' },
  { name: 'forecasts', description: 'what will be needed' },
  { name: 'plans', description: 'what the gateway would move, and did' },
  { name: 'cost', description: 'what traffic costs' },
  { name: 'health', description: 'how the gateway itself is' },
  { name: 'sql', description: 'history by SQL' },
];

/** The HTTP interface as one Fastify application; one for each address, since what is allowed depends on it. */
export async function buildApp(
  dependencies: ApiDependencies,
  services: Services,
  listener: Listener,
): Promise<ApiApp> {
  const { config, consoleDirectory } = dependencies;
  const access = new Access(config);
  const tls = listener.kind === 'tcp' ? config.tls : undefined;
  const serverFactory: FastifyServerFactory = (handler) =>
    tls === undefined
      ? createServer(handler)
      : createTlsServer({ cert: readPem(tls.certificate), key: readPem(tls.key) }, handler);
  const app = fastify({
    loggerInstance: dependencies.logger.child({ component: 'api' }, { level: 'warn' }) as FastifyBaseLogger,
    logController: new fastify.LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    bodyLimit: config.bodyLimit,
    clientErrorHandler: answerClientError,
    requestTimeout: 30_000,
    routerOptions: { maxParamLength: 200 },
    serverFactory,
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, dependencies.logger));
  const consolePage = consoleDirectory && readFileSync(join(consoleDirectory, 'index.html'), 'utf8');
  // Pages of the console are made in the browser: any of its addresses is answered with the one file there is.
  const isPage = (request: FastifyRequest): boolean =>
    consolePage !== undefined &&
    request.is404 &&
    request.method === 'GET' &&
    /\btext\/html\b/.test(request.headers.accept ?? '') &&
    !request.url.startsWith('/api');
  app.setNotFoundHandler((request, reply) => {
    if (isPage(request)) return reply.type('text/html; charset=utf-8').send(consolePage);
    throw apiError('TG_API_NOT_FOUND', { method: request.method, path: request.url.split('?')[0] ?? '' });
  });
  app.decorateRequest('caller', null as unknown as Caller);
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    access.checkBrowser(request, listener);
    request.caller = access.identify(request, listener);
    const { role = isPage(request) ? 'none' : 'read' } = request.routeOptions.config;
    if (role !== 'none') access.require(request.caller, role);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    services.metrics.answered(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
  });
  await app.register(rateLimit, {
    max: config.requestsPerMinute,
    timeWindow: 60_000,
    allowList: () => listener.kind === 'socket',
    // Callers of the unix socket have no address.
    keyGenerator: (request) =>
      listener.kind === 'socket' ? 'owner' : rateLimit.normalizeIP(request.ip, SUBNET_BITS),
    errorResponseBuilder: (_request, context) =>
      apiError('TG_API_TOO_MANY', { limit: context.max, seconds: Math.ceil(context.ttl / 1000) }),
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tidegate',
        description:
          'What a gateway sees, recognises, expects, plans and pays. Every answer carries the SQL behind its numbers.',
        version: services.version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: TAGS,
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'a token of api.tokens' },
        },
      },
      // The empty requirement: callers of the unix socket and of loopback need no token.
      security: [{ token: [] }, {}],
    },
    transform: createJsonSchemaTransform({ skipList: [] }),
  });
  await app.register(async (open) => {
    // The description of the API and the console's files are no secret; what they show is.
    open.addHook('onRoute', (route) => {
      route.config = { ...route.config, role: 'none' };
    });
    await open.register(swaggerUi, { routePrefix: '/api/docs' });
    open.get('/api/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
      reply
        .type('application/json')
        .serializer((document: unknown) => JSON.stringify(document))
        .send(app.swagger()),
    );
    if (consoleDirectory !== undefined) {
      await open.register(fastifyStatic, { root: consoleDirectory, wildcard: false, index: 'index.html' });
    }
  });
  for (const register of [
    registerOverview,
    registerLinks,
    registerFlows,
    registerWorkloads,
    registerRecognition,
    registerFingerprints,
    registerForecasts,
    registerPlans,
    registerPlanActions,
    registerCost,
    registerHealth,
    registerSql,
    registerEvents,
  ])
    register(app, dependencies, services);
  return app;
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw apiError('TG_API_TLS', { file, reason: messageOf(error) }, error);
  }
}
