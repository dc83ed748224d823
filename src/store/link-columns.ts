import type { FlowBatch } from '../flow/batch.js';
import type { BlockOptions } from './native-block.js';
import { textOctets, wordsOf } from './octets.js';

/** Octets and packets of each row as seen from the private side, and the link that they used. */
export interface LinkColumns {
  /** The links of all rows, as the Native format writes texts. */
  readonly linkIds: Uint8Array;
  readonly outbound: Uint8Array;
  readonly octetsOut: Uint32Array;
  readonly octetsIn: Uint32Array;
  readonly packetsOut: Uint32Array;
  readonly packetsIn: Uint32Array;
}

/**
 * The public link is the way out that a flow takes; "out" is from the private side towards it. A flow between two
 * private interfaces counts on the one it came in by; one with no known interface has an empty link.
 */
export function linkColumns(batch: FlowBatch, links: BlockOptions['links']): LinkColumns {
  const { rows } = batch;
  const ingress = batch.column('ingressInterface', 'u32');
  const egress = batch.column('egressInterface', 'u32');
  const wordsOfColumn = (name: string): Uint32Array => wordsOf(batch.column(name, 'u64'));
  const [octets, packets] = [wordsOfColumn('octetDeltaCount'), wordsOfColumn('packetDeltaCount')];
  const reverseOctets = wordsOfColumn('reverseOctetDeltaCount');
  const reversePackets = wordsOfColumn('reversePacketDeltaCount');
  const outbound = new Uint8Array(rows);
  const octetsOut = new Uint32Array(rows * 2);
  const octetsIn = new Uint32Array(rows * 2);
  const packetsOut = new Uint32Array(rows * 2);
  const packetsIn = new Uint32Array(rows * 2);
  const texts = new LinkTexts(rows);
  for (let row = 0; row < rows; row += 1) {
    const source = links[ingress[row]!];
    const destination = links[egress[row]!];
    // An initiator behind a public link makes the forward direction the inbound one.
    const inbound =
      source?.network === 'public' || (source === undefined && destination?.network === 'private');
    const way = inbound ? source : destination?.network === 'public' ? destination : source;
    texts.add(way?.linkId ?? '');
    outbound[row] = inbound ? 0 : 1;
    for (let word = row * 2; word < row * 2 + 2; word += 1) {
      octetsOut[word] = inbound ? reverseOctets[word]! : octets[word]!;
      octetsIn[word] = inbound ? octets[word]! : reverseOctets[word]!;
      packetsOut[word] = inbound ? reversePackets[word]! : packets[word]!;
      packetsIn[word] = inbound ? packets[word]! : reversePackets[word]!;
    }
  }
  return { linkIds: texts.octets, outbound, octetsOut, octetsIn, packetsOut, packetsIn };
}

/** Names of links one behind the other, octet by octet: quicker than a call for each. */
class LinkTexts {
  readonly #known = new Map<string, Uint8Array>();
  #bytes: Uint8Array;
  #at = 0;

  constructor(rows: number) {
    this.#bytes = new Uint8Array(rows * 16);
  }

  get octets(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  add(linkId: string): void {
    let text = this.#known.get(linkId);
    if (text === undefined) {
      text = textOctets(linkId);
      this.#known.set(linkId, text);
    }
    if (this.#at + text.length > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2 + text.length);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    for (let i = 0; i < text.length; i += 1) this.#bytes[this.#at + i] = text[i]!;
    this.#at += text.length;
  }
}
