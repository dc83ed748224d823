import { defineErrors } from '../base/errors.js';

export const apiError = defineErrors({
  TG_API_NOT_FOUND: {
    message: 'there is nothing at {method} {path}',
    hint: 'see /api/docs',
    httpStatus: 404,
  },
  TG_API_INVALID: { message: '{problem}', hint: 'see /api/docs for what is expected', httpStatus: 400 },
  TG_API_UNAUTHENTICATED: {
    message: 'no valid token came with the request',
    hint: 'send `Authorization: Bearer …` with a token of api.tokens',
    httpStatus: 401,
  },
  TG_API_FORBIDDEN: {
    message: 'this needs the role {needed}, {name} has {role}',
    hint: 'use a token with that role',
    httpStatus: 403,
  },
  TG_API_HOST: {
    message: 'the gateway is not known as {host}',
    hint: 'add the name to api.hosts',
    httpStatus: 403,
  },
  TG_API_ORIGIN: {
    message: 'a page of {origin} asked for it',
    hint: 'open the console of the gateway itself',
    httpStatus: 403,
  },
  TG_API_TOO_MANY: {
    message: 'too many requests: {limit} in a minute are allowed',
    hint: 'wait {seconds} s, or raise api.requestsPerMinute',
    httpStatus: 429,
  },
  TG_API_STREAMS: {
    message: '{limit} event streams are open already',
    hint: 'close one, or raise api.maximumStreams',
    httpStatus: 429,
  },
  TG_API_NOT_APPROVED: {
    message: 'the plan {plan} was not approved',
    hint: 'approve it first',
    httpStatus: 409,
  },
  TG_API_NOTHING_APPLIED: {
    message: 'no plan is applied, so there is nothing to roll back',
    hint: 'see /api/plans',
    httpStatus: 409,
  },
  TG_API_PLAN_EXPIRED: {
    message: 'the plan {plan} expired at {expired}',
    hint: 'take the current one',
    httpStatus: 409,
  },
  TG_API_ENDPOINT: {
    message: '{endpoint} is no endpoint of {workload}',
    hint: 'take keys that the workload lists',
    httpStatus: 409,
  },
  TG_API_SQL: {
    message: '{reason}',
    hint: 'correct the SQL; docs/analytics.md describes the tables',
    httpStatus: 400,
  },
  TG_API_NO_FORECAST: {
    message: 'there is no forecast of {signal} for {series}',
    hint: 'see /api/forecasts, or wait for the next planning cycle',
    httpStatus: 404,
  },
  TG_API_NO_PLAN: {
    message: 'there is no plan yet',
    hint: 'wait for the next planning cycle',
    httpStatus: 404,
  },
  TG_API_PLAN_NOT_MADE: {
    message: 'no plan was made: {why}',
    hint: 'the last plan, if any, stands: see /api/plans/current',
    httpStatus: 409,
  },
  TG_API_UNAVAILABLE: {
    message: '{what} is not available now: {reason}',
    hint: 'see /readyz?verbose',
    httpStatus: 503,
  },
  TG_API_INTERNAL: {
    message: 'the gateway failed to answer: {reason}',
    hint: 'this is a defect: please report it with the log',
    httpStatus: 500,
  },
  TG_API_EXPOSED: {
    message: 'api.listen has {address}, which other hosts can reach, but {missing}',
    hint: 'set {setting}, or listen on loopback only',
    exitCode: 2,
  },
  TG_API_TLS: {
    message: 'cannot read {file}: {reason}',
    hint: 'check api.tls and the permissions of the file',
    exitCode: 2,
  },
});
