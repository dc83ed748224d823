import { defineErrors } from '../base/errors.js';

export const usageError = defineErrors({
  TG_USAGE_UNREACHABLE: {
    message: 'Prometheus at {url} does not answer: {reason}',
    hint: 'check usage.prometheus.url, that the server runs, and its user and password',
  },
  TG_USAGE_QUERY: {
    message: 'Prometheus refused the query {query}: {reason}',
    hint: 'try the query in its own console, then correct usage.prometheus in the configuration',
    exitCode: 2,
  },
  TG_USAGE_ANSWER: {
    message: 'Prometheus at {url} answered something else than its API does: {reason}',
    hint: 'check that usage.prometheus.url is the root of a Prometheus HTTP API',
  },
});
