export { type QueryOptions, type StoreAccess, StoreClient } from './client.js';
export { type StoreConfig, storeConfig } from './config.js';
export { asStoreError, clickhouseCode, storeError } from './errors.js';
export { type FlowSampleOptions, readFlowSample } from './flow-reader.js';
export type { FlowFrame } from './intake.js';
export type { WriterCounters } from './ledger.js';
export { BLOCK_COLUMNS, type BlockOptions, encodeFlowBlock, type LinkOfInterface } from './native-block.js';
export {
  type ReferenceVector,
  type SimilarWorkload,
  similarWorkloads,
  writeReferences,
} from './reference-vectors.js';
export { type DroppedPartition, Retention, type RetentionOptions } from './retention.js';
export { MIGRATIONS } from './schema/index.js';
export { Spool } from './spool.js';
export { Store, type StoreOptions } from './store.js';
export { BatchWriter } from './writer.js';
