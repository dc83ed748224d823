import { z } from 'zod';
import { MAX_HEAD_OCTETS, TRANSPORTS } from './payload-heads.js';

const transport = z.enum(Object.keys(TRANSPORTS) as [keyof typeof TRANSPORTS]);
const HEX = /^(?:[0-9a-fA-F]{2})+$/;
const MAX_FIELD_OCTETS = 64;
const MAX_RULES = 64;

/** A header field of an application: octets at a fixed place in the first payload of one side of a flow. */
export const headerRuleConfig = z
  .strictObject({
    /** Under this name the octets are stored in `headerFields`. */
    name: z.string().regex(/^[a-zA-Z][\w.-]{0,31}$/, 'a letter, then up to 31 letters, digits, _, . or -'),
    transport,
    /** Of the service; 0 = every port of the transport. */
    port: z.int().min(0).max(65535),
    /** Whose first payload: `toPort` the client's, `fromPort` the server's. */
    direction: z.enum(['toPort', 'fromPort']),
    /** Octets before the field. */
    offset: z
      .int()
      .min(0)
      .max(MAX_HEAD_OCTETS - 1),
    /** Octets of the field. */
    length: z.int().min(1).max(MAX_FIELD_OCTETS),
    /** Bits that are kept, hexadecimal, as long as the field; absent = all. */
    mask: z.string().regex(HEX, 'hexadecimal digits, two an octet').optional(),
  })
  .check((context) => {
    const { offset, length, mask } = context.value;
    if (mask !== undefined && mask.length !== 2 * length)
      context.issues.push({
        code: 'custom',
        input: mask,
        path: ['mask'],
        message: `must have ${2 * length} hexadecimal digits for ${length} octets, has ${mask.length}`,
      });
    if (offset + length > MAX_HEAD_OCTETS)
      context.issues.push({
        code: 'custom',
        input: offset,
        path: ['offset'],
        message: `offset + length is at most ${MAX_HEAD_OCTETS}: no more of a payload leaves the kernel`,
      });
  });

export const headerRulesConfig = z
  .array(headerRuleConfig)
  .max(MAX_RULES)
  .check((context) => {
    const seen = new Set<string>();
    context.value.forEach(({ name }, i) => {
      if (seen.has(name))
        context.issues.push({
          code: 'custom',
          input: name,
          path: [i, 'name'],
          message: `"${name}" is the name of two rules`,
        });
      seen.add(name);
    });
  });

/** `off`; `known` = on the ports where the protocol is usual; `any` = on every port, by its content. */
const decoder = z.enum(['off', 'known', 'any']);

/** All off by default: who talks to whom by name is personal data, and nobody has asked for it yet. */
export const decodersConfig = z.strictObject({
  /** TLS ClientHello: SNI, ALPN, JA4. */
  tls: decoder.default('off'),
  /** HTTP/1: method and host. */
  http: decoder.default('off'),
  /** DNS: the name that is asked for. */
  dns: decoder.default('off'),
  /** QUIC: version, connection id lengths; with `tls` also what its ClientHello says. */
  quic: decoder.default('off'),
});

export type HeaderRule = z.infer<typeof headerRuleConfig>;
export type Decoders = z.infer<typeof decodersConfig>;
