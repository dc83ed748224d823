const table = (size: number, of: (value: number) => number): Float32Array =>
  Float32Array.from({ length: size }, (_, value) => of(value));

/** log1p of a payload length over that of an Ethernet payload: about 1 for a full segment. */
export const PAYLOAD_LOG_SCALE = 7.3;
/** By payload length, 0 to 32768. */
export const PAYLOAD_LOG = table(32769, (value) => Math.log1p(value) / PAYLOAD_LOG_SCALE);
/** By 16-bit value: about 1 for the largest. */
export const WORD_LOG = table(65536, (value) => Math.log1p(value) / 11.1);
