#!/usr/bin/env node
/** The published command: `millrace VERB …`, and `millrace worker PROJECT…`. */
import { runClient } from './cli/client.ts'
import { runWorker } from './cli/worker.ts'

const argv = process.argv.slice(2)
process.exitCode = argv[0] === 'worker' ? await runWorker(argv.slice(1)) : await runClient(argv)
