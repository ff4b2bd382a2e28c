/** A database and two processes, one of which is killed. */
import { onTestFinished, expect, test } from 'vitest'
import { classifySqlError } from '../../../src/connections/sql-errors.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../../helpers/tsx-script.ts'
import { errorOf, openSubject, promisesOf, type OpenSubject, type Subject } from './subject.ts'

export function processCases(subject: Subject): void {
  const { persistent, processes, transactions } = promisesOf(subject)
  // Its data end with the process.
  if (!persistent) return

  const meanwhile = processes === 'many' ? 'others read' : 'others wait'
  const afterwards =
    transactions === 'calls' ? 'stands in nobody’s way' : 'stands in the way until the server forgets it'
  test(`while a process writes ${meanwhile} (processes: ${processes}); killed in a transaction, it commits nothing and ${afterwards} (transactions: ${transactions})`, async () => {
    const opened = await openSubject(subject)
    const child = await startWriter(opened)
    await firstLine(child)
    if (processes === 'many') {
      await using reader = await opened.lease()
      expect(await reader.rows('FROM t')).toEqual([{ x: 0 }])
    } else {
      expect(await errorOf(opened.lease({ lockTimeoutMs: 0 }))).toMatchObject({ code: 'DATABASE_LOCKED' })
    }
    child.kill('SIGKILL')
    await exitOf(child)
    await using one = await opened.lease()
    expect(await one.rows('FROM t')).toEqual([{ x: 0 }])
    const writing = one.script('UPDATE t SET x = 2')
    if (transactions === 'calls') await writing
    else expect(classifySqlError(await errorOf(writing))).toMatchObject({ kind: 'conflict', retryable: true })
  })
}

/** Says a line when its transaction has written. */
async function startWriter({ harness, raw }: OpenSubject) {
  const child = await startScript(
    harness.folder,
    `import { parseConnection } from '${sourcePath('src/connections/config.ts')}'
    import { createConnectionRegistry } from '${sourcePath('src/connections/registry.ts')}'
    const registry = createConnectionRegistry()
    registry.attach('writer')
    const config = parseConnection(${JSON.stringify(raw)}, { root: ${JSON.stringify(harness.folder)}, env: process.env })
    const lease = await registry.lease(config, { holder: 'writer' })
    await lease.run('CREATE TABLE t AS SELECT 0 AS x')
    await lease.transaction(async (tx) => {
      await tx.run('UPDATE t SET x = 1')
      process.stdout.write('1\\n')
      await new Promise(() => setInterval(() => {}, 1000))
    })`,
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}
