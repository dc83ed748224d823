import { chmodSync, rmSync } from 'node:fs';
import fastify, { type FastifyInstance } from 'fastify';
import type { Component } from '../base/component.js';
import type { GatewayStatus } from '../pipeline/status.js';

export interface ApiDependencies {
  /** The unix socket to listen on; only its owner may connect. */
  readonly socket: string;
  readonly status: () => GatewayStatus;
  /** Reasons why the gateway is not ready, by component; empty = ready. */
  readonly notReady: () => Readonly<Record<string, string>>;
}

/** The gateway's own HTTP interface on a unix socket: state for the command line, health for supervisors. */
export class ApiServer implements Component {
  readonly #dependencies: ApiDependencies;
  #server: FastifyInstance | undefined;

  constructor(dependencies: ApiDependencies) {
    this.#dependencies = dependencies;
  }

  async start(): Promise<void> {
    const { socket, status, notReady } = this.#dependencies;
    const server = fastify({ logger: false, forceCloseConnections: true });
    server.get('/status', async () => status());
    server.get('/livez', async () => ({ status: 'alive' }));
    server.get('/readyz', async (_request, reply) => {
      const reasons = notReady();
      const ready = Object.keys(reasons).length === 0;
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', reasons });
    });
    rmSync(socket, { force: true });
    await server.listen({ path: socket });
    chmodSync(socket, 0o600);
    this.#server = server;
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
    rmSync(this.#dependencies.socket, { force: true });
  }
}
