import { messageOf } from '../base/errors.js';
import type { ActuationPlan, Change, DesiredAllocation, JsonValue, Refusal } from './actuator.js';
import { actuateError } from './errors.js';
import { loadOptional } from './optional-module.js';
import { StepActuator } from './step-actuator.js';

/** The Deployment or StatefulSet that a workload runs as. */
export interface KubernetesWorkload {
  /** The workload's name in Tidegate. */
  readonly workload: string;
  readonly kind: 'Deployment' | 'StatefulSet';
  readonly namespace: string;
  readonly name: string;
  /** What one replica carries: cores are turned into replicas. Absent = replicas are left alone. */
  readonly coresPerReplica?: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Container whose requests and limits are set to an equal part of what is planned; absent = they are left alone. */
  readonly container?: string;
}

export interface KubernetesOptions {
  readonly workloads: readonly KubernetesWorkload[];
  /** Default: $KUBECONFIG, ~/.kube/config, or the service account of the pod. */
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly now?: () => number;
}

/** The part of @kubernetes/client-node 1.x that is used. */
interface KubernetesModule {
  readonly KubeConfig: new () => {
    loadFromDefault(): void;
    loadFromFile(file: string): void;
    setCurrentContext(context: string): void;
    makeApiClient(api: unknown): AppsApi;
  };
  readonly AppsV1Api: unknown;
  readonly PatchStrategy: { readonly MergePatch: string; readonly StrategicMergePatch: string };
  setHeaderOptions(name: string, value: string): unknown;
}

interface Scale {
  readonly spec?: { readonly replicas?: number };
}

interface Workload {
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly name: string;
          readonly resources?: { readonly requests?: Resources; readonly limits?: Resources };
        }[];
      };
    };
  };
}

type Resources = Readonly<Record<string, string>>;

interface Named {
  readonly name: string;
  readonly namespace: string;
}

interface AppsApi {
  readNamespacedDeploymentScale(named: Named): Promise<Scale>;
  readNamespacedStatefulSetScale(named: Named): Promise<Scale>;
  patchNamespacedDeploymentScale(named: Named & { body: unknown }, options: unknown): Promise<Scale>;
  patchNamespacedStatefulSetScale(named: Named & { body: unknown }, options: unknown): Promise<Scale>;
  readNamespacedDeployment(named: Named): Promise<Workload>;
  readNamespacedStatefulSet(named: Named): Promise<Workload>;
  patchNamespacedDeployment(named: Named & { body: unknown }, options: unknown): Promise<Workload>;
  patchNamespacedStatefulSet(named: Named & { body: unknown }, options: unknown): Promise<Workload>;
}

const FIELD_OWNER = 'tidegate';

/** `0.25` cores as Kubernetes writes them: `250m`. */
export const cpuQuantity = (cores: number): string => `${Math.max(1, Math.ceil(cores * 1000))}m`;
/** Bytes as a whole number of Mi, rounded up. */
export const memoryQuantity = (bytes: number): string => `${Math.max(1, Math.ceil(bytes / 2 ** 20))}Mi`;

/**
 * Scales Deployments and StatefulSets: replicas by the scale sub-resource, requests and limits of a container by a
 * strategic merge patch. Settings: `<kind>/<namespace>/<name>/replicas` = a number, `…/<container>` = `{cpu, memory}`.
 * Tried against a server that checks the wire protocol, not against a cluster.
 */
export class KubernetesActuator extends StepActuator {
  readonly name = 'kubernetes';
  readonly #options: KubernetesOptions;
  #client: Promise<{ api: AppsApi; module: KubernetesModule }> | undefined;

  constructor(options: KubernetesOptions) {
    super(options.now);
    this.#options = options;
  }

