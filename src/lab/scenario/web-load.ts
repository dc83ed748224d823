import { runInNamespace } from '../namespaces.js';
import { latencyQuantileMs } from '../traffic/latency.js';
import { LabTraffic, type TrafficReport } from '../traffic/traffic.js';
import { monotonicMs, type Stage, sleep } from './stage.js';

export const SAMPLE_MS = 250;

export interface WebSample {
  /** End of the sample, monotonic. */
  readonly atMs: number;
  /** Into the gateway from each side that serves, bit/s. */
  readonly privateBps: number;
  readonly publicBps: number;
  /** Of the requests answered in the sample; NaN when there were none. */
  readonly p99Ms: number;
  /** Connections that the public side has taken so far. */
  readonly publicFlows: number;
}

const latencies = (report: TrafficReport): readonly number[] =>
  report.sides.find((side) => side.workload === 'web' && side.side === 'client')?.latency ?? [];

/** The request/response workload of the lab whose service is also on the public side, and what it experiences. */
export class WebLoad {
  readonly #stage: Stage;
  readonly #traffic: LabTraffic;
  #lastMs = 0;
  #octets = { private: 0, public: 0 };
  #counts: readonly number[] = [];

  private constructor(stage: Stage, traffic: LabTraffic) {
    this.#stage = stage;
    this.#traffic = traffic;
  }

  /** Runs `work` with the load on, over a private link that carries `capacityBps`. */
  static async run<T>(stage: Stage, capacityBps: number, work: (load: WebLoad) => Promise<T>): Promise<T> {
    const { topology } = stage;
    // The link's capacity, where its packets enter it: in the private network, not in the gateway.
    await runInNamespace(
      topology.namespaceOf('private'),
      'tc qdisc add dev uplink root handle 1: htb default 1\n' +
        `tc class add dev uplink parent 1: classid 1:1 htb rate ${capacityBps}bit ceil ${capacityBps}bit burst 32k cburst 32k quantum 1514\n` +
        // A router's queue of about 200 ms.
        `tc qdisc add dev uplink parent 1:1 pfifo limit ${Math.ceil((capacityBps / 8 / 1500) * 0.2)}\n`,
    );
    const traffic = new LabTraffic({
      topology,
      workloads: ['web'],
      seasonMs: 3_600_000,
      epochMs: Date.now() - 1_800_000,
    });
    await stage.weights({ private: 1 });
    await traffic.start();
    try {
      const load = new WebLoad(stage, traffic);
      await load.#begin();
      return await work(load);
    } finally {
      await traffic.stop();
      await runInNamespace(topology.namespaceOf('private'), 'tc qdisc del dev uplink root\n');
    }
  }

  /** Multiplies the load from now on. */
  set(factor: number): void {
    this.#traffic.setLoad('web', factor);
  }

  /** Waits for the end of the sample that runs. */
  async sample(): Promise<WebSample> {
    await sleep(SAMPLE_MS - ((monotonicMs() - this.#lastMs) % SAMPLE_MS));
    const report = await this.#traffic.report();
    const octets = this.#received();
    const atMs = monotonicMs();
    const bps = (side: 'private' | 'public'): number =>
      ((octets[side] - this.#octets[side]) * 8000) / (atMs - this.#lastMs);
    const counts = latencies(report);
    const answered = counts.map((count, i) => count - (this.#counts[i] ?? 0));
    const sample = {
      atMs,
      privateBps: bps('private'),
      publicBps: bps('public'),
      p99Ms: answered.some((count) => count > 0) ? latencyQuantileMs(answered, 0.99) : Number.NaN,
      publicFlows:
        report.sides.find((side) => side.workload === 'web' && side.node === 'public-a')?.connections ?? 0,
    };
    this.#octets = octets;
    this.#lastMs = atMs;
    this.#counts = [...counts];
    return sample;
  }

  async #begin(): Promise<void> {
    this.#octets = this.#received();
    this.#lastMs = monotonicMs();
    this.#counts = [...latencies(await this.#traffic.report())];
  }

  #received(): { private: number; public: number } {
    return { private: this.#stage.receivedFrom('private'), public: this.#stage.receivedFrom('public-a') };
  }
}
