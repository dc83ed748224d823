import type { FingerprintConfig } from '../config.js';
import { fail } from '../errors.js';
import { isUnanswered, nearEnough, nearestWorkloads, ruledAs } from './choice.js';
import { observeDrift } from './drift.js';
import { type EndpointState, EndpointTable } from './endpoint-table.js';
import { EventLog } from './event-log.js';
import type { Labels } from './host-labels.js';
import { labelsOf } from './labels.js';
import { mergeAlike, UNANSWERED } from './merging.js';
import { WorkloadRules } from './rules.js';
import { type RegistrySnapshot, readSnapshot, writeSnapshot } from './snapshot.js';
import type { Assignment, EndpointSummary, Workload, WorkloadEvent, WorkloadLabel } from './types.js';
import {
  absorb,
  describe,
  forgetVectors,
  hasVector,
  likeness,
  mergeInto,
  newWorkload,
  serviceKey,
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
  readonly #endpoints = new EndpointTable();
  readonly #aliases = new Map<number, number>();
  readonly #events = new EventLog();
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

  /** The workload to which an endpoint belongs; undefined when it is not known. */
  workloadIdOf(endpointKey: string): number | undefined {
    return this.#endpoints.get(endpointKey)?.workloadId;
  }

  /** Workloads most like a vector, best first. */
  nearest(vector: ArrayLike<number>, count: number): { workload: Workload; similarity: number }[] {
    return nearestWorkloads(this.#workloads.values(), vector, count);
  }

  /** A name by a person; it stays whatever the workload does. @throws TG_FINGERPRINT_WORKLOAD */
  label(workloadId: number, name: string): Workload {
    const state = this.#known(workloadId);
    state.name = name;
    state.namedBy = 'user';
    return describe(state);
  }

  /** What people and rules have named: the next training learns it. */
  labels(): WorkloadLabel[] {
    return labelsOf(this.#workloads.values(), this.#endpoints, this.#aliases.keys(), (id) =>
      this.resolve(id),
    );
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
    this.#events.add('split', workload.id, nowMs, `${name} was split off`, {
      endpoints: endpointKeys.length,
    });
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
   * @param behaviours the same of vectors without ports
   * @returns workloads that got one
   */
  relearn(
    modelId: string,
    sums: ReadonlyMap<number, Float32Array>,
    behaviours: ReadonlyMap<number, Float32Array> = new Map(),
  ): number {
    if (modelId !== this.#modelId) return 0;
    const lacking = new Set(this.withoutVector());
    const learnt = new Set<number>();
    for (const [id, sum] of sums) {
      const state = this.#workloads.get(this.resolve(id));
      if (state === undefined || !lacking.has(state.id)) continue;
      const behaviour = behaviours.get(id);
      for (let i = 0; i < sum.length; i += 1) {
        state.sum[i]! += sum[i]!;
        state.behaviour[i]! += behaviour?.[i] ?? 0;
      }
      learnt.add(state.id);
    }
    return learnt.size;
  }

  /** Events since the last call. */
  takeEvents(): WorkloadEvent[] {
    return this.#events.take();
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
    const unanswered = isUnanswered(endpoint);
    const service = unanswered ? UNANSWERED : serviceKey(endpoint);
    const known = this.#endpoints.get(endpoint.key);
    // An endpoint that answers for the first time is judged afresh.
    const stays = known !== undefined && (known.service === service || unanswered);
    if (stays) {
      this.#endpoints.touch(endpoint.key, known, nowMs);
      const state = this.#workloads.get(known.workloadId)!;
      const score = likeness(state, endpoint);
      this.#learn(state, endpoint, score, nowMs);
      return { workloadId: state.id, score, isNew: false };
    }
    if (known !== undefined) this.#forget(endpoint.key, known);
    const ruled = this.#rules.nameOf(endpoint);
    const nearest =
      ruled === undefined
        ? (this.#byServerName(endpoint, service) ??
          nearEnough(this.#workloads, endpoint, service, nowMs, this.#options))
        : ruledAs(this.#workloads.values(), ruled);
    const state = nearest ?? this.#found(nowMs);
    const isNew = nearest === undefined;
    const score = likeness(state, endpoint);
    if (ruled !== undefined && isNew) {
      state.name = ruled;
      state.namedBy = 'rule';
    } else if (unanswered && isNew) {
      state.name = 'unanswered tcp';
    }
    state.endpoints += 1;
    this.#endpoints.set(endpoint.key, { workloadId: state.id, lastMs: nowMs, service });
    if (unanswered) state.services.set(UNANSWERED, 0);
    this.#learn(state, endpoint, score, nowMs);
    if (isNew) {
      const { name } = describe(state);
      this.#events.add('new', state.id, nowMs, `new workload ${name}`, { endpoint: endpoint.key });
    }
    this.#trim();
    return { workloadId: state.id, score, isNew };
  }

  /** The workload of another address where the same name is served on the same port. */
  #byServerName({ key }: EndpointSummary, service: string): WorkloadState | undefined {
    const sibling = service === UNANSWERED ? undefined : this.#endpoints.sibling(key);
    return sibling?.service === service ? this.#workloads.get(sibling.workloadId) : undefined;
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
      this.#events.add('returned', state.id, nowMs, `${describe(state).name} is back`, { silentMs });
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
      this.#events.add('changed', state.id, nowMs, `${describe(state).name} behaves differently`, details);
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
    this.#events.add('merged', into.id, nowMs, words, { from: from.id, similarity });
  }

  #forget(key: string, endpoint: EndpointState): void {
    this.#endpoints.delete(key);
    this.#workloads.get(endpoint.workloadId)!.endpoints -= 1;
  }

  #trim(): void {
    while (this.#endpoints.size > this.#options.maxEndpoints) {
      const oldest = this.#endpoints.oldest();
      if (oldest) this.#forget(...oldest);
    }
  }
}
