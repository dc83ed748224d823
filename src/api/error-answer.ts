import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod';
import { messageOf, TidegateError } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { apiError } from './errors.js';

/** Anything that was thrown, as an error with code and remedy. */
export function asApiError(error: unknown): TidegateError {
  if (error instanceof TidegateError) {
    // The statements of the API's own answers are sound: when the store refuses one, the store is in trouble.
    return error.code === 'TG_STORE_QUERY' || error.code === 'TG_STORE_UNREACHABLE'
      ? apiError('TG_API_UNAVAILABLE', { what: 'history', reason: error.message }, error)
      : error;
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problem = error.validation
      .map(
        (issue) =>
          `${issue.instancePath.replace(/^\//, '').replaceAll('/', '.') || 'the request'}: ${issue.message}`,
      )
      .join('; ');
    return apiError('TG_API_INVALID', { problem });
  }
  if (isResponseSerializationError(error)) {
    return apiError('TG_API_INTERNAL', { reason: messageOf(error.cause) }, error);
  }
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    const known = apiError('TG_API_INVALID', { problem: messageOf(error) }, error);
    return new TidegateError(known.code, known.message, known.hint, {}, known.exitCode, status);
  }
  return apiError('TG_API_INTERNAL', { reason: messageOf(error) }, error);
}

/** Answers with the error's code, what happened and what to do; defects also go to the log. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  const known = asApiError(error);
  if (known.httpStatus >= 500) {
    logger.error(
      { err: error, method: request.method, url: request.url, code: known.code },
      'request failed',
    );
  }
  if (known.httpStatus === 401) void reply.header('www-authenticate', 'Bearer realm="tidegate"');
  return reply
    .code(known.httpStatus)
    .type('application/json')
    .serializer((body: unknown) => JSON.stringify(body))
    .send({ code: known.code, message: known.message, hint: known.hint });
}

/** Answers what could not even be read as HTTP; the connection ends, since where the next request begins is unknown. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  // Without a reader, or with half of an answer under way, there is nothing to say.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const known = apiError('TG_API_INVALID', {
    problem: `this is no HTTP request that can be read (${error.code ?? error.message})`,
  });
  const body = JSON.stringify({ code: known.code, message: known.message, hint: known.hint });
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
