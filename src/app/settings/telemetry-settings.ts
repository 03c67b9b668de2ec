import { DEFAULTS } from '../config.js';
import { collectorUrl, onOff, portOrOff, ratio } from './kind.js';
import { ROLES, SERVERS, setting } from './setting.js';

/** What is measured and where that goes. */
export const TELEMETRY_SETTINGS = {
  opsPort: setting({
    flag: '--ops-port <port>',
    env: ['TROUPE_OPS_PORT'],
    kind: portOrOff,
    roles: SERVERS,
    default: DEFAULTS.opsPort,
    defaultText: `${DEFAULTS.opsPort}, or a free one where that is in use`,
    description: 'port of /health, /ready and /metrics; 0 picks a free one, off has none',
  }),
  metrics: setting({
    flag: '--no-metrics',
    env: ['TROUPE_NO_METRICS'],
    kind: onOff,
    roles: ROLES,
    default: true,
    description: 'measures nothing: /metrics is not there',
  }),
  otlpEndpoint: setting({
    flag: '--otlp-endpoint <url>',
    env: ['TROUPE_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    kind: collectorUrl,
    roles: ROLES,
    defaultText: 'none: nothing is sent',
    description: 'OpenTelemetry collector (OTLP over gRPC) that traces and metrics go to',
  }),
  traceRatio: setting({
    flag: '--trace-ratio <ratio>',
    env: ['TROUPE_TRACE_RATIO'],
    kind: ratio,
    roles: ROLES,
    default: DEFAULTS.traceRatio,
    description: 'share of traces that are sent, 0 to 1; used only with an OTLP endpoint',
  }),
} as const;
