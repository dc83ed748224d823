import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { isLoopback, type Listener } from './access.js';
import { type ApiApp, buildApp } from './app.js';
import { Approvals } from './approvals.js';
import { Audit } from './audit.js';
import type { ApiDependencies } from './dependencies.js';
import { apiError } from './errors.js';
import { GatewayMetrics } from './metrics.js';
import { FingerprintProjection } from './projection.js';
import type { Services } from './services.js';
import { StageMonitor } from './stages.js';

/**
 * The gateway's HTTP interface: on a unix socket, which only the owner can open and who may do everything, and on the
 * TCP addresses of the configuration. An address that is taken is said and left out: measuring goes on without it.
 */
export class ApiServer implements Component {
  readonly #dependencies: ApiDependencies;
  readonly #stages: StageMonitor;
  #apps: ApiApp[] = [];
  #addresses: string[] = [];
  #problems: string[] = [];
  #abort: AbortController | undefined;

  /** @throws TG_API_EXPOSED when other hosts could reach it without tokens or TLS */
  constructor(dependencies: ApiDependencies) {
    const { config } = dependencies;
    for (const { host, port } of config.listen) {
      if (isLoopback(host)) continue;
      const address = `${host}:${port}`;
      if (config.tokens.length === 0)
        throw apiError('TG_API_EXPOSED', { address, missing: 'there are no tokens', setting: 'api.tokens' });
      if (config.tls === undefined && !config.allowPlaintext)
        throw apiError('TG_API_EXPOSED', {
          address,
          missing: 'there is no TLS',
          setting: 'api.tls, or api.allowPlaintext behind a proxy that has it',
        });
    }
    this.#dependencies = dependencies;
    this.#stages = new StageMonitor(dependencies.status);
  }

  /** URLs that are listened on. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Addresses that could not be had, in words. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  async start(): Promise<void> {
    const { socket, config, logger } = this.#dependencies;
    this.#abort = new AbortController();
    const services = this.#services(this.#abort.signal);
    const local = await this.#build(services, { kind: 'socket' });
    rmSync(socket, { force: true });
    await local.listen({ path: socket });
    chmodSync(socket, 0o600);
    for (const { host, port } of config.listen) {
      const app = await this.#build(services, { kind: 'tcp' });
      try {
        this.#addresses.push(await app.listen({ host, port }));
      } catch (error) {
        const reason = messageOf(error);
        this.#problems.push(`the API does not listen on ${host}:${port}: ${reason}`);
        logger.warn({ host, port, reason }, 'the API does not listen there');
      }
    }
    this.#stages.start();
  }

  async stop(): Promise<void> {
    this.#stages.stop();
    this.#abort?.abort();
    await Promise.all(this.#apps.splice(0).map((app) => app.close()));
    this.#addresses = [];
    this.#problems = [];
    rmSync(this.#dependencies.socket, { force: true });
  }

  async #build(services: Services, listener: Listener): Promise<ApiApp> {
    const app = await buildApp(this.#dependencies, services, listener);
    this.#apps.push(app);
    return app;
  }

  #services(signal: AbortSignal): Services {
    const { writer, gateway, status, figures, observations, notReady, plans } = this.#dependencies;
    const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
      version: string;
    };
    return {
      version,
      audit: new Audit(writer, gateway),
      approvals: new Approvals(this.#dependencies.approvalsFile),
      projection: new FingerprintProjection(),
      stages: this.#stages,
      metrics: new GatewayMetrics(
        () => ({
          status: status(),
          figures: figures(),
          notReady: notReady(),
          followingPlan: plans.state.followingPlanId !== null,
          version,
        }),
        observations,
      ),
      streams: { open: 0 },
      signal,
    };
  }
}
