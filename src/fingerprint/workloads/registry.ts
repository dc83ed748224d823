import type { FingerprintConfig } from '../config.js';
import { fail } from '../errors.js';
import { observeDrift } from './drift.js';
import type { Labels } from './host-labels.js';
import { mergeAlike, UNANSWERED } from './merging.js';
import { WorkloadRules } from './rules.js';
import { type RegistrySnapshot, readSnapshot, writeSnapshot } from './snapshot.js';
import type { Assignment, EndpointSummary, Workload, WorkloadEvent, WorkloadEventKind } from './types.js';
import {
  absorb,
  describe,
  forgetVectors,
  hasVector,
  mergeInto,
  newWorkload,
  serviceKey,
  similarityTo,
  type WorkloadState,
} from './workload-state.js';

export type RegistryOptions = Pick<
  FingerprintConfig,
  'joinSamePort' | 'joinOtherPort' | 'mergeEvery' | 'returnAfter' | 'maxEndpoints' | 'maxWorkloads' | 'rules'
> &
  Partial<Pick<FingerprintConfig, 'hostLabels'>> & {
    /** Id of the encoder whose vectors are compared here; vectors of different models never are. */
    readonly modelId: string;
  };

/** Unanswered connection attempts of any port are one workload: a scan is not a thousand services. */
const UNANSWERED_PACKETS_PER_FLOW = 4;
const TCP = 6;
const MAX_EVENTS = 10_000;

interface EndpointState {
  workloadId: number;
  lastMs: number;
  service: string;
}

/** `6/443/shop.example.com` of the endpoint `6/443/192.0.2.1/shop.example.com`; undefined where no name was seen. */
function namedService(key: string): string | undefined {
  const [protocol, port, , name] = key.split('/');
  return name === undefined ? undefined : `${protocol}/${port}/${name}`;
}

/**
 * Which workload each service endpoint belongs to. Synchronous and deterministic: the same observations in the same
 * order give the same ids. An endpoint stays with its workload; a new one joins the workload that serves its
 * name elsewhere, or the nearest that is near enough (nearer for another port than for its own), or founds one. Workloads that turn out alike are merged, the older
 * id stays.
 */
