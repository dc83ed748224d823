import type { Component } from '../../base/component.js';
import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/logger.js';
import type { FingerprintConfig } from '../config.js';
import { fail } from '../errors.js';
import type { Labels } from './host-labels.js';

export interface PodLabelsOptions {
  readonly config: NonNullable<FingerprintConfig['kubernetes']>;
  /** Told of the labels by pod address whenever they are not what they were. */
  readonly onChange: (labels: Readonly<Record<string, Labels>>) => void;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
}

/** What is read of a Pod (Kubernetes API core/v1). */
interface Pod {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly labels?: Labels;
    readonly ownerReferences?: readonly { readonly name: string; readonly controller?: boolean }[];
  };
  readonly spec?: { readonly hostNetwork?: boolean; readonly nodeName?: string };
  readonly status?: { readonly phase?: string; readonly podIPs?: readonly { readonly ip?: string }[] };
}

interface PodList {
  readonly metadata?: { readonly _continue?: string };
  readonly items: readonly Pod[];
}

interface PodApi {
  listPodForAllNamespaces(page: {
    limit: number;
    _continue?: string;
    labelSelector?: string;
  }): Promise<PodList>;
}

/** The part of @kubernetes/client-node 1.x that is used. */
interface KubernetesModule {
  readonly KubeConfig: new () => {
    loadFromDefault(): void;
    loadFromFile(file: string): void;
    setCurrentContext(context: string): void;
    makeApiClient(api: unknown): PodApi;
  };
  readonly CoreV1Api: unknown;
}

const PACKAGE = '@kubernetes/client-node';
const PAGE = 500;
const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed']);

/** Labels by address: a pod's own, and its `namespace`, `pod`, `node` and `owner` where no label has that name. */
function labelsByAddress(pods: readonly Pod[]): Record<string, Labels> {
  const byAddress: Record<string, Labels> = {};
  for (const { metadata = {}, spec = {}, status = {} } of pods) {
    // A pod on its node's address shares it with others; one that ended has given its address back.
    if (spec.hostNetwork || ENDED.has(status.phase ?? '')) continue;
    const known = {
      namespace: metadata.namespace,
      pod: metadata.name,
      node: spec.nodeName,
      owner: metadata.ownerReferences?.find((owner) => owner.controller)?.name,
    };
    const labels = {
      ...Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)),
      ...metadata.labels,
    } as Labels;
    for (const { ip } of status.podIPs ?? []) if (ip) byAddress[ip] = labels;
  }
  return byAddress;
}

/**
 * Reads the pods of a cluster every few seconds and says which labels each pod's address has. A cluster that does not
 * answer changes nothing: the labels of the last answer stay. Tried against a server that checks the wire protocol,
 * not against a cluster.
 */
export class PodLabels implements Component {
  readonly #options: PodLabelsOptions;
  #module: KubernetesModule | undefined;
  #api: PodApi | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();
  #known = '';
  #failures = 0;
  #reason = '';

  constructor(options: PodLabelsOptions) {
    this.#options = options;
  }

  /** What is wrong now, undefined when the pods were read the last time. */
  get warning(): string | undefined {
    if (this.#failures === 0) return undefined;
    return `pods of the cluster could not be read ${this.#failures} times: ${this.#reason}`;
  }

  /**
   * Reads once, and then again and again. A cluster that does not answer, or a kubeconfig that is not there yet, is a
   * warning. @throws TG_FINGERPRINT_KUBERNETES only when the package is not installed
   */
  async start(): Promise<void> {
    this.#module = await loadModule();
    await this.read();
    this.#timer = setInterval(() => {
      this.#reading = this.read();
    }, this.#options.config.every);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  /** Reads all pods now. */
  async read(): Promise<void> {
    const { onChange, logger } = this.#options;
    try {
      const labels = labelsByAddress(await this.#pods());
      const text = JSON.stringify(labels);
      if (this.#failures > 0) logger.info('the pods of the cluster are read again');
      this.#failures = 0;
      if (text === this.#known) return;
      this.#known = text;
      onChange(labels);
    } catch (error) {
      this.#reason = messageOf(error);
      if (this.#failures === 0)
        logger.warn({ reason: this.#reason }, 'pods cannot be read; the labels that were read stay');
      this.#failures += 1;
    }
  }

  async #pods(): Promise<Pod[]> {
    const { config } = this.#options;
    const { labelSelector } = config;
    this.#module ??= await loadModule();
    // What fails is tried again at the next read: the file may have come.
    this.#api ??= connect(this.#module, config);
    const api = this.#api;
    const pods: Pod[] = [];
    let next: string | undefined;
    do {
      const list = await api.listPodForAllNamespaces({
        limit: PAGE,
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(next === undefined ? {} : { _continue: next }),
      });
      pods.push(...list.items);
      next = list.metadata?._continue || undefined;
    } while (next !== undefined);
    return pods;
  }
}

async function loadModule(): Promise<KubernetesModule> {
  try {
    return (await import(PACKAGE)) as KubernetesModule;
  } catch (error) {
    throw fail('TG_FINGERPRINT_KUBERNETES', { reason: `the package ${PACKAGE} is not installed` }, error);
  }
}

/** @throws TG_FINGERPRINT_KUBERNETES when the client cannot be configured */
function connect(module: KubernetesModule, { kubeconfig, context }: PodLabelsOptions['config']): PodApi {
  const config = new module.KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
    if (context !== undefined) config.setCurrentContext(context);
    return config.makeApiClient(module.CoreV1Api);
  } catch (error) {
    throw fail('TG_FINGERPRINT_KUBERNETES', { reason: messageOf(error) }, error);
  }
}
