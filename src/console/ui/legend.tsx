/** Colours by name, as text; the newest value beside them where there is one. */
export function Legend({
  entries,
}: {
  readonly entries: readonly {
    readonly label: string;
    readonly colour: string;
    readonly dashed?: boolean | undefined;
    readonly value?: string | undefined;
  }[];
}) {
  return (
    <ul class="legend">
      {entries.map(({ label, colour, dashed, value }) => (
        <li key={label}>
          <span
            class="swatch"
            style={dashed ? { border: `2px dashed ${colour}` } : { background: colour }}
            aria-hidden="true"
          />
          {label}
          {value !== undefined && <span class="muted"> {value}</span>}
        </li>
      ))}
    </ul>
  );
}
