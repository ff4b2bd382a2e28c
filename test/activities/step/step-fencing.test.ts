/** Attempts of one step against each other: whatever overlaps, no row is doubled and the ledger says what is there. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { planForAttempts, type Attempt, type PlannedProject } from '../../helpers/attempts.ts'
import { createRandom } from '../../helpers/random.ts'
import { isCommitOf, watchStatements, type StatementWatch } from '../../helpers/watch-statements.ts'
import type { BuildStep } from '../../../src/payloads.ts'
import { physicalRelation } from '../../../src/sql/physical.ts'

const DAY_MS = 86_400_000
const NOW = '2024-01-11T00:00:00Z'
const ROWS_A_DAY = 10

/** Ten rows a day from 2024-01-01 on, built as one step of ten days. */
const DAYS = `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day), audits (not_null(columns := (day))));
SELECT DATE '2024-01-01' + (n // ${ROWS_A_DAY})::INTEGER AS day, n FROM range(1000) AS t(n)
WHERE DATE '2024-01-01' + (n // ${ROWS_A_DAY})::INTEGER BETWEEN @start_ds AND @end_ds`

const FULL = `MODEL (name a.full, kind FULL);
SELECT range AS n FROM range(1000)`

describe('two attempts of one step at once', () => {
  test('over one range: one commits, the other returns the recorded result', async () => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const commits = meetAtCommit('a.days', 2)
    const step = project.step('a.days')

    const outcomes = await settle([project.attempt(step), project.attempt(step)])

    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(outcomes[0]).toMatchObject({ rows: 100 })
    expect(commits).toEqual({ succeeded: 1, failed: 1 })
    await expectDays(project, step, 1, 11)
    expect(await project.rows('SELECT step FROM millrace.steps')).toEqual([{ step: 'run-1/0' }])
  })

  test.each(['run-1', 'run-2'])('over one range, one records after the other committed (%s)', async (runId) => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const step = project.step('a.days')
    let records = 0
    let setCommitted: () => void = () => undefined
    const committed = new Promise<void>((resolve) => (setCommitted = resolve))
    watch({
      before: async ({ sql }) => {
        if (!sql.includes('INSERT INTO millrace.ledger')) return
        records += 1
        if (records === 2) await committed
      },
      succeeded: (statement) => void (isCommitOf(statement, 'INSERT INTO millrace.steps') && setCommitted()),
    })

    const outcomes = await settle([project.attempt(step), project.attempt(step, { runId })])

    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(records).toBe(2)
    await expectDays(project, step, 1, 11)
  })

  test('over one range, of two builds: one commits, the other returns its result and records it for its own build', async () => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const commits = meetAtCommit('a.days', 2)
    const step = project.step('a.days')

    const outcomes = await settle([project.attempt(step), project.attempt(step, { runId: 'run-2' })])

    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(commits).toEqual({ succeeded: 1, failed: 1 })
    await expectDays(project, step, 1, 11)
    const steps = await project.rows<{ step: string; result: string }>(
      'SELECT step, result FROM millrace.steps ORDER BY step',
    )
    expect(steps.map(({ step }) => step)).toEqual(['run-1/0', 'run-2/0'])
    expect(new Set(steps.map(({ result }) => result)).size).toBe(1)
  })

  test('over overlapping ranges: one commits, the other starts again on top of it', async () => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const commits = meetAtCommit('a.days', 2)
    const step = project.step('a.days')

    const outcomes = await settle([
      project.attempt(days(step, 1, 6)),
      project.attempt(days(step, 4, 9), { runId: 'run-2' }),
    ])

    expect(outcomes).toMatchObject([{ rows: 50 }, { rows: 50 }])
    expect(commits).toEqual({ succeeded: 2, failed: 1 })
    await expectDays(project, step, 1, 9)
  })

  test('over a range that is built already: both replace it, one after the other', async () => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const { fresh, ...step } = project.step('a.days')
    await project.attempt({ ...step, ...(fresh === undefined ? {} : { fresh }) }).outcome

    // As a plan made now would have them: not fresh any more.
    const outcomes = await settle(
      ['run-2', 'run-3'].map((runId, index) => project.attempt(days(step, 2 + index, 6 + index), { runId })),
    )

    expect(outcomes).toMatchObject([{ rows: 40 }, { rows: 40 }])
    await expectDays(project, step, 1, 11)
  })

  test('of a FULL model: the second waits for the first, however long that takes, and returns its result', async () => {
    const project = await planForAttempts({ 'models/full.sql': FULL }, NOW)
    const refusals = countFailures((sql) => sql.includes('UPDATE millrace.fences'))
    let commits = 0
    watch({
      before: async (statement) => {
        if (!isCommitOf(statement, 'a.full')) return
        commits += 1
        // More often than a conflict is tried again.
        await refusals.reach(6)
      },
    })

    const step = project.step('a.full')
    const outcomes = await settle([project.attempt(step), project.attempt(step, { number: 2 })])

    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(commits).toBe(1)
    await expectWhole(project, step)
    expect(await project.rows('SELECT step FROM millrace.steps')).toEqual([{ step: 'run-1/0' }])
  })

  test('of a FULL model, of two builds: the second builds it anew after the first', async () => {
    const project = await planForAttempts({ 'models/full.sql': FULL }, NOW)
    const step = project.step('a.full')

    const outcomes = await settle([project.attempt(step), project.attempt(step, { runId: 'run-2' })])

    expect(outcomes).toMatchObject([{ rows: 1000 }, { rows: 1000 }])
    await expectWhole(project, step)
  })
})

