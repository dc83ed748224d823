/**
 * What an encoder is fed with. The order and meaning of the inputs is part of a model: a model names the schema it
 * was trained on, and another one is refused. Change anything here or in `extract.ts` → raise the version.
 */
export const FEATURE_VERSION = 2;

/** Which blocks of the record the features are made from. */
export const FEATURE_VARIANTS = ['noport', 'port', 'port+bytes'] as const;
export type FeatureVariant = (typeof FEATURE_VARIANTS)[number];

/** How inputs enter a network: dense ones are z-scored on the training data, the others multiplied by a weight. */
export interface FeatureBlock {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
  readonly kind: 'dense' | 'weighted';
  /** Multiplier of a weighted block. */
  readonly weight: number;
  readonly part: 'behaviour' | 'port' | 'bytes';
}

export interface FeatureSchema {
  /** e.g. `flow-2-port`: goes into the model file. */
  readonly id: string;
  readonly variant: FeatureVariant;
  readonly dimensions: number;
  readonly blocks: readonly FeatureBlock[];
}

type BlockSpec = readonly [name: string, width: number, weight: number | 'dense', part: FeatureBlock['part']];

/** Inputs beyond ± this many (standard deviations, or weighted units) are clipped, in the graph and everywhere else. */
export const FEATURE_CLIP = 4;

const BEHAVIOUR: readonly BlockSpec[] = [
  ['protocol', 6, 'dense', 'behaviour'],
  ['volume', 10, 'dense', 'behaviour'],
  ['sizes', 32, 'dense', 'behaviour'],
  ['gaps', 10, 'dense', 'behaviour'],
  ['payloads', 8, 'dense', 'behaviour'],
  ['flags', 16, 'dense', 'behaviour'],
  ['stack', 12, 'dense', 'behaviour'],
  ['hops', 14, 'dense', 'behaviour'],
  ['payloadShape', 8, 'dense', 'behaviour'],
  ['payloadAt', 128, 2, 'behaviour'],
  ['payloadBag', 128, 2, 'behaviour'],
  ['stackExact', 64, 2, 'behaviour'],
];
const PORT: readonly BlockSpec[] = [
  ['portClass', 8, 'dense', 'port'],
  ['portBits', 48, 4, 'port'],
];
const BYTES: readonly BlockSpec[] = [
  ['bytes', 68, 'dense', 'bytes'],
  ['byteAt', 192, 1, 'bytes'],
  ['byteBigrams', 64, 1, 'bytes'],
];

function build(variant: FeatureVariant, specs: readonly BlockSpec[]): FeatureSchema {
  let offset = 0;
  const blocks = specs.map(([name, width, weight, part]): FeatureBlock => {
    const block: FeatureBlock = {
      name,
      offset,
      width,
      kind: weight === 'dense' ? 'dense' : 'weighted',
      weight: weight === 'dense' ? 1 : weight,
      part,
    };
    offset += width;
    return block;
  });
  return { id: `flow-${FEATURE_VERSION}-${variant}`, variant, dimensions: offset, blocks };
}

const SCHEMAS: Readonly<Record<FeatureVariant, FeatureSchema>> = {
  noport: build('noport', BEHAVIOUR),
  port: build('port', [...BEHAVIOUR, ...PORT]),
  'port+bytes': build('port+bytes', [...BEHAVIOUR, ...PORT, ...BYTES]),
};

export const featureSchema = (variant: FeatureVariant): FeatureSchema => SCHEMAS[variant];

/** The schema with this id, undefined when this version does not have it. */
export const featureSchemaById = (id: string): FeatureSchema | undefined =>
  Object.values(SCHEMAS).find((schema) => schema.id === id);

/** Offset of a block. */
export function blockOffset(schema: FeatureSchema, name: string): number {
  const block = schema.blocks.find((candidate) => candidate.name === name);
  if (block === undefined) throw new RangeError(`schema ${schema.id} has no block ${name}`);
  return block.offset;
}

/** Where the blocks of a schema begin. */
export interface BlockOffsets {
  readonly protocol: number;
  readonly volume: number;
  readonly sizes: number;
  readonly gaps: number;
  readonly payloads: number;
  readonly flags: number;
  readonly stack: number;
  readonly hops: number;
  readonly payloadShape: number;
  readonly payloadAt: number;
  readonly payloadBag: number;
  readonly stackExact: number;
}

export const blockOffsets = (schema: FeatureSchema): BlockOffsets => ({
  protocol: blockOffset(schema, 'protocol'),
  volume: blockOffset(schema, 'volume'),
  sizes: blockOffset(schema, 'sizes'),
  gaps: blockOffset(schema, 'gaps'),
  payloads: blockOffset(schema, 'payloads'),
  flags: blockOffset(schema, 'flags'),
  stack: blockOffset(schema, 'stack'),
  hops: blockOffset(schema, 'hops'),
  payloadShape: blockOffset(schema, 'payloadShape'),
  payloadAt: blockOffset(schema, 'payloadAt'),
  payloadBag: blockOffset(schema, 'payloadBag'),
  stackExact: blockOffset(schema, 'stackExact'),
});
