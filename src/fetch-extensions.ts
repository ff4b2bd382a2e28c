#!/usr/bin/env node
/** The published command `millrace-fetch-extensions DIR NAME…`; from source `npx tsx src/fetch-extensions.ts DIR NAME…`. */
import { runFetchExtensions } from './cli/fetch-extensions.ts'

process.exitCode = await runFetchExtensions(process.argv.slice(2))
