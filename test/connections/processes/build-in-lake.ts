/**
 * Builders of one process on one lake, each with steps of its own: `build-in-lake.ts OPTIONS`, as JSON. Waits for a line on standard
 * input before it begins, and prints what it did as JSON.
 */
import { once } from 'node:events'
import { parseConnection } from '../../../src/connections/config.ts'
import { createConnectionRegistry } from '../../../src/connections/registry.ts'
import { classifySqlError } from '../../../src/connections/sql-errors.ts'

export interface LakeBuild {
  connection: Record<string, unknown>
  root: string
  process: number
  builders: number
  rounds: number
}

export interface LakeBuildResult {
  built: number
  /** Found recorded by an attempt whose outcome was not known. */
  recorded: number
  retries: Record<string, number>
  seconds: number
}

const MOST_ATTEMPTS = 10

const options = JSON.parse(process.argv[2] ?? '') as LakeBuild
const registry = createConnectionRegistry()
const owner = registry.attach('builders')
const config = parseConnection(options.connection, { root: options.root, env: {} })
const result: LakeBuildResult = { built: 0, recorded: 0, retries: {}, seconds: 0 }

await (await registry.lease(config, { holder: 'first' })).release()
process.stdout.write('ready\n')
await once(process.stdin, 'data')
const startedMs = performance.now()
await Promise.all(Array.from({ length: options.builders }, (_, builder) => build(builder)))
result.seconds = (performance.now() - startedMs) / 1000
await owner.detach()
process.stdout.write(`${JSON.stringify(result)}\n`)
process.stdin.destroy()

async function build(builder: number): Promise<void> {
  for (let round = 0; round < options.rounds; round += 1) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await step(builder, round)
        break
      } catch (error) {
        const { retryable, message } = classifySqlError(error)
        result.retries[message] = (result.retries[message] ?? 0) + 1
        if (!retryable || attempt === MOST_ATTEMPTS) throw error
      }
    }
  }
}

/** As a model is built: looks whether it is recorded, writes, records, commits. */
async function step(builder: number, round: number): Promise<void> {
  const { process: number } = options
  const place = `s${builder % 4}`
  const name = `t_${number}_${builder}`
  await using lease = await registry.lease(config, { holder: name })
  // Reads the lake while others replace its tables, as the query of a model does.
  const read = ['ledger', ...(round === 0 ? [] : [`${place}.v_${number}_${builder}`])]
  await lease.stage(`CREATE OR REPLACE TEMP TABLE staged AS
    SELECT ${number} AS process, ${builder} AS builder, ${round} AS round, '${place}' AS place FROM range(${size(round)})
    WHERE ${read.map((table) => `(SELECT count(*) FROM ${table}) >= 0`).join(' AND ')}`)
  const isRecorded = await lease.transaction(async (tx) => {
    const recorded = await tx.rows(
      `SELECT 1 FROM ledger WHERE process = ${number} AND builder = ${builder} AND round = ${round}`,
    )
    if (recorded.length > 0) return true
    await tx.run(`CREATE OR REPLACE TABLE ${place}.${name} AS FROM staged`)
    await tx.run(`CREATE OR REPLACE VIEW ${place}.v_${number}_${builder} AS SELECT * FROM ${place}.${name}`)
    await tx.commit(`INSERT INTO ledger VALUES (${number}, ${builder}, ${round})`)
    return false
  })
  if (isRecorded) result.recorded += 1
  else result.built += 1
}

/** Some small enough to be kept in the catalog itself. */
function size(round: number): number {
  return round % 3 === 0 ? 5 : 50
}
