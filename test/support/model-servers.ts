import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** A server that answers each request as a model of a service says. */
abstract class ModelServer {
  readonly #server: Server;
  url = '';

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const body = Buffer.concat(chunks).toString();
        const answer = this.answer({ method, url, headers, body });
        response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
      });
    });
  }

  protected abstract answer(request: HttpRequest): Answer;

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async end(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const json = (body: unknown, status = 200): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
});

/** Deployments of the namespace `shop` as the Kubernetes API has them: scale sub-resource, patches by content type. */
export class KubernetesServer extends ModelServer {
  readonly deployments = new Map<string, { replicas: number; requests: Record<string, string | null> }>();
  readonly got: HttpRequest[] = [];
  deny = false;

  constructor(names: readonly string[]) {
    super();
    for (const name of names) this.deployments.set(name, { replicas: 2, requests: { cpu: '100m' } });
  }

  /** What a kubeconfig must say to reach it. */
  get kubeconfig(): object {
    return {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: this.url, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: 'a-token' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
  }

  protected override answer(request: HttpRequest): Answer {
    this.got.push(request);
    const patch = request.method === 'PATCH';
    if (request.headers.authorization !== 'Bearer a-token') return json({ message: 'who are you?' }, 401);
    if (patch && this.deny) return json({ message: 'quota exceeded' }, 403);
    const path = /^\/apis\/apps\/v1\/namespaces\/shop\/deployments\/([^/?]+)(\/scale)?(\?|$)/.exec(
      request.url,
    );
    const [, name = '', scale] = path ?? [];
    const found = this.deployments.get(name);
    if (found === undefined) return json({ message: `no ${request.url}` }, 404);
    const wanted = scale ? 'application/merge-patch+json' : 'application/strategic-merge-patch+json';
    if (patch && request.headers['content-type'] !== wanted) return json({}, 415);
    if (patch && scale)
      found.replicas = (JSON.parse(request.body) as { spec: { replicas: number } }).spec.replicas;
    if (patch && !scale) {
      const { resources } = JSON.parse(request.body).spec.template.spec.containers[0];
      found.requests = { ...found.requests, ...resources.requests };
      for (const [key, value] of Object.entries(found.requests))
        if (value === null) delete found.requests[key];
    }
    const metadata = { name, namespace: 'shop' };
    if (scale)
      return json({
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata,
        spec: { replicas: found.replicas },
      });
    const { requests } = found;
    const containers = [{ name: 'app', resources: { requests, limits: requests } }];
    return json({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { selector: {}, template: { spec: { containers } } },
    });
  }
}

const XML = 'xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"';
const xml = (action: string, result: string): Answer => ({
  status: 200,
  type: 'text/xml',
  body: `<${action}Response ${XML}>${result}<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`,
});
const failure = (status: number, code: string, message: string): Answer => ({
  status,
  type: 'text/xml',
  body: `<ErrorResponse ${XML}><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
});

/** Auto Scaling groups as AWS's query protocol has them, at most 4 instances each; requests must be signed. */
export class AwsServer extends ModelServer {
  readonly desired = new Map<string, number>();

  constructor(groups: readonly string[]) {
    super();
    for (const group of groups) this.desired.set(group, 1);
  }

  protected override answer({ method, headers, body }: HttpRequest): Answer {
    const form = new URLSearchParams(body);
    if (method !== 'POST' || form.get('Version') !== '2011-01-01')
      return failure(400, 'Malformed', 'no query');
    // AWS Signature Version 4: who, when, for which service, over which headers.
    if (
      !/^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d{8}\/eu-central-1\/autoscaling\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/.test(
        headers.authorization ?? '',
      )
    )
      return failure(403, 'SignatureDoesNotMatch', 'not signed');
    switch (form.get('Action')) {
      case 'DescribeAutoScalingGroups': {
        const name = form.get('AutoScalingGroupNames.member.1') ?? '';
        const capacity = this.desired.get(name);
        const group = `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>4</MaxSize><DesiredCapacity>${capacity}</DesiredCapacity></member>`;
        return xml(
          'DescribeAutoScalingGroups',
          `<DescribeAutoScalingGroupsResult><AutoScalingGroups>${capacity === undefined ? '' : group}</AutoScalingGroups></DescribeAutoScalingGroupsResult>`,
        );
      }
      case 'SetDesiredCapacity':
        if (form.get('HonorCooldown') !== 'false') return failure(400, 'ValidationError', 'cooldown');
        this.desired.set(form.get('AutoScalingGroupName') ?? '', Number(form.get('DesiredCapacity')));
        return xml('SetDesiredCapacity', '');
      default:
        return failure(400, 'InvalidAction', String(form.get('Action')));
    }
  }
}

/** A receiver of webhooks that accepts everything, and knows requests that it had already. */
export class WebhookServer extends ModelServer {
  readonly values = new Map<string, unknown>();
  readonly #seen = new Set<string>();

  protected override answer({ headers, body }: HttpRequest): Answer {
    const key = String(headers['idempotency-key']);
    const { subject, data } = JSON.parse(body) as { subject: string; data: { value: unknown } };
    if (!this.#seen.has(key)) this.values.set(subject, data.value);
    this.#seen.add(key);
    return json({ accepted: true });
  }
}