  protected override async propose(plan: ActuationPlan) {
    const changes: Change[] = [];
    const refused: Refusal[] = [];
    for (const workload of this.#options.workloads) {
      const own = plan.allocations.filter((a) => a.workloadName === workload.workload);
      const refuse = (of: DesiredAllocation[], reason: string): void =>
        void refused.push(...of.map((allocation) => ({ allocation, reason })));
      const cpu = own.filter((a) => a.resource === 'cpu');
      const memory = own.filter((a) => a.resource === 'memory');
      const cores = cpu.reduce((sum, a) => sum + (a.cpuCores ?? 0), 0);
      const bytes = memory.reduce((sum, a) => sum + (a.memoryBytes ?? 0), 0);
      const target = `${workload.kind}/${workload.namespace}/${workload.name}`;
      let replicas: number | undefined;
      if (workload.coresPerReplica !== undefined && cores > 0) {
        const needed = Math.ceil(cores / workload.coresPerReplica - 1e-9);
        replicas = Math.max(workload.minReplicas, needed);
        if (needed > workload.maxReplicas) {
          refuse(cpu, `${needed} replicas of ${target} are more than the ${workload.maxReplicas} allowed`);
          continue;
        }
        changes.push({
          action: 'scale',
          target: `${target}/replicas`,
          after: replicas,
          words: `${workload.workload}: ${replicas} replicas of ${target}`,
        });
      }
      if (workload.container === undefined || (cores === 0 && bytes === 0)) continue;
      const present = replicas ?? Number((await this.read(`${target}/replicas`)) ?? 0);
      if (present === 0) {
        refuse(own, `${target} has no replica to give resources to`);
        continue;
      }
      const after = {
        ...(cores > 0 ? { cpu: cpuQuantity(cores / present) } : {}),
        ...(bytes > 0 ? { memory: memoryQuantity(bytes / present) } : {}),
      };
      changes.push({
        action: 'resources',
        target: `${target}/${workload.container}`,
        after,
        words: `${workload.workload}: ${Object.values(after).join(' and ')} for each ${workload.container} of ${target}`,
      });
    }
    return { changes, refused };
  }

  protected override async read(target: string): Promise<JsonValue> {
    const { kind, what, ...named } = locate(target);
    const { api } = await this.#connect();
    try {
      if (what === 'replicas') {
        const scale = await (kind === 'Deployment'
          ? api.readNamespacedDeploymentScale(named)
          : api.readNamespacedStatefulSetScale(named));
        return scale.spec?.replicas ?? 0;
      }
      const workload = await (kind === 'Deployment'
        ? api.readNamespacedDeployment(named)
        : api.readNamespacedStatefulSet(named));
      const container = workload.spec?.template?.spec?.containers?.find((c) => c.name === what);
      if (container === undefined) throw new RangeError(`it has no container ${what}`);
      const { requests = {} } = container.resources ?? {};
      return pick(requests);
    } catch (error) {
      throw this.#failed(target, error);
    }
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    const { kind, what, ...named } = locate(target);
    const { api, module } = await this.#connect();
    const patch = (strategy: string): unknown => module.setHeaderOptions('Content-Type', strategy);
    const manager = { fieldManager: FIELD_OWNER };
    try {
      if (what === 'replicas') {
        const request = { ...named, ...manager, body: { spec: { replicas: value } } };
        await (kind === 'Deployment'
          ? api.patchNamespacedDeploymentScale(request, patch(module.PatchStrategy.MergePatch))
          : api.patchNamespacedStatefulSetScale(request, patch(module.PatchStrategy.MergePatch)));
        return;
      }
      // What was not set before is taken away again: null removes a key.
      const wanted = (value ?? {}) as Resources;
      const all = { cpu: wanted.cpu ?? null, memory: wanted.memory ?? null };
      const containers = [{ name: what, resources: { requests: all, limits: all } }];
      const request = { ...named, ...manager, body: { spec: { template: { spec: { containers } } } } };
      await (kind === 'Deployment'
        ? api.patchNamespacedDeployment(request, patch(module.PatchStrategy.StrategicMergePatch))
        : api.patchNamespacedStatefulSet(request, patch(module.PatchStrategy.StrategicMergePatch)));
    } catch (error) {
      throw this.#failed(target, error);
    }
  }

  #connect(): Promise<{ api: AppsApi; module: KubernetesModule }> {
    this.#client ??= loadOptional<KubernetesModule>('@kubernetes/client-node').then((module) => {
      const { kubeconfig, context } = this.#options;
      const config = new module.KubeConfig();
      if (kubeconfig === undefined) config.loadFromDefault();
      else config.loadFromFile(kubeconfig);
      if (context !== undefined) config.setCurrentContext(context);
      return { api: config.makeApiClient(module.AppsV1Api), module };
    });
    return this.#client;
  }

  #failed(target: string, error: unknown) {
    const { code, body } = error as { code?: unknown; body?: unknown };
    const said = typeof body === 'string' ? body.slice(0, 200) : '';
    const reason = typeof code === 'number' ? `answered ${code} ${said}` : messageOf(error);
    return actuateError('TG_ACTUATE_REMOTE', { actuator: this.name, url: target, reason }, error);
  }
}

const pick = ({ cpu, memory }: Resources): JsonValue =>
  cpu === undefined && memory === undefined
    ? null
    : { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) };

function locate(target: string): Named & { kind: string; what: string } {
  const [kind = '', namespace = '', name = '', what = ''] = target.split('/');
  return { kind, namespace, name, what };
}
