import { once } from 'node:events';
import type { Logger } from '../base/logger.js';
import type { FlowBatch } from '../flow/batch.js';
import { type IpfixConfig, IpfixEncoder, IpfixExporter } from '../ipfix/index.js';
import type { CliContext } from './context.js';

/** Somewhere that batches of flow records go, one after the other. */
export interface BatchOutput {
  start(): Promise<void>;
  /** Resolves when the next batch may come; the batch is not needed after. */
  write(batch: FlowBatch): Promise<void>;
  stop(): Promise<void>;
}

/** To a collector, or as an IPFIX file (RFC 5655: messages one after the other) to stdout. */
export function ipfixOutput(
  context: CliContext,
  config: IpfixConfig,
  logger: Logger,
  names: boolean,
): BatchOutput {
  const { collector } = config;
  if (collector !== undefined) {
    const exporter = new IpfixExporter({ ...config, collector }, logger, names);
    return {
      start: () => exporter.start(),
      write: (batch) => exporter.export(batch),
      stop: () => exporter.stop(),
    };
  }
  const { observationDomainId, enterprise, standardOnly } = config;
  const encoder = new IpfixEncoder({
    observationDomainId,
    messageOctets: 65_000,
    names,
    ...(standardOnly ? {} : { enterprise }),
  });
  const put = async (message: Buffer): Promise<void> => {
    if (!context.stdout.write(message)) await once(context.stdout, 'drain');
  };
  const seconds = (): number => Date.now() / 1000;
  return {
    start: async () => {
      for (const message of encoder.templates(seconds())) await put(message);
    },
    write: async (batch) => {
      for (const message of encoder.records(batch, seconds())) await put(message);
    },
    stop: async () => {},
  };
}
