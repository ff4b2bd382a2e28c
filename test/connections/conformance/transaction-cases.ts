/** What is committed, and what is not. */
import { expect, test } from 'vitest'
import { CommitOutcomeUnknown } from '../../../src/connections/commit-outcome-unknown.ts'
import { until } from '../registry-harness.ts'
import { errorOf, openSubject, promisesOf, type Subject } from './subject.ts'

export function transactionCases(subject: Subject): void {
  const { uniqueKeys, writers } = promisesOf(subject)

  test('a transaction commits when its body returns, and rolls back when it throws', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.transaction(async (tx) => {
      await tx.run('CREATE TABLE t (x INTEGER)')
      await tx.run('INSERT INTO t VALUES ($1)', [1])
      expect(await tx.rows('FROM t')).toEqual([{ x: 1 }])
    })
    const failure = new Error('an audit found rows')
    const failed = one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (2)')
      await tx.run('CREATE TABLE other AS SELECT 1 AS x')
      throw failure
    })
    expect(await errorOf(failed)).toBe(failure)
    expect(await one.rows('SELECT sum(x) AS x FROM t')).toEqual([{ x: 1 }])
    await expect(one.rows('FROM other')).rejects.toThrow('Catalog Error')
  })

  test('a failed statement whose error is swallowed rolls back too', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER)')
    for (const wrong of ["SELECT 'x'::INTEGER", 'FROM nope']) {
      const swallowed = one.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        await tx.run(wrong).catch(() => undefined)
      })
      await expect(swallowed).rejects.toThrow(/Conversion Error|Catalog Error/)
    }
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('an abort rolls back and is the error', async () => {
    const { lease } = await openSubject(subject)
    const controller = new AbortController()
    await using one = await lease({ signal: controller.signal })
    await one.run('CREATE TABLE t (x INTEGER)')
    const reason = new Error('cancelled by someone')
    const aborted = one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      controller.abort(reason)
      await tx.run('INSERT INTO t VALUES (2)')
    })
    expect(await errorOf(aborted)).toBe(reason)
    await using two = await lease()
    expect(await two.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('a script is committed whole or not at all', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.script('CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2) -- the last')
    for (const wrong of ["SELECT error('an audit found rows')", "INSERT INTO t VALUES ('x')", 'FROM nope']) {
      await expect(one.script(`DELETE FROM t; ${wrong}; INSERT INTO t VALUES (3)`)).rejects.toThrow(' Error: ')
    }
    expect(await one.rows('FROM t')).toEqual([{ x: 1 }, { x: 2 }])
  })

  test('what is not committed is seen by nobody else, and all of it at once when it is', async () => {
    const { lease } = await openSubject(subject)
    await using writer = await lease()
    await using reader = await lease()
    await writer.run('CREATE TABLE t AS SELECT 1 AS x')
    await writer.transaction(async (tx) => {
      await tx.run('DELETE FROM t')
      await tx.run('INSERT INTO t VALUES (2), (3)')
      expect(await reader.rows('FROM t')).toEqual([{ x: 1 }])
    })
    expect(await reader.rows('FROM t')).toEqual([{ x: 2 }, { x: 3 }])
  })

  if (uniqueKeys) {
    test('of two transactions that insert one key, one commits (uniqueKeys: true)', async () => {
      const { lease } = await openSubject(subject)
      await using one = await lease()
      await using two = await lease()
      await one.run('CREATE TABLE t (id INTEGER PRIMARY KEY, who VARCHAR)')
      const late = one.transaction(async (tx) => {
        await tx.run("INSERT INTO t VALUES (1, 'late')")
        await two.transaction((other) => other.run("INSERT INTO t VALUES (1, 'first')"))
      })
      const error = await errorOf(late)
      expect(error).toBeInstanceOf(CommitOutcomeUnknown)
      expect(error).toMatchObject({ isDuplicateKey: true })
      expect(await two.rows('FROM t')).toEqual([{ id: 1, who: 'first' }])
    })
  } else {
    test('a key is refused, so that nobody relies on it (uniqueKeys: false)', async () => {
      const { lease } = await openSubject(subject)
      await using one = await lease()
      await expect(one.run('CREATE TABLE t (id INTEGER PRIMARY KEY)')).rejects.toThrow(/not supported/i)
    })
  }

  if (writers === 'many') {
    test('transactions write at the same time (writers: many)', async () => {
      const { lease } = await openSubject(subject)
      let inside = 0
      const write = async (name: string) => {
        await using one = await lease()
        await one.transaction(async (tx) => {
          await tx.run(`CREATE TABLE ${name} AS SELECT 1 AS x`)
          inside += 1
          // For ever, if one waited for another.
          await until(() => inside === 4)
        })
      }
      await Promise.all(['a', 'b', 'c', 'd'].map(write))
      await using one = await lease()
      expect(await one.rows('SELECT count(*) AS n FROM a, b, c, d')).toEqual([{ n: 1 }])
    })
  } else {
    test('transactions write one after the other (writers: one)', async () => {
      const { lease } = await openSubject(subject)
      {
        await using one = await lease()
        await one.run('CREATE TABLE t AS SELECT 0 AS n')
      }
      let inside = 0
      let most = 0
      const write = async () => {
        await using one = await lease()
        await one.transaction(async (tx) => {
          inside += 1
          most = Math.max(most, inside)
          await tx.run('UPDATE t SET n = n + 1')
          inside -= 1
        })
      }
      await Promise.all([write(), write(), write(), write()])
      await using one = await lease()
      expect([most, await one.rows('FROM t')]).toEqual([1, [{ n: 4 }]])
    })
  }
}
