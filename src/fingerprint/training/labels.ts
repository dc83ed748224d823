import { readFileSync } from 'node:fs';
import { messageOf } from '../../base/errors.js';
import { fail } from '../errors.js';

export interface FlowLabel {
  readonly protocol: number;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  /** NaN when the file does not say. */
  readonly firstSeenSeconds: number;
  readonly label: string;
}

/** Labels by capture file: of whole captures, or of their flows. */
export interface LabelFile {
  readonly unit: 'capture' | 'flow';
  /** By the file as the label file writes it; {@link labelsOf} finds a capture's. */
  readonly captures: ReadonlyMap<string, string>;
  readonly flows: ReadonlyMap<string, readonly FlowLabel[]>;
}

/**
 * The entry for a capture: one whose path ends the capture's or is ended by it, so that `a/1.pcap` and `b/1.pcap` stay
 * apart while folders above do not matter; the longest such. Else, where `alone` says that no other capture has its base
 * name, the only entry with that base name. Undefined when none or several fit.
 */
export function labelsOf<Entry>(
  by: ReadonlyMap<string, Entry>,
  file: string,
  alone: boolean,
): Entry | undefined {
  const exact = by.get(file);
  if (exact !== undefined) return exact;
  const parts = file.split(/[\\/]/).reverse();
  let best: Entry | undefined;
  let most = 0;
  let ties = 0;
  const named: Entry[] = [];
  for (const [name, entry] of by) {
    const other = name.split(/[\\/]/).reverse();
    let shared = 0;
    while (shared < parts.length && parts[shared] === other[shared]) shared += 1;
    if (shared > 0) named.push(entry);
    if (shared < Math.min(parts.length, other.length) || shared < most) continue;
    ties = shared === most ? ties + 1 : 0;
    best = entry;
    most = shared;
  }
  if (best !== undefined) return ties === 0 ? best : undefined;
  return alone && named.length === 1 ? named[0] : undefined;
}

const FLOW_COLUMNS = [
  'protocolIdentifier',
  'sourceAddress',
  'sourcePort',
  'destinationAddress',
  'destinationPort',
] as const;

/** One line of CSV (RFC 4180; no line breaks inside fields). */
function cells(line: string): string[] {
  const out: string[] = [];
  for (const match of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g))
    out.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'));
  return out;
}

/**
 * Reads a label file: a header line with `file` and `label`, and for labels of flows the 5-tuple and optionally
 * `firstSeenSeconds`. With a `confidence` column only rows that say `DPI` count: a label guessed from the port would
 * be circular. @throws TG_FINGERPRINT_LABELS
 */
export function readLabels(path: string): LabelFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw fail('TG_FINGERPRINT_LABELS', { path, reason: messageOf(error) }, error);
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  const header = cells(lines[0] ?? '');
  const at = (name: string): number => header.indexOf(name);
  if (at('file') < 0 || at('label') < 0)
    throw fail('TG_FINGERPRINT_LABELS', { path, reason: 'its first line has no columns file and label' });
  const unit = FLOW_COLUMNS.every((name) => at(name) >= 0) ? 'flow' : 'capture';
  const captures = new Map<string, string>();
  const flows = new Map<string, FlowLabel[]>();
  lines.slice(1).forEach((line, i) => {
    const row = cells(line);
    const cell = (name: string): string => row[at(name)] ?? '';
    if (row.length < header.length)
      throw fail('TG_FINGERPRINT_LABELS', { path, reason: `line ${i + 2} has ${row.length} fields` });
    if (at('confidence') >= 0 && cell('confidence') !== 'DPI') return;
    const file = cell('file');
    if (unit === 'capture') {
      captures.set(file, cell('label'));
      return;
    }
    const list = flows.get(file) ?? [];
    flows.set(file, list);
    list.push({
      protocol: Number(cell('protocolIdentifier')),
      sourceAddress: cell('sourceAddress'),
      sourcePort: Number(cell('sourcePort')),
      destinationAddress: cell('destinationAddress'),
      destinationPort: Number(cell('destinationPort')),
      firstSeenSeconds: at('firstSeenSeconds') >= 0 ? Number(cell('firstSeenSeconds')) : Number.NaN,
      // `TLS.Google` is TLS by its master protocol, Google by what it carries: headers can tell the first.
      label: cell('label').split('.')[0]!,
    });
  });
  return { unit, captures, flows };
}

/**
 * Class of each folder: its own name, but numbered copies of one thing (X and X2, X1 and X2) are one class. A
 * model number (HS100, HS110) is not a copy's number.
 */
export function mergeNumberedFolders(folders: readonly string[]): Map<string, string> {
  const stem = (name: string): string => name.replace(/(?<=[A-Za-z])[1-9]$/, '');
  const names = new Set(folders);
  const bySem = new Map<string, number>();
  for (const name of names) bySem.set(stem(name), (bySem.get(stem(name)) ?? 0) + 1);
  return new Map([...names].map((name) => [name, bySem.get(stem(name))! > 1 ? stem(name) : name]));
}
