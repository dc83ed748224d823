import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { linksDown } from './actuate/index.js';
import type { PipelineFigures } from './api/dependencies.js';
import { Observations } from './api/observations.js';
import { ApiServer } from './api/server.js';
import type { Component } from './base/component.js';
import { defineErrors, messageOf } from './base/errors.js';
import { childLogger, type Logger } from './base/logger.js';
import { XdpSource } from './capture/xdp.js';
import { consoleDirectory } from './config/console-directory.js';
import { keptCapabilities } from './config/kept-capabilities.js';
import {
  actuatedLinks,
  blockLinks,
  captureSettings,
  cycleSettings,
  linkOf,
  linksNetns,
  watchedInterfaces,
} from './config/parts.js';
import { type ConfigChanges, configChanges, withReloaded } from './config/reload.js';
import { removeRuntimeFile, runDirectory, writeRuntimeFile } from './config/runtime-file.js';
import type { GatewayConfig } from './config/schema.js';
import { examine } from './doctor/index.js';
import { ForecastPool } from './forecast/index.js';
import type { IpfixExporter } from './ipfix/index.js';
import { ipfixExporter, usageCollector } from './optional-parts.js';
import { PlanningCycle } from './pipeline/cycle.js';
import { type CycleOutcome, unplanned } from './pipeline/cycle-plan.js';
import type { Ingest } from './pipeline/ingest.js';
import { LinkPrices } from './pipeline/link-prices.js';
import { PlanOperations } from './pipeline/plan-operations.js';
import { nextChange } from './pipeline/plan-words.js';
import { RateMeter } from './pipeline/rate-meter.js';
import { Recognition } from './pipeline/recognition.js';
import { type GatewayStatus, packetsOf, planStatusOf } from './pipeline/status.js';
import { Planner } from './plan/index.js';
import { PriceBook } from './pricing/index.js';
import { Store } from './store/index.js';
import { setLogLevel } from './telemetry/log.js';

const fail = defineErrors({
  TG_GATEWAY_NO_INTERFACE: {
    message: 'no interface to watch',
    hint: 'name one with --interface, or run `tidegate lab`',
    exitCode: 2,
  },
});

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly mode: GatewayStatus['mode'];
  readonly logger: Logger;
}

const KEEP_EVERY_MS = 10_000;
const RATE_EVERY_MS = 1_000;
const DRAIN_MS = 60_000;
/** A store that takes nothing for so long is not waited for: what it lacks is in the spool. */
const AWAY_MS = 5_000;

/**
 * A gateway: the composition root, and the only file that knows all the rooms. `start` brings it up from the store
 * to the packets; `stop` takes it down from the packets to the store, so that what was seen is stored.
 */
export class Gateway implements Component {
  readonly #options: GatewayOptions;
  readonly #startedMs = Date.now();
  readonly #store: Store;
  readonly #source: XdpSource;
  readonly #recognition: Recognition;
  readonly #forecasts: ForecastPool;
  readonly #planner: Planner;
  readonly #prices: PriceBook;
  readonly #operations: PlanOperations;
  #api: ApiServer;
  /** What is in force: the start's configuration with what was reloaded since. */
  #config: GatewayConfig;
  readonly #rate = new RateMeter();
  readonly #observations = new Observations();
  #ingest: Ingest | undefined;
  #cycle: PlanningCycle | undefined;
  #privileged: string | undefined;
  #linkPrices: LinkPrices | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sampler: NodeJS.Timeout | undefined;
  readonly #started: Component[] = [];