test('many attempts over random overlapping ranges at once leave each day exactly once', async () => {
  const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
  const step = project.step('a.days')
  const random = createRandom(20_240_101)
  const covered = new Set<number>()
  for (let round = 0; round < 4; round++) {
    const attempts = Array.from({ length: 6 }, (_, nth) => {
      const first = 1 + Math.floor(random() * 8)
      const last = first + 1 + Math.floor(random() * (10 - first))
      const attempt = project.attempt(days(step, first, last), { runId: `round-${round}-${nth}` })
      return { attempt, first, last }
    })
    for (const { attempt, first, last } of attempts) {
      // Those that never got through say so, and leave nothing.
      const committed = await attempt.outcome.then(
        () => true,
        () => false,
      )
      for (let day = first; day < last; day++) if (committed) covered.add(day)
    }
    expect(await ledgerDays(project, step)).toEqual([...covered].sort((a, b) => a - b))
    expect(await tableDays(project, step)).toEqual([...covered].sort((a, b) => a - b))
  }
})

test('an attempt after the commit returns the recorded result and runs nothing', async () => {
  const project = await planForAttempts({ 'models/days.sql': DAYS, 'models/full.sql': FULL }, NOW)
  for (const model of ['a.days', 'a.full']) {
    const step = project.step(model)
    const first = await project.attempt(step).outcome
    const written: string[] = []
    const stop = watch({
      before: ({ sql }) => void (/^(CREATE OR REPLACE|DELETE|INSERT)/.test(sql) && written.push(sql)),
    })
    expect(await project.attempt(step, { number: 2 }).outcome).toEqual(first)
    stop()
    expect(written).toEqual([])
  }
})

describe('a cancel during COMMIT', () => {
  test('changes nothing: the attempt returns what the ledger says', async () => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const step = project.step('a.days')
    const attempt = cancelInCommit(project, step)

    expect(await attempt.outcome).toMatchObject({ rows: 100 })
    await expectDays(project, step, 1, 11)
  })

  test('of a step with audits that only warn: they are left out, the step is done all the same', async () => {
    const warning = DAYS.replace('not_null(columns := (day))', 'not_null_non_blocking(columns := (day))')
    const project = await planForAttempts({ 'models/days.sql': warning }, NOW)
    const step = project.step('a.days')
    const attempt = cancelInCommit(project, step)

    expect(await attempt.outcome).toMatchObject({ rows: 100 })
    await expectDays(project, step, 1, 11)
  })

  test('before COMMIT rolls back: nothing is in the table, nothing in the ledger', async () => {
    const project = await planForAttempts({ 'models/days.sql': DAYS }, NOW)
    const step = project.step('a.days')
    let attempt: Attempt | null = null
    watch({ before: ({ sql }) => void (sql.startsWith('INSERT INTO') && attempt?.cancel()) })
    attempt = project.attempt(step)

    await expect(attempt.outcome).rejects.toBeInstanceOf(CancelledFailure)
    expect(await ledgerDays(project, step)).toEqual([])
    expect(await tableDays(project, step)).toEqual([])
  })
})

