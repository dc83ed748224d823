import { messageOf } from '../base/errors.js';
import type { ActuationPlan, Change, JsonValue, Refusal } from './actuator.js';
import { actuateError } from './errors.js';
import { loadOptional } from './optional-module.js';
import { StepActuator } from './step-actuator.js';

/** The Auto Scaling group that a host pool of the plan stands for. */
export interface AwsGroup {
  /** As allocations name it: an instance type of the price book, for example. */
  readonly pool: string;
  readonly group: string;
  readonly coresPerInstance: number;
  readonly memoryBytesPerInstance: number;
}

export interface AwsOptions {
  readonly region: string;
  readonly groups: readonly AwsGroup[];
  /** For tests and compatible services; default: that of the region. */
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly now?: () => number;
}

/** The part of @aws-sdk/client-auto-scaling 3.x that is used. */
interface AutoScalingModule {
  readonly AutoScalingClient: new (
    options: object,
  ) => {
    send(command: unknown): Promise<{ readonly AutoScalingGroups?: readonly Group[] }>;
    destroy(): void;
  };
  readonly DescribeAutoScalingGroupsCommand: new (input: object) => unknown;
  readonly SetDesiredCapacityCommand: new (input: object) => unknown;
}

interface Group {
  readonly MinSize?: number;
  readonly MaxSize?: number;
  readonly DesiredCapacity?: number;
}

/**
 * Sets the desired capacity of Auto Scaling groups, between their minimum and maximum. Setting = group, value = number
 * of instances. Credentials are looked for where the SDK always does. Setting a capacity twice is setting it once.
 * Tried against a server that checks the wire protocol, not against AWS.
 */
export class AwsActuator extends StepActuator {
  readonly name = 'aws';
  readonly #options: AwsOptions;
  #client:
    | Promise<{ module: AutoScalingModule; client: InstanceType<AutoScalingModule['AutoScalingClient']> }>
    | undefined;

  constructor(options: AwsOptions) {
    super(options.now);
    this.#options = options;
  }

  override async close(): Promise<void> {
    const connected = await this.#client?.catch(() => undefined);
    connected?.client.destroy();
    this.#client = undefined;
  }

  protected override async propose(plan: ActuationPlan) {
    const changes: Change[] = [];
    const refused: Refusal[] = [];
    for (const { pool, group, coresPerInstance, memoryBytesPerInstance } of this.#options.groups) {
      const own = plan.allocations.filter((a) => a.target === pool && a.resource !== 'bandwidth');
      if (own.length === 0) continue;
      const cores = own.reduce((sum, a) => sum + (a.cpuCores ?? 0), 0);
      const bytes = own.reduce((sum, a) => sum + (a.memoryBytes ?? 0), 0);
      const needed = Math.ceil(Math.max(cores / coresPerInstance, bytes / memoryBytesPerInstance) - 1e-9);
      const { MinSize = 0, MaxSize = 0 } = await this.#describe(group);
      if (needed > MaxSize) {
        const reason = `${needed} instances are more than the ${MaxSize} that group ${group} allows`;
        refused.push(...own.map((allocation) => ({ allocation, reason })));
        continue;
      }
      const after = Math.max(MinSize, needed);
      const words = `${pool}: ${after} instances in group ${group}`;
      changes.push({ action: 'capacity', target: group, after, words });
    }
    return { changes, refused };
  }

  protected override async read(target: string): Promise<JsonValue> {
    return (await this.#describe(target)).DesiredCapacity ?? null;
  }

  protected override async write(target: string, value: JsonValue): Promise<void> {
    await this.#ask(
      target,
      (module) =>
        new module.SetDesiredCapacityCommand({
          AutoScalingGroupName: target,
          DesiredCapacity: value,
          HonorCooldown: false,
        }),
    );
  }

  async #describe(group: string): Promise<Group> {
    const { AutoScalingGroups = [] } = await this.#ask(
      group,
      (module) => new module.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
    );
    const [found] = AutoScalingGroups;
    if (found === undefined)
      throw actuateError('TG_ACTUATE_REMOTE', { actuator: this.name, url: group, reason: 'does not exist' });
    return found;
  }

  async #ask(group: string, command: (module: AutoScalingModule) => unknown) {
    const { module, client } = await this.#connect();
    try {
      return await client.send(command(module));
    } catch (error) {
      const reason = `answered ${(error as Error).name}: ${messageOf(error)}`;
      throw actuateError('TG_ACTUATE_REMOTE', { actuator: this.name, url: group, reason }, error);
    }
  }

  #connect() {
    this.#client ??= loadOptional<AutoScalingModule>('@aws-sdk/client-auto-scaling').then((module) => {
      const { region, endpoint, credentials } = this.#options;
      const client = new module.AutoScalingClient({
        region,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(credentials === undefined ? {} : { credentials }),
      });
      return { module, client };
    });
    return this.#client;
  }
}
