export { type IpfixConfig, ipfixConfig } from './config.js';
export { type Field, fieldsOf, REVERSE_ENTERPRISE, TEMPLATES } from './elements.js';
export { IpfixEncoder, type IpfixOptions } from './encoder.js';
export { type IpfixCounters, IpfixExporter } from './exporter.js';
