import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { type Answer, type ApiFixture, ask } from './support.js';

export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minimum?: number;
}
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema: Schema;
}
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
  readonly answers: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}
export interface Document {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly parameters?: readonly Parameter[];
            readonly requestBody?: {
              readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
            };
            readonly responses: Operation['answers'];
          }
        >
      >
    >
  >;
}

export const STREAM = '/api/events';
const TEXT = '/metrics';

/** The API of a fixture through its own OpenAPI document: what there is, how to call it, what it promises. */
export class DocumentedApi {
  readonly document: Document;
  readonly operations: readonly Operation[];
  readonly #fixture: ApiFixture;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #validators = new Map<string, ValidateFunction>();

  private constructor(fixture: ApiFixture, document: Document) {
    this.#fixture = fixture;
    this.document = document;
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        parameters: operation.parameters ?? [],
        body: operation.requestBody?.content['application/json']?.schema,
        answers: operation.responses,
      })),
    );
  }

  static async read(fixture: ApiFixture): Promise<DocumentedApi> {
    const { text } = await ask(fixture, { path: '/api/openapi.json' });
    return new DocumentedApi(fixture, JSON.parse(text) as Document);
  }

  /** All but the stream, which does not end. */
  get ending(): readonly Operation[] {
    return this.operations.filter((o) => o.path !== STREAM);
  }

  /** Those that answer JSON to a GET. */
  get reading(): readonly Operation[] {
    return this.ending.filter((o) => o.method === 'GET' && o.path !== TEXT);
  }

  get writing(): readonly Operation[] {
    return this.operations.filter((o) => o.method !== 'GET');
  }

  /** Values that a real caller would send; everything else is made from the schema. */
  known(name: string): string | undefined {
    const { plans } = this.#fixture;
    return {
      workloadId: '1',
      planId: plans[0]?.id,
      of: '1',
      from: '10m',
      until: 'now',
      against: plans[1]?.id,
    }[name];
  }

  sample(schema: Schema, name = ''): unknown {
    if (schema.enum !== undefined) return schema.enum[0];
    if (schema.type === 'object') {
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([key, child]) => [key, this.sample(child, key)]),
      );
    }
    if (schema.type === 'array') {
      return name === 'endpoints'
        ? [this.#fixture.registry.endpointsOf(1)[0]]
        : [this.sample(schema.items ?? {}, name)];
    }
    if (schema.type === 'integer' || schema.type === 'number') return Math.max(1, schema.minimum ?? 1);
    return name === 'sql' ? 'SELECT 1 AS one' : 'made by the test';
  }

  call(operation: Operation, path: string, body?: unknown): Promise<Answer> {
    return ask(this.#fixture, {
      method: operation.method,
      path,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  }

  /** An answer is one that the document promises, word for word. */
  expectPromised(operation: Operation, answer: Answer, what: string): void {
    const { status, text } = answer;
    const range = `${String(status)[0]}XX`;
    const promised = operation.answers[status] ?? operation.answers[range];
    expect(promised, `${what} answered ${status}: ${text.slice(0, 300)}`).toBeDefined();
    const schema = promised?.content?.['application/json']?.schema;
    if (schema === undefined) return;
    const id = `${operation.method} ${operation.path} ${operation.answers[status] ? status : range}`;
    const validate = this.#validators.get(id) ?? this.#ajv.compile(schema);
    this.#validators.set(id, validate);
    const valid = validate(JSON.parse(text));
    expect(valid, `${what}: ${JSON.stringify(validate.errors)} in ${text.slice(0, 300)}`).toBe(true);
  }
}

export function pathOf(operation: Operation, values: (parameter: Parameter) => string | undefined): string {
  let path = operation.path;
  const query: string[] = [];
  for (const parameter of operation.parameters) {
    const value = values(parameter);
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(value ?? 'x'));
    else if (value !== undefined) query.push(`${parameter.name}=${encodeURIComponent(value)}`);
  }
  return query.length === 0 ? path : `${path}?${query.join('&')}`;
}
