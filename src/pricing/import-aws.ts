import { z } from 'zod';
import { fail } from './errors.js';
import { type InstanceSettings, instanceSchema, type TariffSettings, tariffSchema } from './schema.js';

const dimension = z.object({
  unit: z.string(),
  beginRange: z.string().optional(),
  endRange: z.string().optional(),
  pricePerUnit: z.record(z.string(), z.string()),
});
const offerFile = z.object({
  offerCode: z.string(),
  publicationDate: z.string(),
  products: z.record(
    z.string(),
    z.object({
      productFamily: z.string().optional(),
      attributes: z.record(z.string(), z.string()),
    }),
  ),
  terms: z.object({
    OnDemand: z.record(
      z.string(),
      z.record(z.string(), z.object({ priceDimensions: z.record(z.string(), dimension) })),
    ),
    Reserved: z
      .record(
        z.string(),
        z.record(
          z.string(),
          z.object({
            priceDimensions: z.record(z.string(), dimension),
            termAttributes: z.record(z.string(), z.string()).default({}),
          }),
        ),
      )
      .default({}),
  }),
});

type Dimension = z.infer<typeof dimension>;

export interface AwsImport {
  readonly tariffs: readonly TariffSettings[];
  readonly instances: readonly InstanceSettings[];
}

const usdOf = (d: Dimension, file: string, sku: string): number => {
  const usd = Number(d.pricePerUnit.USD);
  if (d.pricePerUnit.USD === undefined || !Number.isFinite(usd)) {
    const found = Object.keys(d.pricePerUnit).join(', ') || 'none';
    throw fail('TG_PRICING_IMPORT', { file, problem: `${sku} has no price in USD but in ${found}` });
  }
  return usd;
};

/** Tiers out of price dimensions: sorted, each beginning where the one before ends, the last without end. */
function tiersOf(dimensions: readonly Dimension[], file: string, sku: string) {
  const sorted = [...dimensions].sort((a, b) => Number(a.beginRange ?? 0) - Number(b.beginRange ?? 0));
  return sorted.map((d, i) => {
    const begin = Number(d.beginRange ?? 0);
    const expected = i === 0 ? 0 : Number(sorted[i - 1]!.endRange);
    if (begin !== expected) {
      throw fail('TG_PRICING_IMPORT', {
        file,
        problem: `the tiers of ${sku} leave a gap: ${expected} GB to ${begin} GB`,
      });
    }
    const end = d.endRange === undefined || d.endRange === 'Inf' ? undefined : Number(d.endRange);
    return { usdPerGb: usdOf(d, file, sku), ...(end === undefined ? {} : { upToGb: end }) };
  });
}

/**
 * Tariffs and instances of one region out of an offer file of AWS's public price list (Price List Bulk API, JSON):
 * data transfer out to the internet, and shared-tenancy Linux instances on demand and, where they are offered so,
 * reserved for a year without upfront payment. Spot prices are not in that list.
 *
 * @param file name for error messages
 * @throws TG_PRICING_IMPORT when it is no offer file, names nothing in the region, or has gaps or foreign currencies
 */
export function importAwsPriceList(json: unknown, region: string, file: string): AwsImport {
  const parsed = offerFile.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw fail('TG_PRICING_IMPORT', {
      file,
      problem: `it is no offer file: ${issue.path.join('.')}: ${issue.message}`,
    });
  }
  const { offerCode, publicationDate, products, terms } = parsed.data;
  const source = `AWS price list, offer ${offerCode}`;
  const date = publicationDate.slice(0, 10);
  const dimensionsOf = (sku: string): Dimension[] =>
    Object.values(terms.OnDemand[sku] ?? {}).flatMap((term) => Object.values(term.priceDimensions));
  const tariffs: TariffSettings[] = [];
  const instances: InstanceSettings[] = [];
  const regions = new Set<string>();
  for (const [sku, { productFamily, attributes }] of Object.entries(products)) {
    const from = attributes.fromRegionCode ?? attributes.regionCode;
    if (from !== undefined) regions.add(from);
    if (from !== region) continue;
    const dimensions = dimensionsOf(sku);
    if (dimensions.length === 0) continue;
    if (productFamily === 'Data Transfer' && attributes.transferType === 'AWS Outbound') {
      tariffs.push({
        tariffId: `aws-internet-${region}`,
        description: `AWS data transfer out to the internet from ${attributes.fromLocation ?? region}`,
        source,
        date,
        provider: 'aws',
        region,
        destination: attributes.toLocation ?? 'External',
        egress: tiersOf(dimensions, file, sku),
      });
    } else if (productFamily === 'Compute Instance' && isPlainLinux(attributes)) {
      instances.push({
        instanceId: attributes.instanceType ?? sku,
        description: `${attributes.instanceType} on demand, ${region}`,
        source,
        date,
        provider: 'aws',
        region,
        cpuCores: Number(attributes.vcpu),
        memoryGiB: Number((attributes.memory ?? '').replace(/[^0-9.]/g, '')),
        usdPerHour: usdOf(dimensions[0]!, file, sku),
        ...reservedOf(Object.values(terms.Reserved[sku] ?? {}), file, sku),
      });
    }
  }
  if (tariffs.length + instances.length === 0) {
    const known = [...regions].sort().join(', ') || 'no region';
    throw fail('TG_PRICING_IMPORT', { file, problem: `it has nothing for ${region}, only ${known}` });
  }
  check(tariffs, (t) => tariffSchema.safeParse(t), file);
  check(instances, (i) => instanceSchema.safeParse(i), file);
  return { tariffs, instances };
}

/** The hourly price of a standard year without upfront payment. */
function reservedOf(
  terms: readonly {
    readonly priceDimensions: Readonly<Record<string, Dimension>>;
    readonly termAttributes: Readonly<Record<string, string>>;
  }[],
  file: string,
  sku: string,
): Pick<InstanceSettings, 'reservedUsdPerHour'> {
  const year = terms.find(
    ({ termAttributes: { LeaseContractLength, OfferingClass, PurchaseOption } }) =>
      LeaseContractLength === '1yr' && OfferingClass === 'standard' && PurchaseOption === 'No Upfront',
  );
  const hourly = Object.values(year?.priceDimensions ?? {}).find(({ unit }) => unit === 'Hrs');
  return hourly === undefined ? {} : { reservedUsdPerHour: usdOf(hourly, file, sku) };
}

const isPlainLinux = (attributes: Readonly<Record<string, string>>): boolean =>
  attributes.operatingSystem === 'Linux' &&
  attributes.tenancy === 'Shared' &&
  (attributes.preInstalledSw ?? 'NA') === 'NA' &&
  (attributes.capacitystatus ?? 'Used') === 'Used';

function check<Item>(
  items: readonly Item[],
  parse: (item: Item) => { success: boolean; error?: z.ZodError | undefined },
  file: string,
): void {
  for (const item of items) {
    const issue = parse(item).error?.issues[0];
    if (issue)
      throw fail('TG_PRICING_IMPORT', { file, problem: `${issue.path.join('.')}: ${issue.message}` });
  }
}
