/**
 * `npm run demo`: builds this folder from three million real flights, through a real Temporal server, prints the report
 * and answers a few questions. `--keep` leaves the server and its Web UI up until Ctrl-C.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { runClient } from '../../src/cli/client.ts'
import { needsMoreThreads, runWithMoreThreads } from '../../src/cli/respawn.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))

async function main(): Promise<number> {
  if (needsMoreThreads()) return runWithMoreThreads()
  const keep = process.argv.includes('--keep')
  const code = await runClient(['build', folder, ...process.argv.slice(2).filter((arg) => arg !== '--keep')])
  if (code !== 0) return code
  await answerQuestions()
  console.log('\nLook at the build in the Temporal Web UI:  npm run demo -- --keep')
  console.log('Ask questions of your own: the database is examples/flights/warehouse.duckdb')
  return keep ? runClient(['build', folder, '--keep']) : 0
}

interface Question {
  question: string
  sql: string
}

async function answerQuestions(): Promise<void> {
  // Loaded in the process that builds, not in the one that only starts it.
  const { connectionRegistry, parseConnection } = await import('../../src/index.ts')
  const questions = parse(await readFile(join(folder, 'questions.yaml'), 'utf8')) as Question[]
  const config = parseConnection({ type: 'duckdb', database: 'warehouse.duckdb' }, { root: folder, env: process.env })
  const registry = connectionRegistry()
  const owner = registry.attach('demo')
  try {
    await using lease = await registry.lease(config, { holder: 'demo' })
    for (const { question, sql } of questions) {
      console.log(`\n${question}\n`)
      console.log(toTable(await lease.rows<Record<string, string | number | null>>(sql)))
    }
  } finally {
    await owner.detach()
  }
}

function toTable(rows: readonly Record<string, string | number | null>[]): string {
  const names = Object.keys(rows[0] ?? {})
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '')))]
  const widths = names.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  return cells
    .map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}

process.exitCode = await main()
