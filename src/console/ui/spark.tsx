/** A line without axes; what it shows is said in words for those who do not see it. */
export function Spark({
  values,
  upper,
  label,
  width = 160,
  height = 36,
  colour = 'var(--accent)',
}: {
  readonly values: readonly number[];
  /** Upper end of a band above the line. */
  readonly upper?: readonly number[];
  readonly label: string;
  readonly width?: number;
  readonly height?: number;
  readonly colour?: string;
}) {
  const top = Math.max(1e-9, ...values, ...(upper ?? []));
  const points = (of: readonly number[]): string[] =>
    of.map((value, i) => {
      const x = (i / Math.max(1, of.length - 1)) * width;
      return `${x.toFixed(1)},${(height - 1 - (value / top) * (height - 3)).toFixed(1)}`;
    });
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
      preserveAspectRatio="none"
    >
      <title>{label}</title>
      {upper !== undefined && (
        <polygon
          points={[...points(upper), ...points(values).reverse()].join(' ')}
          fill={colour}
          opacity="0.2"
        />
      )}
      <polyline points={points(values).join(' ')} fill="none" stroke={colour} stroke-width="1.5" />
    </svg>
  );
}

/** Bars of a histogram; each tells its range and share. */
export function Histogram({
  values,
  edges,
  unit,
  label,
}: {
  readonly values: readonly number[];
  /** Upper edges; the last bin is open. */
  readonly edges: readonly number[];
  readonly unit: string;
  readonly label: string;
}) {
  const total = values.reduce((sum, value) => sum + value, 0);
  const top = Math.max(1e-9, ...values);
  const width = 12 * Math.max(1, values.length);
  const edge = (i: number): string => {
    const at = edges[i];
    if (at === undefined) return '∞';
    return unit === 'µs' && at >= 1000 ? `${Math.round(at / 100) / 10} ms` : `${Math.round(at)} ${unit}`;
  };
  return (
    <>
      <svg
        class="histogram"
        viewBox={`0 0 ${width} 36`}
        role="img"
        aria-label={label}
        preserveAspectRatio="none"
      >
        <title>{label}</title>
        {values.map((value, i) => {
          const height = total > 0 ? Math.max(value > 0 ? 1.5 : 0, (value / top) * 34) : 0;
          return (
            <rect key={i} x={i * 12 + 1} y={35 - height} width="10" height={height} fill="var(--accent)">
              <title>{`${i === 0 ? '0' : edge(i - 1)}–${edge(i)}: ${total > 0 ? ((100 * value) / total).toFixed(1) : '0'} %`}</title>
            </rect>
          );
        })}
      </svg>
      <span class="ends muted" aria-hidden="true">
        <span>
          {'< '}
          {edge(0)}
        </span>
        <span>
          {'≥ '}
          {edge(values.length - 2)}
        </span>
      </span>
    </>
  );
}

/** How full something is; the text beside it says so too. */
export function Meter({
  share,
  ahead,
  label,
}: {
  readonly share: number;
  /** How full it is expected to become. */
  readonly ahead?: number;
  readonly label: string;
}) {
  const at = (value: number): string => `${Math.min(100, Math.max(0, value * 100)).toFixed(1)}%`;
  return (
    <div class="meter" role="img" aria-label={label} title={label}>
      {ahead !== undefined && <span class="ahead" style={{ width: at(ahead) }} />}
      <span class={share > 0.9 ? 'now full' : 'now'} style={{ width: at(share) }} />
    </div>
  );
}
