import type { LogFields, Logger } from '../../src/telemetry/logger.js';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly event: string;
  readonly fields: LogFields;
}

/** Keeps what is logged, so that a test can say what it expects of the log. */
export function recordingLogger(): Logger & { readonly lines: LogLine[]; at(level: LogLine['level']): string[] } {
  const lines: LogLine[] = [];
  const make = (base: LogFields): Logger => {
    const log = (level: LogLine['level']) => (event: string, fields?: LogFields) => {
      lines.push({ level, event, fields: { ...base, ...fields } });
    };
    return {
      debug: log('debug'),
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
      child: (fields) => make({ ...base, ...fields }),
    };
  };
  return { ...make({}), lines, at: (level) => lines.filter((line) => line.level === level).map(({ event }) => event) };
}
