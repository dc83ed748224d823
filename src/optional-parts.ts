import { childLogger, type Logger } from './base/logger.js';
import { withoutUndefined } from './base/without-undefined.js';
import { looksForNames } from './capture/applications.js';
import type { GatewayConfig } from './config/schema.js';
import { IpfixExporter } from './ipfix/index.js';
import type { StoreClient } from './store/index.js';
import { PrometheusClient, UsageCollector } from './usage/index.js';

/** Sends flow records to an IPFIX collector too, where one is configured. */
export function ipfixExporter({ ipfix, capture }: GatewayConfig, logger: Logger): IpfixExporter | undefined {
  const { collector } = ipfix;
  return collector === undefined
    ? undefined
    : new IpfixExporter({ ...ipfix, collector }, childLogger(logger, 'ipfix'), looksForNames(capture));
}

/** CPU and memory of the workloads' hosts, where there is a Prometheus to ask. */
export function usageCollector(
  { gateway, usage }: GatewayConfig,
  client: () => StoreClient,
  logger: Logger,
): UsageCollector | undefined {
  if (usage.prometheus === undefined) return undefined;
  const { url, bearerToken, user, password, timeout } = usage.prometheus;
  return new UsageCollector({
    gateway,
    config: usage,
    prometheus: new PrometheusClient({
      url,
      timeoutMs: timeout,
      ...withoutUndefined({ bearerToken, user, password }),
    }),
    client,
    logger: childLogger(logger, 'usage'),
  });
}