test('the cancel of one batch does not take along another that waits for the same table', async () => {
  const batched = DAYS.replace('time_column day', 'time_column day, batch_size 5')
  const project = await planForAttempts({ 'models/days.sql': batched }, NOW)
  const [first, second] = project.steps
  const attempts: Attempt[] = []
  watch({
    before: async ({ sql }) => {
      if (!sql.startsWith('CREATE TABLE IF NOT EXISTS') || attempts.length > 1) return
      attempts.push(project.attempt(second!, { runId: 'run-2' }))
      // Until the second has asked for the table too: it renders its query first.
      await new Promise((resolve) => setTimeout(resolve, 300))
      attempts[0]!.cancel()
    },
  })
  attempts.push(project.attempt(first!))

  await expect(attempts[0]!.outcome).rejects.toBeInstanceOf(CancelledFailure)
  expect(await attempts[1]!.outcome).toMatchObject({ rows: 50 })
})

describe('what is tried again', () => {
  test('a conflict, until it is gone', async () => {
    const project = await planForAttempts({ 'models/full.sql': FULL }, NOW)
    const step = project.step('a.full')
    const release = await holdTable(project, step)
    const refusals = countFailures((sql) => sql.startsWith('CREATE OR REPLACE TABLE'))

    const attempt = project.attempt(step)
    await refusals.reach(2)
    await release()

    expect(await attempt.outcome).toMatchObject({ rows: 1000 })
    await expectWhole(project, step)
    expect(await recordedAttempts(project)).toBe(refusals.count() + 1)
  })

  test('a conflict, five times: then the model fails for good', async () => {
    const project = await planForAttempts({ 'models/full.sql': FULL }, NOW)
    const step = project.step('a.full')
    const release = await holdTable(project, step)
    const refusals = countFailures((sql) => sql.startsWith('CREATE OR REPLACE TABLE'))

    const failure = await failureOf(project.attempt(step))
    await release()

    expect(failure).toMatchObject({ type: 'SQL', nonRetryable: true })
    expect(failure.message).toContain('onflict')
    expect(refusals.count()).toBe(5)
    expect(await recordedFailure(project)).toMatchObject({ code: 'SQL', attempts: 5 })
    expect(await ledgerDays(project, step)).toEqual([])
  })

  test.runIf(process.platform === 'linux')('an IO error, until it is gone', async () => {
    const project = await planForAttempts({ 'models/file.sql': READS_FILE }, NOW)
    const input = join(project.root, 'input.json')
    await symlink(UNREADABLE, input)
    const refusals = countFailures((sql) => sql.includes('input.json'))

    const attempt = project.attempt(project.step('a.file'))
    await refusals.reach(2)
    await rm(input)
    await writeFile(input, '[{"n": 1}, {"n": 2}]')

    expect(await attempt.outcome).toMatchObject({ rows: 2 })
    expect(await recordedAttempts(project)).toBe(refusals.count() + 1)
  })

  test.runIf(process.platform === 'linux')(
    'an IO error, as often as the step may be, with the attempts of lost workers counted',
    async () => {
      const project = await planForAttempts({ 'models/file.sql': READS_FILE }, NOW)
      await symlink(UNREADABLE, join(project.root, 'input.json'))
      const refusals = countFailures((sql) => sql.includes('input.json'))

      const step = { ...project.step('a.file'), attempts: 3 }
      const failure = await failureOf(project.attempt(step, { number: 3 }))

      expect(failure).toMatchObject({ type: 'SQL', nonRetryable: true })
      expect(failure.message).toMatch(/^IO Error: Could not read from file .*\(models\/file\.sql:\d+\)/)
      expect(refusals.count()).toBe(3)
      expect(await recordedFailure(project)).toMatchObject({ code: 'SQL', attempts: 5 })
    },
  )
})

