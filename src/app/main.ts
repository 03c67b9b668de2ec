#!/usr/bin/env node
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { processIo } from '../cli/process-io.js';
import { runCli } from '../cli/program.js';
import { APP_COMMANDS } from './commands/all.js';
import { interruption } from './interruption.js';
import { VERSION } from './version.js';

// What grpc-js prints by itself is told to users by our own errors.
setLogVerbosity(logVerbosity.NONE);

/** How long an interrupted command may take to say so. */
const CALL_OFF_MS = 500;

const interrupted = interruption();
const io = processIo({ interrupted, version: VERSION });
const exitCode = await runCli(process.argv.slice(2), io, APP_COMMANDS);
process.exitCode = exitCode;
// Interrupted, there may be calls under way that nobody waits for any more: that they are called off has to reach the other side,
// which takes a stream whose connection just ends for one that somebody comes back to. Then nothing keeps this process.
if (interrupted.aborted) setTimeout(() => process.exit(exitCode), CALL_OFF_MS).unref();