export class WorkloadRegistry {
  readonly #options: RegistryOptions;
  #rules: WorkloadRules;
  readonly #workloads = new Map<number, WorkloadState>();
  /** In order of last use, the longest unused first. */
  readonly #endpoints = new Map<string, EndpointState>();
  readonly #aliases = new Map<number, number>();
  /** Service by name (`6/443/shop.example.com`) → an endpoint of it. */
  readonly #named = new Map<string, string>();
  #events: WorkloadEvent[] = [];
  #modelId: string;
  #nextId = 1;
  #lastMergeMs = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#modelId = options.modelId;
    this.#rules = new WorkloadRules(options.rules, options.hostLabels);
  }

  /** Takes in what a batch showed and says, by index, which workload each endpoint belongs to. */
  observe(endpoints: readonly EndpointSummary[], nowMs: number): Assignment[] {
    const assignments = endpoints.map((endpoint) => this.#assign(endpoint, nowMs));
    if (nowMs - this.#lastMergeMs >= this.#options.mergeEvery) {
      this.#lastMergeMs = nowMs;
      mergeAlike(this.#workloads.values(), this.#options, (into, from, similarity) =>
        this.#merge(into, from, nowMs, similarity),
      );
      return assignments.map((a) => ({ ...a, workloadId: this.resolve(a.workloadId) }));
    }
    return assignments;
  }

  /** All workloads, oldest first. */
  workloads(): Workload[] {
    return [...this.#workloads.values()].map(describe);
  }

  /** One workload by id, also by an id that was merged away. @throws TG_FINGERPRINT_WORKLOAD */
  workload(workloadId: number): Workload {
    return describe(this.#known(workloadId));
  }

  /** The id under which a workload goes on after merges. */
  resolve(workloadId: number): number {
    let id = workloadId;
    for (let next = this.#aliases.get(id); next !== undefined; next = this.#aliases.get(id)) id = next;
    return id;
  }

  /** Endpoint keys of a workload. */
  endpointsOf(workloadId: number): string[] {
    const id = this.resolve(workloadId);
    return [...this.#endpoints].filter(([, state]) => state.workloadId === id).map(([key]) => key);
  }

  /** Workloads most like a vector, best first. */
  nearest(vector: ArrayLike<number>, count: number): { workload: Workload; similarity: number }[] {
    return [...this.#workloads.values()]
      .map((state) => ({ state, similarity: similarityTo(state, vector) }))
      .sort((a, b) => b.similarity - a.similarity || a.state.id - b.state.id)
      .slice(0, count)
      .map(({ state, similarity }) => ({ workload: describe(state), similarity }));
  }

  /** A name by a person; it stays whatever the workload does. @throws TG_FINGERPRINT_WORKLOAD */
  label(workloadId: number, name: string): Workload {
    const state = this.#known(workloadId);
    state.name = name;
    state.namedBy = 'user';
    return describe(state);
  }

  /** Makes two workloads one; the first id stays. @throws TG_FINGERPRINT_WORKLOAD */
  merge(intoId: number, fromId: number, nowMs: number): Workload {
    const into = this.#known(intoId);
    const from = this.#known(fromId);
    if (into !== from) this.#merge(into, from, nowMs, 1);
    return describe(into);
  }

  /** Moves endpoints out of their workloads into a new one. @throws TG_FINGERPRINT_WORKLOAD for an unknown endpoint */
  split(endpointKeys: readonly string[], name: string, nowMs: number): Workload {
    const states = endpointKeys.map((key) => {
      const state = this.#endpoints.get(key);
      if (state === undefined) throw fail('TG_FINGERPRINT_WORKLOAD', { workload: `of endpoint ${key}` });
      return state;
    });
    const workload = this.#found(nowMs);
    workload.name = name;
    workload.namedBy = 'user';
    for (const state of states) {
      this.#workloads.get(state.workloadId)!.endpoints -= 1;
      state.workloadId = workload.id;
      workload.endpoints += 1;
      workload.services.set(state.service, 0);
    }
    this.#event('split', workload.id, nowMs, `${name} was split off`, { endpoints: endpointKeys.length });
    return describe(workload);
  }

  /**
   * From now on hosts have these labels. Endpoints to which the rules now give another name than their workload's are
   * judged afresh at their next flow, unless a person named it.
   */
  changeHostLabels(labels: Readonly<Record<string, Labels>>): void {
    this.#rules = new WorkloadRules(this.#options.rules, labels);
    for (const [key, endpoint] of this.#endpoints) {
      const ruled = this.#rules.nameOfKey(key);
      const { name, namedBy } = this.#workloads.get(endpoint.workloadId)!;
      if (ruled !== undefined && ruled !== name && namedBy !== 'user') this.#forget(key, endpoint);
    }
  }

  /** Id of the encoder whose vectors are kept here. */
  get modelId(): string {
    return this.#modelId;
  }

  /** From now on vectors are another encoder's: those of the old one go, ids, names, members and totals stay. */
  changeModel(modelId: string): void {
    if (modelId === this.#modelId) return;
    this.#modelId = modelId;
    for (const state of this.#workloads.values()) forgetVectors(state);
  }

  /** Workloads that are known but have no vector yet, because the encoder changed. */
  withoutVector(): number[] {
    return [...this.#workloads.values()]
      .filter((state) => state.flows > 0 && !hasVector(state))
      .map((state) => state.id);
  }

  /**
   * Gives workloads vectors again after the encoder changed, from records of theirs that were encoded anew.
   * @param sums workload → sum of fingerprints of `modelId`; ids that were merged away count for where they went
   * @returns workloads that got one
   */
  relearn(modelId: string, sums: ReadonlyMap<number, Float32Array>): number {
    if (modelId !== this.#modelId) return 0;
    const lacking = new Set(this.withoutVector());
    const learnt = new Set<number>();
    for (const [id, sum] of sums) {
      const state = this.#workloads.get(this.resolve(id));
      if (state === undefined || !lacking.has(state.id)) continue;
      for (let i = 0; i < sum.length; i += 1) state.sum[i]! += sum[i]!;
      learnt.add(state.id);
    }
    return learnt.size;
  }

  /** Events since the last call. */
  takeEvents(): WorkloadEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  snapshot(): RegistrySnapshot {
    return writeSnapshot({
      modelId: this.#modelId,
      nextId: this.#nextId,
      workloads: this.#workloads,
      endpoints: this.#endpoints,
      aliases: this.#aliases,
    });
  }

  /**
   * Takes over a snapshot: ids, names, endpoints and totals. Vectors of another model are dropped; the workloads
   * learn new ones from their endpoints' next flows. @throws TG_FINGERPRINT_SNAPSHOT
   */
  restore(snapshot: unknown): void {
    const state = readSnapshot(snapshot, this.#modelId);
    this.#workloads.clear();
    this.#endpoints.clear();
    this.#aliases.clear();
    this.#named.clear();
    for (const key of state.endpoints.keys()) {
      const named = namedService(key);
      if (named !== undefined) this.#named.set(named, key);
    }
    for (const [id, workload] of state.workloads) this.#workloads.set(id, workload);
    for (const [key, endpoint] of state.endpoints) this.#endpoints.set(key, endpoint);
    for (const [from, into] of state.aliases) this.#aliases.set(from, into);
    this.#nextId = state.nextId;
    this.#lastMergeMs = 0;
  }

  #known(workloadId: number): WorkloadState {
    const state = this.#workloads.get(this.resolve(workloadId));
    if (state === undefined) throw fail('TG_FINGERPRINT_WORKLOAD', { workload: workloadId });
    return state;
  }

  #assign(endpoint: EndpointSummary, nowMs: number): Assignment {
    const unanswered =
      endpoint.protocol === TCP &&
      endpoint.reversePackets === 0 &&
      endpoint.packets < endpoint.flows * UNANSWERED_PACKETS_PER_FLOW;
    const service = unanswered ? UNANSWERED : serviceKey(endpoint);
    const known = this.#endpoints.get(endpoint.key);
    // An endpoint that answers for the first time is judged afresh.
    const stays = known !== undefined && (known.service === service || unanswered);
    if (stays) {
      this.#endpoints.delete(endpoint.key);
      this.#endpoints.set(endpoint.key, known);
      known.lastMs = nowMs;
      const state = this.#workloads.get(known.workloadId)!;
      // Without a vector, as after a change of the encoder, there is nothing to be far from.
      const score = hasVector(state) ? similarityTo(state, endpoint.pooled) : 1;
      this.#learn(state, endpoint, score, nowMs);
      return { workloadId: state.id, score, isNew: false };
    }
    if (known !== undefined) this.#forget(endpoint.key, known);
    const ruled = this.#rules.nameOf(endpoint);
    const nearest =
      ruled === undefined
        ? (this.#byServerName(endpoint, service) ?? this.#nearestFor(endpoint, service))
        : this.#byRule(ruled);
    const state = nearest?.state ?? this.#found(nowMs);
    const isNew = nearest === undefined;
    const score = hasVector(state) ? similarityTo(state, endpoint.pooled) : 1;
    if (ruled !== undefined && isNew) {
      state.name = ruled;
      state.namedBy = 'rule';
    } else if (unanswered && isNew) {
      state.name = 'unanswered tcp';
    }
    state.endpoints += 1;
    this.#endpoints.set(endpoint.key, { workloadId: state.id, lastMs: nowMs, service });
    const named = namedService(endpoint.key);
    if (named !== undefined) this.#named.set(named, endpoint.key);
    if (unanswered) state.services.set(UNANSWERED, 0);
    this.#learn(state, endpoint, score, nowMs);
    if (isNew) {
      const { name } = describe(state);
      this.#event('new', state.id, nowMs, `new workload ${name}`, { endpoint: endpoint.key });
    }
    this.#trim();
    return { workloadId: state.id, score, isNew };
  }

  #byRule(name: string): { state: WorkloadState } | undefined {
    for (const state of this.#workloads.values())
      if (state.namedBy === 'rule' && state.name === name) return { state };
    return undefined;
  }

  /** The workload of another address where the same name is served on the same port. */
  #byServerName({ key }: EndpointSummary, service: string): { state: WorkloadState } | undefined {
    const named = service === UNANSWERED ? undefined : namedService(key);
    const sibling = named === undefined ? undefined : this.#endpoints.get(this.#named.get(named) ?? '');
    const state = sibling?.service === service ? this.#workloads.get(sibling.workloadId) : undefined;
    return state && { state };
  }

  /** The best workload that the endpoint is near enough to. */
  #nearestFor(endpoint: EndpointSummary, service: string): { state: WorkloadState } | undefined {
    const { joinSamePort, joinOtherPort, maxWorkloads } = this.#options;
    const full = this.#workloads.size >= maxWorkloads;
    let best: WorkloadState | undefined;
    let bestMargin = Number.NEGATIVE_INFINITY;
    for (const state of this.#workloads.values()) {
      if (service === UNANSWERED || state.services.has(UNANSWERED)) {
        if (service === UNANSWERED && state.services.has(UNANSWERED)) return { state };
        continue;
      }
      const threshold = state.services.has(service) ? joinSamePort : joinOtherPort;
      const margin = similarityTo(state, endpoint.pooled) - threshold;
      if (margin <= bestMargin) continue;
      best = state;
      bestMargin = margin;
    }
    return best !== undefined && (bestMargin >= 0 || full) ? { state: best } : undefined;
  }

  #found(nowMs: number): WorkloadState {
    const state = newWorkload(this.#nextId, nowMs);
    this.#nextId += 1;
    this.#workloads.set(state.id, state);
    return state;
  }

  #learn(state: WorkloadState, endpoint: EndpointSummary, score: number, nowMs: number): void {
    const silentMs = nowMs - state.lastSeenMs;
    if (state.flows > 0 && silentMs >= this.#options.returnAfter)
      this.#event('returned', state.id, nowMs, `${describe(state).name} is back`, { silentMs });
    absorb(state, endpoint, nowMs);
    const reading = observeDrift(
      state.drift,
      endpoint.sizeHistogram,
      endpoint.reconstructionError,
      1 - score,
      endpoint.flows,
    );
    if (reading.changed) {
      const { sizeDrift, errorRatio, distanceRise } = reading;
      const details = { sizeDrift, errorRatio, distanceRise };
      this.#event('changed', state.id, nowMs, `${describe(state).name} behaves differently`, details);
    }
  }

  #merge(into: WorkloadState, from: WorkloadState, nowMs: number, similarity: number): void {
    const name = describe(from).name;
    mergeInto(into, from);
    this.#workloads.delete(from.id);
    this.#aliases.set(from.id, into.id);
    for (const endpoint of this.#endpoints.values())
      if (endpoint.workloadId === from.id) endpoint.workloadId = into.id;
    const words = `${name} is now part of ${describe(into).name}`;
    this.#event('merged', into.id, nowMs, words, { from: from.id, similarity });
  }

  #forget(key: string, endpoint: EndpointState): void {
    this.#endpoints.delete(key);
    const named = namedService(key);
    if (named !== undefined && this.#named.get(named) === key) this.#named.delete(named);
    this.#workloads.get(endpoint.workloadId)!.endpoints -= 1;
  }

  #trim(): void {
    while (this.#endpoints.size > this.#options.maxEndpoints) {
      const [key, endpoint] = this.#endpoints.entries().next().value!;
      this.#forget(key, endpoint);
    }
  }

  #event(
    kind: WorkloadEventKind,
    workloadId: number,
    atMs: number,
    words: string,
    details: WorkloadEvent['details'],
  ): void {
    if (this.#events.length >= MAX_EVENTS) this.#events.shift();
    this.#events.push({ kind, workloadId, atMs, words, details });
  }
}