describe('what is not tried again', () => {
  const cases: [string, { model: string; code: string; message: RegExp }][] = [
    [
      'a statement that is wrong',
      {
        model: 'MODEL (name a.bad, kind FULL); SELECT no_such_function(1) AS n',
        code: 'SQL',
        message: /no_such_function/,
      },
    ],
    [
      'a value that cannot be converted',
      {
        model: "MODEL (name a.bad, kind FULL); SELECT CAST('x' AS INTEGER) AS n",
        code: 'SQL',
        message: /^Conversion Error/,
      },
    ],
    [
      'a violated constraint',
      {
        model: `MODEL (name a.bad, kind FULL); SELECT NULL AS n; ALTER TABLE @this_model ALTER COLUMN n SET NOT NULL`,
        code: 'SQL',
        message: /^Constraint Error/,
      },
    ],
    [
      'a blocking audit that finds rows',
      {
        model: 'MODEL (name a.bad, kind FULL, audits (not_null(columns := (n)))); SELECT NULL AS n',
        code: 'AUDIT_FAILED',
        message: /found 1/,
      },
    ],
    [
      'a missing file',
      {
        model: "MODEL (name a.bad, kind FULL); SELECT * FROM read_csv('missing.csv')",
        code: 'SQL',
        message: /No files found/,
      },
    ],
  ]
  test.each(cases)('%s', async (_, { model, code, message }) => {
    const project = await planForAttempts({ 'models/bad.sql': model }, NOW)
    const step = project.step('a.bad')
    let begun = 0
    watch({
      before: ({ transaction }) =>
        void (transaction.length === 1 && transaction[0]!.includes('millrace.fences') && begun++),
    })

    const failure = await failureOf(project.attempt(step))

    expect(failure).toMatchObject({ type: code, nonRetryable: true, message: expect.stringMatching(message) })
    expect(begun).toBe(1)
    expect(await recordedFailure(project)).toMatchObject({ code, attempts: 1 })
    expect(await project.rows('SELECT * FROM millrace.ledger')).toEqual([])
    expect(await project.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'millrace__a'")).toEqual([])
  })
})

/** A file whose size says nothing and whose every read fails. */
const UNREADABLE = '/proc/self/mem'
const READS_FILE = `MODEL (name a.file, kind FULL);
SELECT * FROM read_json('input.json')`

function days(step: BuildStep, first: number, end: number): BuildStep {
  const start = Date.parse('2024-01-01T00:00:00Z')
  return { ...step, interval: [start + (first - 1) * DAY_MS, start + (end - 1) * DAY_MS] }
}

function watch(statements: StatementWatch): () => void {
  const stop = watchStatements(statements)
  onTestFinished(stop)
  return stop
}

/** The first `parties` commits of the model wait for each other. @returns how they ended. */
function meetAtCommit(model: string, parties: number): { succeeded: number; failed: number } {
  const commits = { succeeded: 0, failed: 0 }
  let arrived = 0
  let open: () => void = () => undefined
  const all = new Promise<void>((resolve) => (open = resolve))
  watch({
    before: async (statement) => {
      if (!isCommitOf(statement, model)) return
      arrived += 1
      if (arrived === parties) open()
      await all
    },
    succeeded: (statement) => void (isCommitOf(statement, model) && commits.succeeded++),
    failed: (statement) => void (isCommitOf(statement, model) && commits.failed++),
  })
  return commits
}

function cancelInCommit(project: PlannedProject, step: BuildStep): Attempt {
  let attempt: Attempt | null = null
  watch({ before: (statement) => void (isCommitOf(statement, step.model) && attempt?.cancel()) })
  attempt = project.attempt(step)
  return attempt
}

function countFailures(matches: (sql: string) => boolean): { count(): number; reach(count: number): Promise<void> } {
  let failures = 0
  let waiting: { count: number; resolve: () => void }[] = []
  watch({
    failed: ({ sql }) => {
      if (!matches(sql)) return
      failures += 1
      for (const { count, resolve } of waiting) if (failures >= count) resolve()
      waiting = waiting.filter(({ count }) => failures < count)
    },
  })
  // A test that failed must not keep a statement waiting.
  onTestFinished(() => {
    for (const { resolve } of waiting) resolve()
  })
  return {
    count: () => failures,
    reach: (count) =>
      failures >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
  }
}

/** Somebody else's unfinished write to the step's table. @returns what gives it up. */
async function holdTable(project: PlannedProject, step: BuildStep): Promise<() => Promise<void>> {
  const { schema, name } = tableOf(step)
  const lease = await project.lease()
  let giveUp: () => void = () => undefined
  const given = new Promise<void>((resolve) => (giveUp = resolve))
  let held: () => void = () => undefined
  const holding = new Promise<void>((resolve) => (held = resolve))
  const transaction = lease.transaction(async (tx) => {
    await tx.run(`CREATE TABLE "${schema}"."${name}" AS SELECT 1 AS n`)
    held()
    await given
    throw new Error('given up')
  })
  const ended = transaction.catch(() => undefined)
  await holding
  return async () => {
    giveUp()
    await ended
    await lease[Symbol.asyncDispose]()
  }
}

async function settle(attempts: Attempt[]): Promise<unknown[]> {
  return Promise.all(attempts.map(({ outcome }) => outcome))
}

async function failureOf({ outcome }: Attempt): Promise<ApplicationFailure> {
  const error = await outcome.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected a failure, got ${String(error)}`)
  return error
}

function tableOf(step: BuildStep): { schema: string; name: string } {
  const [schema = '', name = ''] = step.model.split('.')
  const relation = physicalRelation({ catalog: null, schema, name }, step.version)
  return { schema: relation.schema ?? '', name: relation.name }
}

/** Days from `first` to before `end`: each once in the ledger, its rows once in the table. */
async function expectDays(project: PlannedProject, step: BuildStep, first: number, end: number): Promise<void> {
  const expected = Array.from({ length: end - first }, (_, nth) => first + nth)
  expect(await ledgerDays(project, step)).toEqual(expected)
  expect(await tableDays(project, step)).toEqual(expected)
}

async function expectWhole(project: PlannedProject, step: BuildStep): Promise<void> {
  const { schema, name } = tableOf(step)
  const counted = `SELECT count(*)::INTEGER AS rows, count(DISTINCT n)::INTEGER AS n FROM "${schema}"."${name}"`
  expect(await project.rows(counted)).toEqual([{ rows: 1000, n: 1000 }])
  const units = await project.rows(`SELECT version FROM millrace.ledger`)
  expect(units).toEqual([{ version: step.version }])
}

/** Days of January 2024 that the ledger has, each unit being exactly a day. */
async function ledgerDays(project: PlannedProject, { version }: BuildStep): Promise<number[]> {
  const units = await project.rows<{ day: number; hours: number }>(
    `SELECT day(unit_start)::INTEGER AS day, date_diff('hour', unit_start, unit_end)::INTEGER AS hours
     FROM millrace.ledger WHERE version = '${version}' ORDER BY unit_start`,
  )
  expect(units.filter(({ hours }) => hours !== 24)).toEqual([])
  return units.map(({ day }) => day)
}

/** Days of January 2024 that the table has, each with all of its rows and no row twice. */
async function tableDays(project: PlannedProject, step: BuildStep): Promise<number[]> {
  const { schema, name } = tableOf(step)
  const found = await project.rows<{ day: number; rows: number; n: number }>(
    `SELECT day(day)::INTEGER AS day, count(*)::INTEGER AS rows, count(DISTINCT n)::INTEGER AS n
     FROM "${schema}"."${name}" GROUP BY ALL ORDER BY ALL`,
  )
  expect(found.filter(({ rows, n }) => rows !== ROWS_A_DAY || n !== ROWS_A_DAY)).toEqual([])
  return found.map(({ day }) => day)
}

async function recordedAttempts(project: PlannedProject): Promise<number> {
  const [step] = await project.rows<{ result: string }>('SELECT result FROM millrace.steps')
  return (JSON.parse(step?.result ?? '{}') as { attempts: number }).attempts
}

async function recordedFailure(project: PlannedProject): Promise<unknown> {
  const [row] = await project.rows<{ failure: string }>('SELECT failure FROM millrace.failures')
  return row === undefined ? null : JSON.parse(row.failure)
}