  constructor(options: GatewayOptions) {
    const { config, logger } = options;
    const named = watchedInterfaces(config);
    if (named.length === 0) throw fail('TG_GATEWAY_NO_INTERFACE');
    this.#options = options;
    this.#config = config;
    this.#prices = PriceBook.load(config.plan.priceBook);
    for (const link of config.links) this.#prices.tariff(link.tariff);
    this.#store = new Store({
      config: config.store,
      dataDirectory: config.dataDirectory,
      gateway: config.gateway,
      logger: childLogger(logger, 'store'),
      observe: this.#observations.observe,
    });
    this.#source = new XdpSource(captureSettings(config, named), undefined, childLogger(logger, 'capture'));
    this.#recognition = new Recognition({
      gateway: config.gateway,
      dataDirectory: config.dataDirectory,
      config: config.fingerprint,
      client: () => this.#store.client,
      logger,
    });
    this.#forecasts = new ForecastPool({ logger: childLogger(logger, 'forecast') });
    this.#planner = new Planner({ logger: childLogger(logger, 'plan') });
    const netns = linksNetns(config);
    this.#operations = new PlanOperations({
      gateway: config.gateway,
      config: config.actuate,
      links: actuatedLinks(config),
      ...(netns === undefined ? {} : { netns }),
      dataDirectory: config.dataDirectory,
      client: () => this.#store.client,
      endpointKeysOf: (workloadId) => this.#recognition.endpointKeysOf(workloadId),
      names: () => this.#recognition.names(),
      steering: () => this.#source.steering,
      logger: childLogger(logger, 'actuate'),
      observe: this.#observations.observe,
    });
    this.#api = this.#makeApi(config);
  }

  get #socket(): string {
    return join(runDirectory(), `${this.#options.config.gateway}.sock`);
  }

  async start(): Promise<void> {
    const { config, logger } = this.#options;
    mkdirSync(config.dataDirectory, { recursive: true, mode: 0o700 });
    mkdirSync(runDirectory(), { recursive: true });
    try {
      await this.#up(this.#store);
      await this.#up(this.#forecasts);
      await this.#up(this.#planner);
      await this.#up(this.#recognition);
      // The ingest needs the interfaces' numbers, which are known once the source is attached; batches that come
      // before are impossible because nothing has been handed over yet.
      await this.#up(this.#source);
      const exporter = ipfixExporter(config, logger);
      if (exporter !== undefined) await this.#up(exporter);
      this.#ingest = this.#makeIngest(exporter);
      await this.#recognition.relearn();
      await this.#up(this.#ingest);
      // What a crash interrupted may have to be undone in the datapath.
      await this.#up(this.#operations);
      const usage = usageCollector(config, () => this.#store.client, logger);
      if (usage !== undefined) await this.#up(usage);
      this.#cycle = this.#makeCycle();
      if (config.cycle.enabled) await this.#up(this.#cycle);
      await this.#up(this.#api);
      this.#dropPrivileges();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#timer = setInterval(() => void this.#keep(), KEEP_EVERY_MS);
    this.#sampler = setInterval(() => this.#sampleRate(), RATE_EVERY_MS);
    this.#announce();
    logger.info({ gateway: config.gateway, mode: this.#options.mode }, 'gateway running');
  }

  /** A lab goes on making and removing network namespaces, so it keeps what it has. */
  #dropPrivileges(): void {
    const { config, logger, mode } = this.#options;
    if (mode === 'lab') return;
    const kept = keptCapabilities(config);
    try {
      const left = this.#source.dropPrivileges(new Set(kept.keys()));
      logger.info({ left, because: Object.fromEntries(kept) }, 'capabilities given up');
    } catch (error) {
      // Metering matters more than having less right to do harm; whoever looks is told.
      this.#privileged = `capabilities could not be given up: ${messageOf(error)}`;
      logger.error({ err: error }, this.#privileged);
    }
  }

  /** Tells other processes of this user where the gateway is. */
  #announce(): void {
    const { config } = this.#options;
    writeRuntimeFile({
      gateway: config.gateway,
      pid: process.pid,
      startedMs: this.#startedMs,
      dataDirectory: config.dataDirectory,
      store: this.#store.endpoint(),
      api: { socket: this.#socket, urls: this.#api.addresses },
    });
  }

  #makeApi(config: GatewayConfig): ApiServer {
    const { logger } = this.#options;
    return new ApiServer({
      gateway: config.gateway,
      config: config.api,
      socket: this.#socket,
      logger: childLogger(logger, 'api'),
      status: () => this.status(),
      figures: () => this.#figures(),
      observations: this.#observations,
      notReady: () => (this.#store.ready ? {} : { store: 'ClickHouse does not answer' }),
      links: config.links.map(({ capacity, netns: _netns, nextHopIPv4: _v4, nextHopIPv6: _v6, ...link }) => ({
        ...link,
        capacityBps: capacity,
      })),
      prices: this.#prices,
      reader: () => this.#store.reader,
      readerAccess: () => this.#store.endpoint(),
      writer: () => this.#store.client,
      workloads: () => this.#recognition.registry,
      reloadModel: () => this.#recognition.reloadModel(),
      plans: this.#operations,
      approvalsFile: join(config.dataDirectory, 'approvals.json'),
      planNow: () => this.planNow(),
      doctor: () => examine(config, childLogger(logger, 'doctor'), { running: true }),
      sizeEdges: config.capture.sizeEdges,
      ...consoleDirectory(),
    });
  }

  /**
   * Takes over what can be changed while packets flow: the log level, the API, planning. Metering, recognition and the
   * store are not touched. Resolves with what stays as it was until a restart. @throws TG_API_EXPOSED, nothing changed
   */
  async reload(next: GatewayConfig): Promise<ConfigChanges> {
    const changes = configChanges(this.#config, next);
    const config = withReloaded(this.#config, next);
    const touched = (section: string): boolean => changes.reloadable.some((path) => path.startsWith(section));
    const api = touched('api') ? this.#makeApi(config) : undefined;
    this.#config = config;
    if (touched('logLevel')) setLogLevel(this.#options.logger, config.logLevel);
    if (touched('cycle') || touched('plan')) {
      this.#cycle?.reconfigure(cycleSettings(config, this.#prices.instance(config.plan.instance)));
    }
    if (api !== undefined) {
      await this.#api.stop();
      this.#started.splice(this.#started.indexOf(this.#api), 1);
      this.#api = api;
      await this.#up(api);
      this.#announce();
    }
    return changes;
  }

  /** Everything that was seen is in the store, or counted, when this resolves. */
  async stop(): Promise<void> {
    const { logger, config } = this.#options;
    clearInterval(this.#timer);
    clearInterval(this.#sampler);
    removeRuntimeFile(config.gateway);
    await this.settle();
    for (const component of this.#started.splice(0).reverse()) {
      try {
        await component.stop();
      } catch (error) {
        logger.error({ err: error, reason: messageOf(error) }, 'a component did not stop in order');
      }
    }
  }

  /** Stops metering and waits until what was seen is stored, as far as the store answers. */
  async settle(): Promise<void> {
    const { logger } = this.#options;
    if (!this.#started.includes(this.#source)) return;
    await this.#source.stop();
    await this.#ingest
      ?.drain(DRAIN_MS)
      .catch((error: unknown) => logger.error({ reason: messageOf(error) }, 'not drained'));
    if (!(await this.#store.writer.drain(DRAIN_MS, AWAY_MS))) {
      logger.warn(
        { frames: this.#store.writer.counters().spoolFrames },
        'records stay in the spool for the next start',
      );
    }
    await this.#keep();
  }

  /** Forecasts and plans now, whatever the clock says: the plan, or why there is none. */
  async planNow(): Promise<CycleOutcome> {
    return this.#cycle?.runOnce(Date.now()) ?? unplanned('not-running');
  }

  status(): GatewayStatus {
    const { config, mode } = this.#options;
    // From the end of the way to its beginning: a packet may be counted late, never twice.
    const writer = this.#store.writer.counters();
    const ingest = this.#ingest?.counters();
    const source = this.#source.counters();
    const [packetsPerSecond = 0, octetsPerSecond = 0] = this.#rate.rates;
    const state = this.#cycle?.state;
    const interfaces = this.#source.interfaces();
    return {
      gateway: config.gateway,
      mode,
      startedMs: this.#startedMs,
      nowMs: Date.now(),
      interfaces: interfaces.map((i) => ({ ...i, linkId: linkOf(config, i.name)?.linkId ?? i.name })),
      packets: packetsOf(source, ingest?.lost ?? [], writer),
      rate: { packetsPerSecond, bitsPerSecond: octetsPerSecond * 8 },
      flows: { active: source.activeFlows, records: source.flowRecords },
      records: { written: writer.storedRecords },
      workloads: this.#recognition.workloads(),
      forecasts: state?.forecasts ?? 0,
      plan: state?.plan
        ? planStatusOf(state.plan, nextChange(state.plan, Date.now(), this.#recognition.names()))
        : null,
      store: { kind: this.#store.kind, reachable: writer.reachable, spoolBytes: writer.spoolBytes },
      warnings: [
        ...this.#recognition.warnings(),
        ...(this.#store.problem === undefined ? [] : [this.#store.problem.toLine()]),
        ...interfaces.flatMap((i) =>
          i.mode === 'generic' ? [`${i.name} is in generic mode: ${i.reason ?? ''}`] : [],
        ),
        ...this.#api.problems,
        ...(this.#privileged === undefined ? [] : [this.#privileged]),
      ],
    };
  }

  #figures(): PipelineFigures {
    const ingest = this.#ingest?.counters();
    return {
      ringFill: this.#source.ringFill,
      overloadLevel: this.#source.overload().level,
      headsByOutcome: this.#source.heads(),
      inferQueue: ingest?.waitingBatches ?? 0,
      recordsByEndReason: ingest?.byEndReason ?? {},
      forecasts: this.#cycle?.state.quality ?? [],
      actuations: this.#operations.counts,
    };
  }

  #sampleRate(): void {
    const { seenPackets, seenOctets } = this.#source.counters();
    this.#rate.update(performance.now(), [seenPackets, seenOctets]);
  }

  async #up(component: Component): Promise<void> {
    await component.start();
    this.#started.push(component);
  }

  #makeIngest(exporter: IpfixExporter | undefined): Ingest {
    const { config, logger } = this.#options;
    return this.#recognition.makeIngest({
      source: this.#source,
      writer: this.#store.writer,
      workerData: {
        block: { gateway: config.gateway, links: blockLinks(config, this.#source.interfaces()) },
      },
      // What a collector does not take is counted by the exporter; storing never waits for it.
      ...(exporter === undefined ? {} : { onAnnotated: (batch) => void exporter.export(batch) }),
      logger: childLogger(logger, 'ingest'),
      observe: this.#observations.observe,
    });
  }

  #makeCycle(): PlanningCycle {
    const { config, logger } = this.#options;
    const prices = new LinkPrices(this.#store.client, config.gateway, this.#prices, config.links);
    this.#linkPrices = prices;
    return new PlanningCycle({
      client: this.#store.client,
      forecasts: this.#forecasts,
      planner: this.#planner,
      links: () => prices.priced(Date.now()),
      linksDown: () => this.#linksDown(),
      names: () => this.#recognition.names(),
      onPlan: (plan) => this.#operations.offer(plan),
      gateway: config.gateway,
      logger: childLogger(logger, 'cycle'),
      observe: this.#observations.observe,
      settings: cycleSettings(config, this.#prices.instance(config.plan.instance)),
    });
  }

  /** Links to plan without. Where nobody can tell, all of them count as up: the guard still watches what they lose. */
  async #linksDown(): Promise<ReadonlySet<string>> {
    const { config, logger } = this.#options;
    try {
      return await linksDown(actuatedLinks(config), linksNetns(config));
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'links could not be looked at; all count as up');
      return new Set();
    }
  }

  /** Writes down what would be missed after a crash. */
  async #keep(): Promise<void> {
    try {
      await this.#recognition.keep(Date.now());
      // Each plan writes the prices that it was made with; until there is one, and without planning, nobody else does.
      if (this.#cycle?.state.plan === undefined) await this.#linkPrices?.priced(Date.now());
      await this.#operations.keep();
    } catch (error) {
      this.#options.logger.warn(
        { reason: messageOf(error) },
        'not everything could be written down; trying again',
      );
    }
  }
}
