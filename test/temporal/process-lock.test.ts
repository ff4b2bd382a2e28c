import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withProcessLock } from '../../src/temporal/process-lock.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../helpers/tsx-script.ts'

let folder: string
let lock: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  lock = join(folder, 'deep', 'lock')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a lock between processes', () => {
  it('runs one at a time and leaves nothing behind', async () => {
    let inside = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inside)
      await new Promise((resolve) => setImmediate(resolve))
      inside--
    }
    await Promise.all(Array.from({ length: 5 }, () => withProcessLock(lock, {}, work)))
    expect(most).toBe(1)
    expect(existsSync(lock)).toBe(false)
  })

  it('is released when the work fails', async () => {
    await expect(withProcessLock(lock, {}, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    await expect(withProcessLock(lock, {}, () => Promise.resolve('free'))).resolves.toBe('free')
  })

  it('is taken over from a process that was killed, by one of several that wait', async () => {
    const source = `
      import { withProcessLock } from ${JSON.stringify(sourcePath('src/temporal/process-lock.ts'))}
      await withProcessLock(${JSON.stringify(lock)}, {}, () => new Promise(() => {
        console.log(process.pid)
        setInterval(() => {}, 1000)
      }))`
    const holder = await startScript(folder, source)
    const pid = await firstLine<number>(holder)
    const waitedFor: (number | null)[] = []
    let inside = 0
    let most = 0
    const waiters = Array.from({ length: 4 }, () =>
      withProcessLock(lock, { onWait: (held) => waitedFor.push(held) }, async () => {
        most = Math.max(most, ++inside)
        await new Promise((resolve) => setImmediate(resolve))
        inside--
      }),
    )
    await expect.poll(() => waitedFor.length).toBeGreaterThanOrEqual(4)
    expect(new Set(waitedFor)).toEqual(new Set([pid]))
    holder.kill('SIGKILL')
    await exitOf(holder)
    await Promise.all(waiters)
    expect(most).toBe(1)
  })

  it('stays with a holder on another machine whose process id means nothing here', async () => {
    await withProcessLock(lock, {}, async () => {})
    await writeFile(lock, JSON.stringify({ pid: 2 ** 22 + 1, host: `not-${hostname()}` }))
    const freshener = setInterval(() => void utimes(lock, new Date(), new Date()), 200)
    const waiting = new AbortController()
    const taken = withProcessLock(
      lock,
      { signal: waiting.signal, onWait: () => setTimeout(() => waiting.abort(), 500) },
      () => Promise.resolve('taken'),
    )
    await expect(taken).rejects.toThrow(/abort/i)
    clearInterval(freshener)
    expect(JSON.parse(await readFile(lock, 'utf8'))).toMatchObject({ host: `not-${hostname()}` })
  })

  it('is taken over when nobody freshens it, whatever lives under its process id', { timeout: 40_000 }, async () => {
    await withProcessLock(lock, {}, async () => {})
    await writeFile(lock, JSON.stringify({ pid: process.ppid, host: hostname() }))
    await expect(withProcessLock(lock, {}, () => Promise.resolve('taken'))).resolves.toBe('taken')
  })
})
