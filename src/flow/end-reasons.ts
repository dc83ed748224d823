/** IANA's values of flowEndReason (IPFIX element 136), in words; 0 is reserved there and means none here. */
export const END_REASONS = ['none', 'idle', 'active', 'end', 'forced', 'resources'] as const;
